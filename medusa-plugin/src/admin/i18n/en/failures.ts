/** What the error codes of failed events mean, and what to do. */
export const failures = {
  medusa_unavailable: "Medusa did not answer, or refused Dust's key. Ask your administrator to run `dust doctor`, then retry.",
  medusa_not_configured: "Dust does not know where Medusa is. Ask your administrator to run `dust doctor`, then retry.",
  medusa_refused: "Medusa refused what Dust asked for. Ask your administrator, then retry.",
  unknown_in_medusa: "Medusa does not have this order. There is nothing to do: after ten minutes Dust looks once more.",
  order_is_changing: "The order changed again and again while Dust read it. Retry.",
  unreadable_order: "Dust cannot read this order. Ask your administrator whether Medusa was updated.",
  malformed_event: "The event is not in the form that Medusa sends. Ask your administrator.",
  database_unavailable: "Dust's database was not reachable. Nothing was half done. Retry.",
  database_busy: "Dust's database was too busy. Nothing was half done. Retry, and ask your administrator if it happens again.",
  database_login_refused: "Dust's database refused the login. Nothing was half done. Ask your administrator to run `dust doctor`, then retry.",
  database_denied: "Dust may not use its own database fully. Nothing was half done. Ask your administrator to run `dust doctor`, then retry.",
  database_read_only: "Dust's database accepts no writing at the moment. Nothing was half done. Ask your administrator, then retry.",
  database_behind: "Dust was updated, its database was not. Ask your administrator to run `dust migrate`, then retry.",
  task_ended: "A worker of Dust ended while it handled this event. Retry.",
  internal_error: "Dust has a fault here. Please report it, with the details of the event.",
}
