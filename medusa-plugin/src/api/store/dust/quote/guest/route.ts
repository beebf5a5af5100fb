export { forwardAsAnybody as POST } from "../../../../forward"
