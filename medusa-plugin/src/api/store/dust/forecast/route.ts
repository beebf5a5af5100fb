export { forwardAsShopper as POST } from "../../../forward"
