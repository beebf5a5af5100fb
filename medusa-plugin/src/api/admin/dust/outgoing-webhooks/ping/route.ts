export { forwardAsOperator as POST } from "../../../../forward"
