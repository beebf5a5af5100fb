// @vitest-environment jsdom
import { act, screen } from "@testing-library/react"
import { describe, expect, test, vi } from "vitest"
import { CheckoutPanel, EarnHint, GuestNudge, NavBalance, PointsPrice } from "../../src/react/index.js"
import { actionsWith, BALANCE, failing, GUEST_QUOTE, NOW, ok, PROGRAMME, QUOTE, settle, Shop, show } from "./support.js"

describe("NavBalance", () => {
  test("shows what can be spent, in the shop's own word, as a link", async () => {
    await show(<NavBalance href="/account" />)

    const link = screen.getByRole("link", { name: "Your balance: 1,200 stars" })
    expect(link.textContent).toBe("1,200 stars")
    expect(link.getAttribute("href")).toBe("/account")
  })

  test("shows nothing to guests, and asks nothing", async () => {
    const { container, actions } = await show(<NavBalance />, { customerId: null })

    expect(container.textContent).toBe("")
    expect(actions.balance).not.toHaveBeenCalled()
  })

  test("shows nothing when the session has ended", async () => {
    const { container } = await show(<NavBalance />, { actions: actionsWith({ balance: failing("not_authenticated") }) })

    expect(container.innerHTML).toBe("")
  })

  test("keeps its place while Dust is slow or down", async () => {
    const { container } = await show(<NavBalance />, { actions: actionsWith({ balance: failing("timeout") }) })

    expect(container.querySelector(".dust-nav-empty")).toBeTruthy()
  })

  test("never shows another customer's points", async () => {
    const actions = actionsWith()
    const { rerender, container } = await show(<NavBalance />, { actions, customerId: "cus_1" })
    expect(container.textContent).toBe("1,200 stars")
    actions.balance.mockReturnValue(new Promise(() => {}))

    rerender(
      <Shop actions={actions} customerId="cus_2">
        <NavBalance />
      </Shop>,
    )

    expect(container.textContent).toBe("")
  })

  test("is loaded again when the shopper comes back from another tab", async () => {
    vi.useFakeTimers({ now: NOW })
    const visibility = vi.spyOn(document, "visibilityState", "get")
    const { actions } = await show(<NavBalance />)

    visibility.mockReturnValue("hidden")
    document.dispatchEvent(new Event("visibilitychange"))
    await act(() => vi.advanceTimersByTimeAsync(60_000))
    visibility.mockReturnValue("visible")
    document.dispatchEvent(new Event("visibilitychange"))
    await settle()

    expect(actions.balance).toHaveBeenCalledTimes(2)
    visibility.mockRestore()
  })

  test("and a balance elsewhere on the page share one request", async () => {
    const { actions } = await show(
      <>
        <NavBalance />
        <NavBalance />
      </>,
    )

    expect(actions.balance).toHaveBeenCalledOnce()
  })
})

describe("EarnHint", () => {
  test("asks for all products of a list in one call", async () => {
    const { actions } = await show(
      <>
        <EarnHint productId="mug" amount="10.00" />
        <EarnHint productId="cup" amount={4} quantity={2} />
      </>,
    )

    expect(screen.getAllByText("Earn 20 stars")).toHaveLength(2)
    expect(actions.forecast).toHaveBeenCalledExactlyOnceWith("eur", [
      { product_id: "mug", amount: "10.00", quantity: 1 },
      { product_id: "cup", amount: 4, quantity: 2 },
    ])
  })

  test("asks for at most 100 products in a call", async () => {
    const ids = Array.from({ length: 150 }, (_, index) => `prod_${index}`)
    const { actions } = await show(ids.map((id) => <EarnHint key={id} productId={id} amount="1" />))

    expect(actions.forecast.mock.calls.map(([, items]) => items.length)).toEqual([100, 50])
    expect(screen.getAllByText("Earn 20 stars")).toHaveLength(150)
  })

  test("keeps its number until the one of another variant is there", async () => {
    const actions = actionsWith()
    const { rerender } = await show(<EarnHint productId="mug" amount="10" />, { actions })
    actions.forecast.mockReturnValue(new Promise(() => {}))

    rerender(
      <Shop actions={actions}>
        <EarnHint productId="mug" amount="12" />
      </Shop>,
    )
    await settle()

    expect(screen.getByText("Earn 20 stars")).toBeTruthy()
  })

  test("shows no number of another variant while Dust is down", async () => {
    const actions = actionsWith()
    const { rerender } = await show(<EarnHint productId="mug" amount="10" />, { actions })
    actions.forecast.mockResolvedValue({ error: { code: "timeout", message: "" } })

    rerender(
      <Shop actions={actions}>
        <EarnHint productId="mug" amount="12" />
      </Shop>,
    )
    await settle()

    expect(screen.queryByText("Earn 20 stars")).toBeNull()
  })

  test("shows what the server has asked, without a call", async () => {
    const { actions } = await show(<EarnHint points={1} />)

    expect(screen.getByText("Earn 1 star")).toBeTruthy()
    expect(actions.forecast).not.toHaveBeenCalled()
  })

  test("of a cart says by which rules", async () => {
    await show(<EarnHint cart />)

    expect(screen.getByText("You earn 45 stars with this order.")).toBeTruthy()
    expect(screen.getByText("Basic rate").nextSibling?.textContent).toBe("30")
    expect(screen.getByText("double week").nextSibling?.textContent).toBe("15")
  })

  test("keeps its place while Dust is down", async () => {
    const { container } = await show(<EarnHint productId="mug" amount="10" />, {
      actions: actionsWith({ forecast: () => Promise.reject(new Error("down")) }),
    })

    expect(container.querySelector(".dust-earn")?.textContent).toBe("")
  })
})

describe("PointsPrice", () => {
  test("shows no money for what only points can buy", async () => {
    const { container } = await show(
      <PointsPrice price={{ dust_only: true, dust_price: 500 }} quantity={2}>
        €20.00
      </PointsPrice>,
    )

    expect(container.textContent).toBe("1,000 stars")
  })

  test("shows both where both can buy", async () => {
    const { container } = await show(<PointsPrice price={{ dust_only: false, dust_price: 900 }} amount="9.5" />)

    expect(container.textContent).toBe("€9.50 or 900 stars")
  })

  test("is asked for with all other prices of the page, and shows no money before that is known", async () => {
    let answer: (result: { data: Record<string, { dust_only: boolean; dust_price: number }> }) => void = () => {}
    const { container, actions } = await show(
      <>
        <PointsPrice productId="mug" amount="10" />
        <PointsPrice productId="cup" amount="4" />
      </>,
      { actions: actionsWith({ products: () => new Promise((resolve) => (answer = resolve)) }) },
    )
    expect(container.textContent).toBe("")

    answer({ data: { mug: { dust_only: true, dust_price: 500 } } })
    await settle()

    expect(actions.products).toHaveBeenCalledExactlyOnceWith(["mug", "cup"])
    expect(container.textContent).toBe("500 stars€4.00")
  })

  test("is the price in money when Dust is down", async () => {
    const { container } = await show(<PointsPrice productId="mug" amount="10" />, {
      actions: actionsWith({ products: failing("unreachable") }),
    })

    expect(container.textContent).toBe("€10.00")
  })

  test("has no decimals in yen", async () => {
    const { container } = await show(<PointsPrice price={null} amount="1200" />, { currency: "jpy" })

    expect(container.textContent).toBe("¥1,200")
  })
})

describe("guests", () => {
  const guests = (change = {}) => ({
    customerId: null,
    actions: actionsWith({ quote: () => ok({ ...GUEST_QUOTE, ...change }) }),
  })

  test("see what their order keeps, and for how long", async () => {
    const { container } = await show(<GuestNudge signUpHref="/register" signInHref="/login" />, guests())

    expect(container.textContent).toContain("This order keeps 25 stars for you.")
    expect(container.textContent).toContain("within 90 days")
    expect(screen.getByRole("link", { name: "Create an account" }).getAttribute("href")).toBe("/register")
    expect(screen.getByRole("link", { name: "Sign in" }).getAttribute("href")).toBe("/login")
  })

  test("see the bonus for an account where nothing is kept", async () => {
    const { container } = await show(<GuestNudge />, guests({ escrow: 0 }))

    expect(container.textContent).toContain("Create an account and get 50 stars.")
  })

  test("are told which products need an account, in the panel too", async () => {
    const account_items = [{ product_id: "mug", quantity: 1, dust: 500 }]
    await show(<CheckoutPanel names={{ mug: "Mug" }} />, guests({ account_items }))

    expect(screen.getByText("Sign in to buy Mug: only stars can pay for it.")).toBeTruthy()
  })

  test("are the only ones who see it", async () => {
    const { container } = await show(<GuestNudge />, { customerId: "cus_1" })

    expect(container.textContent).toBe("")
  })
})

describe("the word for points", () => {
  test("is the language's where the shop has chosen none", async () => {
    const { de } = await import("../../src/index.js")
    const programme = { ...PROGRAMME, name: { one: "point", many: "points" } }
    const { container } = await show(<NavBalance />, { programme, messages: de, locale: "de-DE" })

    expect(container.textContent).toBe("1.200 Punkte")
  })

  test("comes with the rules, which are loaded if the page has none", async () => {
    const { container } = await show(<NavBalance />, {
      programme: undefined,
      actions: actionsWith({ programme: () => ok(PROGRAMME), balance: () => ok({ ...BALANCE, available: 1 }) }),
    })

    expect(container.textContent).toBe("1 star")
  })

  test("may be changed with a sentence of the shop's own", async () => {
    await show(<EarnHint cart />, { messages: { earnOrder: "+{points} for you" }, actions: actionsWith({ quote: () => ok(QUOTE) }) })

    expect(screen.getByText("+45 stars for you")).toBeTruthy()
  })
})
