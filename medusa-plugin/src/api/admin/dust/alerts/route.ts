export { forwardAsOperator as GET } from "../../../forward"
