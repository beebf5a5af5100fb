export {
  forwardAsOperator as GET,
  forwardAsOperator as PUT,
  forwardAsOperator as DELETE,
} from "../../../../../forward"
