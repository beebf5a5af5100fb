/** The bridge's general findings about a value, said as a form says them. Its own sentences stay as they are. */
const FINDINGS: [RegExp, string][] = [
  [/^Input should be a valid integer.*/, "Please enter a whole number"],
  [/^(Input should be a valid decimal|Decimal input should be).*/, "Please enter a number"],
  [/^String should have at least 1 character$/, "Please fill this in"],
  [/^Field required$/, "Please fill this in"],
  [/^Input should be greater than or equal to (\S+)$/, "Must be at least $1"],
  [/^Input should be greater than (\S+)$/, "Must be more than $1"],
  [/^Input should be less than or equal to (\S+)$/, "Must be at most $1"],
  [/^Input should be less than (\S+)$/, "Must be less than $1"],
]

export function worded(message: string): string {
  const found = FINDINGS.find(([pattern]) => pattern.test(message))
  return found ? message.replace(...found) : message
}
