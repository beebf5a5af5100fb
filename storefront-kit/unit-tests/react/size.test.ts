import { readFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { build, transform } from "esbuild"
import { expect, test } from "vitest"

const KILOBYTE = 1000

/** Bytes that a page loads for what it imports, minified and gzipped, without React. */
async function sizeOf(code: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: "src", loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    external: ["react", "react/jsx-runtime"],
  })
  return gzipSync(outputFiles[0]!.contents).length
}

async function sizeOfStyles(): Promise<number> {
  const { code } = await transform(readFileSync("src/styles.css", "utf8"), { loader: "css", minify: true })
  return gzipSync(code).length
}

test("all components together stay below 15 kB, which no page needs", async () => {
  expect(await sizeOf(`export * from "./react/index.js"`)).toBeLessThan(15 * KILOBYTE)
})

test.each([
  ["a product page or a list", "NavBalance, EarnHint, PointsPrice"],
  ["the cart and the checkout", "NavBalance, EarnHint, PointsPrice, CheckoutPanel, GuestNudge"],
  ["the account", "NavBalance, BalanceSummary, PendingList, ExpiringList, History, TierProgress, Referral, OpenRedemptions"],
  ["the order's page", "NavBalance, ThankYou, PointsPrice"],
])("%s with the styles stays below 15 kB", async (_, components) => {
  const scripts = await sizeOf(`export { DustProvider, ${components} } from "./react/index.js"`)

  expect(scripts + (await sizeOfStyles())).toBeLessThan(15 * KILOBYTE)
})

test("a page with the balance only does not load the panel", async () => {
  const balance = await sizeOf(`export { DustProvider, NavBalance } from "./react/index.js"`)
  const panel = await sizeOf(`export { DustProvider, NavBalance, CheckoutPanel } from "./react/index.js"`)

  expect(balance).toBeLessThan(6 * KILOBYTE)
  expect(panel - balance).toBeGreaterThan(3 * KILOBYTE)
})

test("German is loaded only by shops that use it", async () => {
  const english = await sizeOf(`export { en } from "./index.js"`)
  const german = await sizeOf(`export { de } from "./index.js"`)

  expect(english).toBeLessThan(4 * KILOBYTE)
  expect(german).toBeLessThan(5 * KILOBYTE)
})
