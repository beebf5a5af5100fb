export { forwardAsOperator as GET, forwardAsOperator as POST } from "../../../../forward"
