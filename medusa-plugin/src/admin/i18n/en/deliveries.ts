export const deliveries = {
  waiting: "Waiting",
  since: "Since {{date}}",
  rejected: "Rejected",
  rejectedHint: "The bridge calls them wrong",
  delivered: "Delivered",
  deliveredHint: "In the last seven days",
  none: "Everything is delivered.",
  onItsWay: "On its way",
  attempt: "Attempt {{number}} at {{date}}",
  send: "Send now",
}
