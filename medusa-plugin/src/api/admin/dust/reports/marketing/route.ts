export { forwardLongAsOperator as GET } from "../../../../forward"
