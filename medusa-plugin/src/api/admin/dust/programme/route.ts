export { forwardAsOperator as GET, forwardAsOperator as PUT } from "../../../forward"
