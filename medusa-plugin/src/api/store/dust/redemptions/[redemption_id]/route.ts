export { forwardAsCustomer as GET, forwardAsCustomer as DELETE } from "../../../../forward"
