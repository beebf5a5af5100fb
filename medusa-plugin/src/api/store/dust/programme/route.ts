export { forwardAsAnybody as GET } from "../../../forward"
