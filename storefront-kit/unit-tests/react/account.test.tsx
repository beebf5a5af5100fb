// @vitest-environment jsdom
import { act, fireEvent, screen, within } from "@testing-library/react"
import { describe, expect, test, vi } from "vitest"
import {
  BalanceSummary,
  CheckoutPanel,
  EarnHint,
  ExpiringList,
  History,
  NavBalance,
  OpenRedemptions,
  PendingList,
  Referral,
  ThankYou,
  TierProgress,
  useDust,
} from "../../src/react/index.js"
import { de } from "../../src/index.js"
import { actionsWith, BALANCE, failing, GUEST_QUOTE, NOW, ok, ORDER, PROGRAMME, QUOTE, REDEMPTION, settle, Shop, show, TRANSACTION } from "./support.js"

const items = () => screen.getAllByRole("listitem").map((item) => item.textContent)

async function click(name: string | RegExp): Promise<void> {
  fireEvent.click(screen.getByRole("button", { name }))
  await settle()
}

describe("BalanceSummary", () => {
  test("shows what can be spent, what is held and what is on the way", async () => {
    const { container } = await show(<BalanceSummary />)

    expect(container.querySelector(".dust-big")?.textContent).toBe("1,200 available")
    expect(screen.getByText("Set aside for codes that are not used yet").nextSibling?.textContent).toBe("100")
    expect(screen.getByText("On the way").nextSibling?.textContent).toBe("30")
    expect(screen.getByText("Silver")).toBeTruthy()
  })

  test("says why a balance is below zero", async () => {
    const below = { ...BALANCE, balance: -70, available: 0, held: 0, pending: 0 }
    const { container } = await show(<BalanceSummary />, { actions: actionsWith({ balance: () => ok(below) }) })

    expect(container.querySelector(".dust-big")?.textContent).toBe("0 available")
    expect(screen.getByText(/What you earn next settles 70 stars first/)).toBeTruthy()
  })

  test("shows the server's balance at once, and the newer one after a change", async () => {
    function Again() {
      const { refresh } = useDust()
      return <button onClick={() => void refresh()}>Again</button>
    }
    const { actions, container } = await show(
      <>
        <BalanceSummary balance={{ ...BALANCE, available: 500 }} />
        <Again />
      </>,
    )
    expect(container.querySelector(".dust-big")?.textContent).toBe("500 available")
    expect(actions.balance).not.toHaveBeenCalled()

    await click("Again")

    expect(container.querySelector(".dust-big")?.textContent).toBe("1,200 available")
  })

  test("keeps its place while it is loaded, and says how to go on if Dust is down", async () => {
    let fail: (reason: Error) => void = () => {}
    const { actions, container } = await show(<BalanceSummary />, {
      actions: actionsWith({ balance: () => new Promise((_, reject) => (fail = reject)) }),
    })
    expect(container.querySelector(".dust-skeleton")).toBeTruthy()

    fail(new Error("down"))
    await settle()
    expect(screen.getByText("Your stars cannot be shown right now. They are safe.")).toBeTruthy()

    actions.balance.mockResolvedValue({ data: BALANCE })
    screen.getByRole("button", { name: "Try again" }).focus()
    await click("Try again")
    await settle()
    expect(container.querySelector(".dust-big")?.textContent).toBe("1,200 available")
    expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Your stars" }))
  })

  test.each([
    ["an ended session", { actions: actionsWith({ balance: failing("not_authenticated", "Please sign in.", 401) }) }],
    ["a guest", { customerId: null }],
  ])("shows nothing to %s", async (_, props) => {
    const { container } = await show(<BalanceSummary />, props)

    expect(container.textContent).toBe("")
  })
})

test("PendingList and ExpiringList say when", async () => {
  await show(
    <>
      <PendingList />
      <ExpiringList />
    </>,
    { timeZone: "Europe/Berlin" },
  )

  expect(items()).toEqual([
    "20 stars from Dec 9, 2026",
    "10 stars when the order is paid",
    // 23:00 UTC is the next day in Berlin.
    "200 stars until Jan 1, 2027",
  ])
})

// The last moment of December in New York.
const EXPIRING = [{ amount: 200, expires_at: "2027-01-01T04:59:59.999999Z" }]

test.each([
  ["America/New_York", "200 stars until Dec 31, 2026"],
  ["Unknown/To_This_Browser", "200 stars until Jan 1, 2027"],
])("points expire on the day that the shop in %s means", async (zone, row) => {
  const actions = actionsWith({ balance: () => ok({ ...BALANCE, expiring: EXPIRING }) })
  await show(<ExpiringList />, { actions, programme: { ...PROGRAMME, time_zone: zone } })

  expect(items()).toEqual([row])
})

describe("History", () => {
  const pages = {
    "": {
      transactions: [
        { ...TRANSACTION, id: "dtx_3", state: "pending" as const, matures_at: "2026-12-09T12:00:00Z" },
        { ...TRANSACTION, id: "dtx_2", kind: "redeem", amount: -500, expires_at: null },
      ],
      next_cursor: "2",
    },
    "2": {
      transactions: [{ ...TRANSACTION, id: "dtx_1", kind: "adjust", description: "Sorry for the wait", order_number: null }],
      next_cursor: null,
    },
  }
  const transactions = ({ cursor = "" }: { cursor?: string } = {}) => ok(pages[cursor as keyof typeof pages])

  test.each([
    ["bonus", "Welcome bonus", "Willkommensbonus"],
    ["bonus", "A bonus from the shop", "Ein Bonus vom Shop"],
    ["adjust", "Correction by the shop", "Korrektur durch den Shop"],
    ["adjust", "Für die Wartezeit", "Für die Wartezeit"],
  ])("names a %s “%s” in the shop's language", async (kind, description, name) => {
    const { de } = await import("../../src/index.js")
    const row = { ...TRANSACTION, kind, description }
    await show(<History />, {
      messages: de,
      actions: actionsWith({ transactions: () => ok({ transactions: [row], next_cursor: null }) }),
    })

    expect(screen.getByText(name)).toBeTruthy()
  })

  test("shows page by page what moved the balance", async () => {
    const { actions } = await show(<History pageSize={2} />, { actions: actionsWith({ transactions }) })
    expect(items()).toEqual([
      "EarnedNov 20, 2026 · Order 1001 · On the way, from Dec 9, 2026+45",
      "UsedNov 20, 2026 · Order 1001-500",
    ])

    await click("Show more")

    expect(items()[2]).toBe("Sorry for the waitNov 20, 2026+45")
    expect(screen.queryByRole("button")).toBeNull()
    expect(actions.transactions.mock.calls).toEqual([[{ limit: 2 }], [{ cursor: "2", limit: 2 }]])
  })

  test("keeps the sign of a number in front of it from right to left", async () => {
    const { container } = await show(<History />, { locale: "he", dir: "rtl", actions: actionsWith({ transactions }) })

    // With the marks that the language puts before a sign, and isolated from the text beside it.
    expect([...container.querySelectorAll("bdi")].map(({ textContent }) => textContent)).toEqual(["\u200e+45", "\u200e-500"])
  })

  test("keeps the pages when the first one has not changed", async () => {
    const again = async (page = {}) => structuredClone(await transactions(page))
    await show(<Refreshable />, { actions: actionsWith({ transactions: again }) })
    await click("Show more")
    await click("Refresh")

    expect(items()).toHaveLength(3)
  })

  test("drops a page that belongs to an older first page", async () => {
    let isNew = false
    let arrive: () => void = () => {}
    const late = new Promise<void>((resolve) => (arrive = resolve))
    const next = { transactions: [{ ...TRANSACTION, id: "dtx_new" }], next_cursor: "3" }
    await show(<Refreshable />, {
      actions: actionsWith({
        transactions: async (page = {}) => {
          if (page.cursor) await late
          return ok(isNew && !page.cursor ? next : pages[(page.cursor ?? "") as keyof typeof pages])
        },
      }),
    })
    fireEvent.click(screen.getByRole("button", { name: "Show more" }))
    isNew = true
    await click("Refresh")
    arrive()
    await settle()

    expect(items()).toHaveLength(1)
    expect(screen.getByRole("button", { name: "Show more" })).toBeTruthy()
  })

  function Refreshable() {
    const { refresh } = useDust()
    return (
      <>
        <History />
        <button onClick={() => void refresh()}>Refresh</button>
      </>
    )
  }

  test("says it when the next page cannot be loaded, and keeps the first", async () => {
    const { actions } = await show(<History />, { actions: actionsWith({ transactions }) })
    actions.transactions.mockResolvedValue({ error: { code: "unreachable", message: "" } })

    await click("Show more")

    expect(screen.getByRole("alert").textContent).toMatch(/^That did not work/)
    expect(items()).toHaveLength(2)
  })

  test("of a new customer says how it begins", async () => {
    await show(<History />, { actions: actionsWith({ transactions: () => ok({ transactions: [], next_cursor: null }) }) })

    expect(screen.getByText("Nothing here yet. Your first order brings your first stars.")).toBeTruthy()
  })
})

describe("TierProgress", () => {
  test("shows the level, the way to the next one, and what both bring", async () => {
    await show(<TierProgress />)

    expect(screen.getByText("Silver")).toBeTruthy()
    const bar = screen.getByRole<HTMLProgressElement>("progressbar", { name: "120 stars more until Gold" })
    expect([bar.value, bar.max]).toEqual([380, 500])
    expect(items()).toEqual(["Free returns", "Free shipping"])
  })

  test("counts money where the rules do", async () => {
    const tier = { ...BALANCE.tier!, basis: "spent" as const, currency_code: "eur", progress: "380.5" }
    await show(<TierProgress />, { actions: actionsWith({ balance: () => ok({ ...BALANCE, tier }) }) })

    expect(screen.getByRole("progressbar", { name: "€120.00 more until Gold" })).toBeTruthy()
  })

  test("of the highest level has no next one", async () => {
    const tier = { ...BALANCE.tier!, name: "Gold", factor: "1.5", until: "2027-03-01T00:00:00Z", next: null }
    await show(<TierProgress />, { actions: actionsWith({ balance: () => ok({ ...BALANCE, tier }) }) })

    expect(screen.getByText("You have reached the highest level.")).toBeTruthy()
    expect(screen.getByText("1.5 × stars on each order")).toBeTruthy()
    expect(screen.getByText("Yours until Mar 1, 2027")).toBeTruthy()
  })

  test("is missing without levels", async () => {
    const { container } = await show(<TierProgress />, { actions: actionsWith({ balance: () => ok({ ...BALANCE, tier: null }) }) })

    expect(container.textContent).toBe("")
  })
})

describe("Referral", () => {
  test("copies the link", async () => {
    const writeText = vi.fn(() => Promise.resolve())
    vi.stubGlobal("navigator", { clipboard: { writeText } })
    await show(<Referral link="https://shop.example/?code={code}" />)
    expect(screen.getByText("2 recommended, 100 stars earned")).toBeTruthy()

    await click("Copy")

    expect(writeText).toHaveBeenCalledExactlyOnceWith("https://shop.example/?code=FRIEND7")
    expect(screen.getByText("Copied.")).toBeTruthy()
    vi.unstubAllGlobals()
  })

  test("selects the code where the browser cannot copy, as on plain HTTP in some", async () => {
    await show(<Referral />)

    await click("Copy")

    expect(screen.getByText("Select the text and copy it, please.")).toBeTruthy()
    const field = screen.getByLabelText<HTMLInputElement>("Your code")
    expect(field.value.slice(field.selectionStart ?? 0, field.selectionEnd ?? 0)).toBe("FRIEND7")
    expect(screen.queryByRole("button", { name: "Share" })).toBeNull()
  })

  test("shares where the browser can", async () => {
    const share = vi.fn(() => Promise.reject(new Error("closed")))
    vi.stubGlobal("navigator", { share })
    await show(<Referral link="https://shop.example/{code}" />)

    await click("Share")

    expect(share).toHaveBeenCalledExactlyOnceWith({
      text: "Use my code FRIEND7 for your first order.",
      url: "https://shop.example/FRIEND7",
    })
    vi.unstubAllGlobals()
  })

  test("takes a friend's code, and shows the answer of the shop", async () => {
    const { actions } = await show(<Referral />, {
      actions: actionsWith({ useReferral: failing("own_referral_code", "This is your own code.", 409) }),
    })
    await click("Enter the code")
    expect(screen.getByText("Enter the code first: letters and digits.")).toBeTruthy()
    expect(actions.useReferral).not.toHaveBeenCalled()

    fireEvent.change(screen.getByLabelText("Code of your friend"), { target: { value: " FRIEND7 " } })
    expect(screen.queryByText("Enter the code first: letters and digits.")).toBeNull()
    await click("Enter the code")

    expect(actions.useReferral).toHaveBeenCalledExactlyOnceWith("FRIEND7")
    expect(screen.getByRole("alert").textContent).toBe("This is your own code.")
  })
})

describe("OpenRedemptions", () => {
  test("gives points back, and says so when none is open any more", async () => {
    const { actions } = await show(<OpenRedemptions />)
    expect(screen.getByText("Code DUST-ABC")).toBeTruthy()
    actions.redemptions.mockResolvedValue({ data: { redemptions: [{ ...REDEMPTION, state: "released" }], next_cursor: null, now: QUOTE.now } })

    await click("Remove: €5.00 off")

    expect(actions.release).toHaveBeenCalledExactlyOnceWith("dred_1")
    expect(screen.getByRole("status").textContent).toBe("Removed. Your stars are available again.")
    expect(screen.queryByRole("listitem")).toBeNull()
  })

  test("says nothing about it when the shopper comes back to the page", async () => {
    vi.useFakeTimers({ now: NOW })
    const { actions, rerender } = await show(<OpenRedemptions />)
    actions.redemptions.mockResolvedValue({ data: { redemptions: [], next_cursor: null, now: QUOTE.now } })
    await click("Remove: €5.00 off")
    await settle()
    expect(screen.getByRole("status").textContent).toBe("Removed. Your stars are available again.")

    rerender(<Shop actions={actions}>{null}</Shop>)
    await act(() => vi.advanceTimersByTimeAsync(5_000))
    rerender(<Shop actions={actions}>{<OpenRedemptions />}</Shop>)
    await settle()

    expect(screen.queryByText("Open codes")).toBeNull()
  })

  test("says why a code cannot be given back", async () => {
    await show(<OpenRedemptions />, { actions: actionsWith({ release: failing("already_used", "An order has used it.", 409) }) })

    await click("Remove: €5.00 off")

    expect(within(screen.getByRole("alert")).getByText("An order has used it.")).toBeTruthy()
  })

  test.each([
    [
      "The points come back as soon as the code is withdrawn: the shop keeps trying.",
      "The stars come back as soon as the code is withdrawn: the shop keeps trying.",
      "Ihre Sterne kommen zurück, sobald der Code entfernt ist: der Shop versucht es weiter.",
    ],
    [
      "The code could not be put into the cart: please enter it there.",
      "The code could not be put into the cart: please enter it there.",
      "Der Code ist nicht im Warenkorb: bitte geben Sie ihn dort ein.",
    ],
  ])("says what is wrong with a code, in the shop's language and its word for points: %s", async (reason, english, german) => {
    const actions = actionsWith({ redemptions: () => ok({ redemptions: [{ ...REDEMPTION, reason }], next_cursor: null, now: QUOTE.now }) })
    const { unmount } = await show(<OpenRedemptions />, { actions })
    expect(screen.getByText(english)).toBeTruthy()

    unmount()
    const programme = { ...PROGRAMME, name: { one: "Stern", many: "Sterne" } }
    await show(<OpenRedemptions />, { actions, programme, messages: de, locale: "de-DE" })
    expect(screen.getByText(german)).toBeTruthy()
  })

  test("is missing when nothing is open", async () => {
    const { container } = await show(<OpenRedemptions />, {
      actions: actionsWith({ redemptions: () => ok({ redemptions: [{ ...REDEMPTION, state: "captured" as const }], next_cursor: null, now: QUOTE.now }) }),
    })

    expect(container.textContent).toBe("")
  })
})

describe("ThankYou", () => {
  test("shows what the order earned by rule and used, and the balance is loaded again", async () => {
    const { actions } = await show(
      <>
        <NavBalance />
        <ThankYou orderId="order_1" />
      </>,
      { initial: { balance: BALANCE } },
    )

    expect(screen.getByText("You earned 45 stars with this order.")).toBeTruthy()
    expect(screen.getByText("You used 500 stars.")).toBeTruthy()
    expect(screen.getByText("double week").nextSibling?.textContent).toBe("15")
    expect(actions.order).toHaveBeenCalledWith("order_1")
    expect(actions.balance).toHaveBeenCalledOnce()
  })

  test("waits until Dust knows the order", async () => {
    vi.useFakeTimers({ now: NOW })
    const { actions } = await show(<ThankYou orderId="order_1" />, {
      actions: actionsWith({ order: failing("order_not_found", "Not found.", 404) }),
    })
    expect(screen.getByText("Your stars for this order arrive in a moment.")).toBeTruthy()

    actions.order.mockResolvedValue({ data: { ...ORDER, pending: 45, matures_at: "2026-12-09T12:00:00Z" } })
    await act(() => vi.advanceTimersByTimeAsync(1_100))

    expect(screen.getByText("You earned 45 stars with this order. Ready to use from Dec 9, 2026.")).toBeTruthy()
  })

  test("stops asking for an order that Dust never hears of", async () => {
    vi.useFakeTimers({ now: NOW })
    const { actions, container } = await show(<ThankYou orderId="order_1" />, {
      actions: actionsWith({ order: failing("order_not_found", "Not found.", 404) }),
    })

    for (let seconds = 0; seconds < 120; seconds += 5) await act(() => vi.advanceTimersByTimeAsync(5_000))

    expect(actions.order).toHaveBeenCalledTimes(7)
    expect(container.textContent).toBe("")
  })

  test("of an order that earns when it is paid says so", async () => {
    const order = { ...ORDER, earned: 0, spent: 0, state: "pending" as const }
    await show(<ThankYou orderId="order_1" />, { actions: actionsWith({ order: () => ok(order) }) })

    expect(screen.getByText("Your stars for this order come when it is paid.")).toBeTruthy()
  })

  test("of an order that was returned says what came back", async () => {
    const order = { ...ORDER, earned: 0, taken_back: 45, given_back: 500 }
    await show(<ThankYou orderId="order_1" />, { actions: actionsWith({ order: () => ok(order) }) })

    expect(screen.getByText("A return or a cancel took back 45 stars.")).toBeTruthy()
    expect(screen.getByText("You got 500 stars back.")).toBeTruthy()
    expect(screen.queryByText(/You earned/)).toBeNull()
  })

  test("of an order without points shows nothing", async () => {
    const { container } = await show(<ThankYou orderId="order_1" />, {
      actions: actionsWith({ order: () => ok({ ...ORDER, earned: 0, spent: 0 }) }),
    })

    expect(container.textContent).toBe("")
  })

  test("lets the next cart have a quote of its own", async () => {
    const { actions } = await show(
      <>
        <EarnHint cart />
        <ThankYou orderId="order_1" />
      </>,
      { customerId: null, initial: { quote: GUEST_QUOTE }, actions: actionsWith({ quote: failing("no_cart") }) },
    )

    expect(actions.quote).toHaveBeenCalled()
    expect(screen.queryByText("Earn 25 stars")).toBeNull()
    expect(screen.getByText("This order keeps 25 stars for you.")).toBeTruthy()
  })

  test("lets the cart's page ask again, on the way back from the order to a page that the browser has kept", async () => {
    const quote = { ...QUOTE, max_dust: 777 }
    const actions = actionsWith({ quote: () => ok(QUOTE) })
    const { rerender } = await show(<CheckoutPanel quote={quote} />, { actions, initial: {} })
    rerender(<Shop actions={actions}><ThankYou orderId="order_1" /></Shop>)
    await settle()
    expect(actions.quote).not.toHaveBeenCalled()

    actions.quote.mockResolvedValue({ error: { code: "no_cart", message: "" } })
    rerender(<Shop actions={actions}><CheckoutPanel quote={quote} /></Shop>)
    await settle()

    expect(actions.quote).toHaveBeenCalledOnce()
    expect(screen.queryByText("Pay with stars")).toBeNull()
  })

  test("of a guest says what is kept", async () => {
    const { container } = await show(<ThankYou orderId="order_1" signUpHref="/register" />, {
      customerId: null,
      initial: { quote: GUEST_QUOTE },
    })

    expect(container.textContent).toContain("This order keeps 25 stars for you.")
    expect(screen.getByRole("link", { name: "Create an account" })).toBeTruthy()
  })
})
