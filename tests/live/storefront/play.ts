/** Calls one function of the documented files, as a page of the storefront would: its name and arguments come as JSON. */
import * as dust from "@lib/data/dust"
import * as plain from "@lib/data/plain"

async function main(): Promise<void> {
  const { module, call, args } = JSON.parse(process.argv[2]!)
  const functions = (module === "plain" ? plain : dust) as unknown as Record<string, (...args: unknown[]) => unknown>
  const answer = await functions[call]!(...args)
  console.log(JSON.stringify({ answer: answer ?? null }))
}

void main()
