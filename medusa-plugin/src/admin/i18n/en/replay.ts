/** Test and replay of outgoing webhooks. */
export const replay = {
  test: "Send a test",
  testTitle: "Test of your receiver",
  title: "Replay a time window",
  intro: "Sends webhooks again that your receiver has lost. Each keeps its id, so that a receiver can recognise one that it has.",
  since: "Created since",
  until: "Created before",
  untilHint: "Leave it empty for now.",
  count: "Count",
  found_one: "{{shown}} webhook would be sent again.",
  found_other: "{{shown}} webhooks would be sent again.",
  submit_one: "Send {{shown}} webhook again",
  submit_other: "Send {{shown}} webhooks again",
  done_one: "{{shown}} webhook will be sent again.",
  done_other: "{{shown}} webhooks will be sent again.",
}
