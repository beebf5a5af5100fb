export { forwardAsCustomer as GET, forwardAsCustomer as POST } from "../../../forward"
