export { forwardLongAsOperator as POST } from "../../../forward"
