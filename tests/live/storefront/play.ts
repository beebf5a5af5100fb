/** Calls one function of the documented file, as a page of the storefront would: its name and arguments come as JSON. */
import { revalidated } from "next/cache"
import * as dust from "@lib/data/dust"
import * as direct from "@lib/data/direct"

async function main(): Promise<void> {
  const { module, call, args } = JSON.parse(process.argv[2])
  const functions = (module === "direct" ? direct : dust) as unknown as Record<string, (...args: unknown[]) => unknown>
  const answer = await functions[call](...args)
  console.log(JSON.stringify({ answer: answer ?? null, revalidated }))
}

void main()
