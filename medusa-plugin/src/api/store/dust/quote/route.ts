export { forwardAsCustomer as POST } from "../../../forward"
