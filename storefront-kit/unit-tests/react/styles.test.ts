import { readFileSync } from "node:fs"
import { expect, test } from "vitest"

const css = readFileSync("src/styles.css", "utf8")
const [plain = "", themed = ""] = css.split("@supports (color: light-dark(#000, #fff))")

/** The colours of one scheme, such as `text: "#1e1b2e"`. */
function colours(scheme: "light" | "dark"): Record<string, string> {
  const found = themed.matchAll(/--dust-([\w-]+): light-dark\((#\w+), (#\w+)\)/g)
  return Object.fromEntries([...found].map(([, name, light, dark]) => [name, scheme === "light" ? light : dark]))
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((start) => parseInt(colour.slice(start, start + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

const TEXTS = [
  ["text", "surface"],
  ["text", "soft"],
  ["muted", "surface"],
  ["muted", "soft"],
  ["accent", "surface"],
  ["accent", "soft"],
  ["on-accent", "accent"],
  ["on-accent", "accent-hover"],
  ["success", "surface"],
  ["success", "success-surface"],
  ["error", "surface"],
  ["error", "soft"],
  ["error", "error-surface"],
] as const

test.each(["light", "dark"] as const)("texts have a contrast of at least 4.5 in %s colours", (scheme) => {
  const palette = colours(scheme)
  const low = TEXTS.map(([text, surface]) => ({ text, surface, value: contrast(palette[text]!, palette[surface]!) }))
  expect(low.filter(({ value }) => value < 4.5)).toEqual([])
})

test.each(["light", "dark"] as const)("fields and bars have a contrast of at least 3 in %s colours", (scheme) => {
  const palette = colours(scheme)
  expect(contrast(palette["field-line"]!, palette.surface!)).toBeGreaterThanOrEqual(3)
  expect(contrast(palette.accent!, palette.line!)).toBeGreaterThanOrEqual(3)
})

test("browsers without light-dark() get the light colours", () => {
  const fallback = Object.fromEntries([...plain.matchAll(/--dust-([\w-]+): (#\w+);/g)].map(([, name, value]) => [name, value]))
  expect(fallback).toEqual(colours("light"))
})

test("no long word is wider than its column", () => {
  const parts = css.split(/[{}]/)
  const ruleOf = (selector: string): string => parts[parts.findIndex((part) => part.trim().split("\n").pop() === selector) + 1] ?? ""
  expect(ruleOf(".dust")).toContain("overflow-wrap: break-word")
  for (const selector of [".dust-benefits > li", ".dust-row > :first-child", ".dust-pairs dt"]) {
    expect(ruleOf(selector)).toContain("overflow-wrap: anywhere")
  }
})

test("layout follows the direction of the page", () => {
  expect(css).not.toMatch(/[\s;{-](left|right)\s*:|(margin|padding|border)-(left|right|top|bottom)|(?<![-\w])(width|height)\s*:|text-align: (left|right)/)
})

test("every class and every variable begins with dust", () => {
  const classes = [...css.replace(/\/\*[\s\S]*?\*\//g, "").matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name)
  expect(classes.filter((name) => !name?.startsWith("dust") && name !== "dark")).toEqual([])
  expect([...css.matchAll(/--([\w-]+)/g)].filter(([, name]) => !name?.startsWith("dust-"))).toEqual([])
})
