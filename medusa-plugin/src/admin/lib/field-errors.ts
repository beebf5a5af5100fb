/** What the bridge says about a field, named as in the document: `earn.rates.eur`, `redeem.rewards.0`. */
export type FieldError = { field: string; message: string }

// The bridge's name for the rules as a whole.
const WHOLE = "body"

/** What is said about several fields together. */
export function generalMessages(errors: FieldError[]): string[] {
  return errors.filter(({ field }) => field === WHOLE).map(({ message }) => message)
}

/** What is said about the field itself. */
export function messageAt(errors: FieldError[], field: string): string | undefined {
  return errors.find((error) => error.field === field)?.message
}

/** What is said about the field or a part of it, such as an entry of a list. */
export function messageWithin(errors: FieldError[], field: string): string | undefined {
  return errors.find((error) => contains(field, error.field))?.message
}

/** The errors that still stand once a field has another value: those of other fields. */
export function errorsAfterEdit(errors: FieldError[], field: string): FieldError[] {
  return errors.filter((error) => !contains(field, error.field) && !contains(error.field, field))
}

function contains(outer: string, inner: string): boolean {
  return outer === WHOLE || inner === outer || inner.startsWith(`${outer}.`)
}
