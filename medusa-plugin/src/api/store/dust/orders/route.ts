export { forwardAsCustomer as GET } from "../../../forward"
