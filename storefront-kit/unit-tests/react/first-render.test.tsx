// @vitest-environment jsdom
import { act } from "@testing-library/react"
import { StrictMode, Suspense, type ReactNode } from "react"
import { hydrateRoot } from "react-dom/client"
import { renderToString } from "react-dom/server"
import { expect, onTestFinished, test, vi } from "vitest"
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
  type DustProviderProps,
} from "../../src/react/index.js"
import { actionsWith, APPLIED, BALANCE, GUEST_QUOTE, NOW, ok, QUOTE, REDEMPTION, settle, Shop, TRANSACTION } from "./support.js"

const quote = { ...QUOTE, redemptions: [APPLIED] }

const everything = (
  <>
    <NavBalance href="/account" />
    <EarnHint productId="mug" amount="10" />
    <EarnHint cart />
    <PointsPrice productId="mug" amount="10" />
    <CheckoutPanel quote={quote} />
    <GuestNudge />
    <BalanceSummary balance={BALANCE} />
    <PendingList />
    <ExpiringList />
    <History transactions={{ transactions: [TRANSACTION], next_cursor: "1" }} />
    <TierProgress />
    <Referral link="https://shop.example/{code}" />
    <OpenRedemptions redemptions={{ redemptions: [REDEMPTION], next_cursor: null, now: QUOTE.now }} />
    <ThankYou orderId="order_1" />
  </>
)

/** Renders the page as the server does, then hydrates it. `meanwhile` runs in between. */
async function hydrate(page: ReactNode, meanwhile: () => void) {
  const onRecoverableError = vi.fn()
  const container = document.createElement("div")
  container.innerHTML = renderToString(page)
  document.body.append(container)
  meanwhile()
  const root = await act(async () => hydrateRoot(container, page, { onRecoverableError }))
  onTestFinished(async () => {
    await act(async () => root.unmount())
    container.remove()
  })
  await settle()
  return { container, onRecoverableError }
}

/** A part of the page that the server renders at once, and the browser only after `wake`. */
function latePart() {
  let isAwake = true
  let resolve: () => void = () => {}
  const slept = new Promise<void>((done) => (resolve = done))
  return {
    Late({ children }: { children: ReactNode }) {
      if (!isAwake) throw slept
      return children
    },
    sleep() {
      isAwake = false
    },
    async wake() {
      isAwake = true
      await act(async () => resolve())
      await settle()
    },
  }
}

test.each<[string, Partial<DustProviderProps>]>([
  ["with data of the server", { initial: { balance: BALANCE, quote } }],
  ["without data", {}],
  ["in German, from right to left", { initial: { balance: BALANCE }, messages: de, locale: "de-DE", dir: "rtl" }],
])("the first render of the browser is the server's, %s", async (_, props) => {
  const console = vi.spyOn(globalThis.console, "error")
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] })
  const actions = actionsWith()
  const page = (
    <StrictMode>
      <Shop {...props} actions={actions}>
        {everything}
      </Shop>
    </StrictMode>
  )

  const { container, onRecoverableError } = await hydrate(page, () => {
    for (const action of Object.values(actions)) expect(action).not.toHaveBeenCalled()
    // The browser gets the page later, and its clock differs.
    vi.setSystemTime(NOW + 90_000)
  })

  expect(container.textContent).toContain(props.messages ? "1.200 stars" : "1,200 stars")
  expect(onRecoverableError).not.toHaveBeenCalled()
  expect(console).not.toHaveBeenCalled()
})

test("a part of the page that is hydrated late begins with what the server rendered, too", async () => {
  const { Late, sleep, wake } = latePart()
  const page = (
    <Shop>
      <NavBalance />
      <Suspense fallback="…">
        <Late>
          <BalanceSummary />
        </Late>
      </Suspense>
    </Shop>
  )

  const { container, onRecoverableError } = await hydrate(page, sleep)
  expect(container.textContent).toContain("1,200 stars")
  await wake()

  expect(container.textContent).toContain("1,200 available")
  expect(onRecoverableError).not.toHaveBeenCalled()
})

test("a thank-you that is hydrated late begins with the quote of the server, not with a newer one", async () => {
  const { Late, sleep, wake } = latePart()
  const page = (
    <Shop customerId={null} actions={actionsWith({ quote: () => ok(GUEST_QUOTE) })}>
      <EarnHint cart />
      <Suspense fallback="…">
        <Late>
          <ThankYou orderId="order_1" />
        </Late>
      </Suspense>
    </Shop>
  )

  const { container, onRecoverableError } = await hydrate(page, sleep)
  expect(container.textContent).toContain("Earn 25 stars")
  await wake()

  expect(onRecoverableError).not.toHaveBeenCalled()
})

test("the server's data is in its page, before anything is loaded", () => {
  const html = renderToString(
    <Shop initial={{ balance: BALANCE, quote }}>
      <NavBalance />
      <CheckoutPanel />
    </Shop>,
  )

  expect(html).toContain("1,200 stars")
  expect(html).toContain("Use 1,000 stars")
})
