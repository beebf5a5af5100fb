// @vitest-environment jsdom
import { fireEvent, screen } from "@testing-library/react"
import axe from "axe-core"
import type { ReactNode } from "react"
import { expect, test } from "vitest"
import { de } from "../../src/index.js"
import {
  BalanceSummary,
  CheckoutPanel,
  EarnHint,
  ExpiringList,
  GuestNudge,
  History,
  NavBalance,
  OpenRedemptions,
  PendingList,
  PointsPrice,
  Referral,
  ThankYou,
  TierProgress,
} from "../../src/react/index.js"
import { actionsWith, APPLIED, failing, GUEST_QUOTE, ok, QUOTE, REWARD, settle, show } from "./support.js"

// axe looks for icon fonts on a canvas, which jsdom has not.
HTMLCanvasElement.prototype.getContext = () => null

const applied = { ...APPLIED, expires_at: "2099-01-01T00:00:00Z" }
const full = {
  ...QUOTE,
  redemptions: [applied, { ...applied, id: "dred_2", kind: "free_shipping" as const, value: null }],
  dust_only_due: 600,
  dust_only_items: [{ product_id: "mug", quantity: 2, dust: 600 }],
  optional: [{ product_id: "cup", quantity: 1, dust: 9000 }],
  rewards: [REWARD, { ...REWARD, id: "twenty", missing_dust: 40 }],
}

/** jsdom has no layout, so contrast is tested in styles.test.ts, and names that do not say what is written here. */
async function findings(container: Element): Promise<string[]> {
  for (const control of container.querySelectorAll("button[aria-label], a[aria-label]"))
    expect(control.getAttribute("aria-label")).toContain(control.textContent)
  const { violations } = await axe.run(container, { rules: { "color-contrast": { enabled: false } } })
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
}

const pages: [string, ReactNode, Parameters<typeof show>[1]?][] = [
  ["the checkout panel", <CheckoutPanel />, { actions: actionsWith({ quote: () => ok(full) }) }],
  ["a locked panel", <CheckoutPanel locked changeHref="/cart" />, { actions: actionsWith({ quote: () => ok(full) }) }],
  ["the panel while Dust is down", <CheckoutPanel />, { actions: actionsWith({ quote: failing("unavailable") }) }],
  ["a panel that is loading", <CheckoutPanel />, { actions: actionsWith({ quote: () => new Promise(() => {}) }) }],
  [
    "a guest's cart",
    <CheckoutPanel signInHref="/login" signUpHref="/register" />,
    { customerId: null, actions: actionsWith({ quote: () => ok(GUEST_QUOTE) }) },
  ],
  ["a guest's page", <GuestNudge signUpHref="/register" />, { customerId: null, actions: {} }],
  [
    "shop pages",
    <>
      <NavBalance href="/account" />
      <PointsPrice productId="mug" amount="10" />
      <EarnHint productId="mug" amount="10" />
      <EarnHint cart />
    </>,
  ],
  [
    "the account",
    <>
      <BalanceSummary />
      <PendingList />
      <ExpiringList />
      <History />
      <TierProgress />
      <Referral link="https://shop.example/{code}" />
      <OpenRedemptions />
    </>,
  ],
  ["the order's page", <ThankYou orderId="order_1" />],
]

test.each(pages)("%s has no serious finding", async (_, page, props) => {
  const { container } = await show(page, props)

  expect(await findings(container)).toEqual([])
})

test("a panel with a wrong amount and an error has no serious finding", async () => {
  const { container } = await show(<CheckoutPanel />, {
    actions: actionsWith({ quote: () => ok(full), redeem: failing("above_share", "Too much.") }),
  })
  fireEvent.click(screen.getByRole("button", { name: "Use 1,000 stars" }))
  await settle()
  fireEvent.change(screen.getByLabelText("How many stars?"), { target: { value: "-5" } })

  expect(screen.getByText("Too much.")).toBeTruthy()
  expect(await findings(container)).toEqual([])
})

test("buttons of equal lines have names that tell them apart", async () => {
  await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok(full) }) })

  expect(screen.getByRole("button", { name: "Remove: €5.00 off" })).toBeTruthy()
  expect(screen.getByRole("button", { name: "Remove: Free shipping" })).toBeTruthy()
})

test("a page from right to left in German says so, and speaks German only", async () => {
  const { container } = await show(<CheckoutPanel names={{ mug: "Becher", cup: "Tasse" }} />, {
    locale: "de-DE",
    messages: de,
    dir: "rtl",
    programme: undefined,
    actions: actionsWith({
      quote: () => ok({ ...full, rewards: [{ ...REWARD, name: "10 %", missing_dust: 40 }] }),
      redeem: failing("insufficient_dust", "You need 500 points and have 400."),
    }),
  })
  fireEvent.click(screen.getByRole("button", { name: "1.000 Punkte einlösen" }))
  await settle()

  expect(container.querySelector("section")?.dir).toBe("rtl")
  expect(container.textContent).toContain("5,00\u00a0€ Rabatt")
  expect(container.textContent).not.toMatch(/\b(the|you|need|off|use|and)\b/i)
})
