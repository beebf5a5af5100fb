// @vitest-environment jsdom
import { act, fireEvent, screen, within } from "@testing-library/react"
import { describe, expect, test, vi } from "vitest"
import type { CustomerQuote, DustResult, Redemption } from "../../src/index.js"
import { CheckoutPanel, NavBalance } from "../../src/react/index.js"
import { APPLIED, actionsWith, failing, NOW, ok, PROGRAMME, QUOTE, REDEMPTION, REWARD, settle, Shop, show } from "./support.js"

const field = () => screen.getByLabelText<HTMLInputElement>("How many stars?")
const slider = () => screen.getByRole<HTMLInputElement>("slider")
const type = (value: string) => fireEvent.change(field(), { target: { value } })

async function click(name: string | RegExp): Promise<void> {
  fireEvent.click(screen.getByRole("button", { name }))
  await settle()
}

describe("the amount", () => {
  test("begins with the most that the cart takes, in field, slider and button", async () => {
    await show(<CheckoutPanel />)

    expect(field().value).toBe("1000")
    expect(slider().value).toBe("1000")
    expect(screen.getByText("€10.00 off")).toBeTruthy()
    expect(screen.getByRole("button", { name: "Use 1,000 stars" })).toBeTruthy()
  })

  test("of the slider is the amount of the field", async () => {
    await show(<CheckoutPanel />)

    fireEvent.change(slider(), { target: { value: "250" } })

    expect(field().value).toBe("250")
    expect(screen.getByText("€2.50 off")).toBeTruthy()
    expect(slider().getAttribute("aria-valuetext")).toBe("250 stars: €2.50 off")
  })

  test("of the field is the amount of the slider", async () => {
    await show(<CheckoutPanel />)

    type("640")

    expect(slider().value).toBe("640")
    expect(screen.getByText("€6.40 off")).toBeTruthy()
  })

  test("never leaves the limits on the slider, which ends on round numbers", async () => {
    await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, min_dust: 101, max_dust: 998 }) }) })

    fireEvent.change(slider(), { target: { value: slider().max } })
    expect(field().value).toBe("998")
    fireEvent.change(slider(), { target: { value: slider().min } })
    expect(field().value).toBe("101")
  })

  test("can be chosen with one click", async () => {
    await show(<CheckoutPanel />)

    await click("500")

    expect(field().value).toBe("500")
    expect(screen.getByRole("button", { name: "500" }).getAttribute("aria-pressed")).toBe("true")
  })

  test.each([
    ["", "Enter how many stars you want to use, from 100 to 1,000."],
    ["0", "Enter at least 100."],
    ["-5", "Enter at least 100."],
    ["\u22125", "Enter at least 100."],
    ["1.5", "Enter a whole number, such as 1,000."],
    ["abc", "Enter a whole number, such as 1,000."],
    ["1e9", "Enter a whole number, such as 1,000."],
    ["1000000000", "You have 1,200 stars. Enter 1,000 or less."],
    ["1100", "This cart takes at most 1,000. Enter 1,000 or less."],
  ])("%j is not sent, and a sentence says what to do", async (text, sentence) => {
    const { actions } = await show(<CheckoutPanel />)

    type(text)
    fireEvent.submit(field().form as HTMLFormElement)
    await settle()

    expect(screen.getByText(sentence)).toBeTruthy()
    expect(field().getAttribute("aria-invalid")).toBe("true")
    expect(document.activeElement).toBe(field())
    expect(actions.redeem).not.toHaveBeenCalled()
  })

  test("may be written with the separators of the language", async () => {
    const { actions } = await show(<CheckoutPanel />)

    type("1,000")
    await click("Use 1,000 stars")

    expect(actions.redeem).toHaveBeenCalledWith({ dust: 1000 }, expect.any(String))
  })

  test.each(["1,20,000", "120,000", "1 20 000", "\u200e120000", "120000\u200b"])("may be pasted as it is shown in India, %j", async (text) => {
    const { actions } = await show(<CheckoutPanel />, {
      locale: "en-IN",
      actions: actionsWith({ quote: () => ok({ ...QUOTE, max_dust: 150_000, max_value: "1500.00", available: 150_000 }) }),
    })

    type(text)
    await click("Use 1,20,000 stars")

    expect(actions.redeem).toHaveBeenCalledWith({ dust: 120_000 }, expect.any(String))
  })

  test.each(["ar-EG", "fa", "bn-BD", "mr", "ne", "my", "sv", "de-CH", "fr"])("may be typed as they are shown in %s", async (locale) => {
    const { actions } = await show(<CheckoutPanel />, { locale })

    type(new Intl.NumberFormat(locale).format(1000))
    fireEvent.submit(field().form as HTMLFormElement)
    await settle()

    expect(actions.redeem).toHaveBeenCalledWith({ dust: 1000 }, expect.any(String))
  })

  test("are not corrected while more digits can help", async () => {
    await show(<CheckoutPanel />)

    type("5")
    expect(screen.queryByText("Enter at least 100.")).toBeNull()
    expect(field().getAttribute("aria-invalid")).toBeNull()

    fireEvent.blur(field())
    expect(screen.getByText("Enter at least 100.")).toBeTruthy()
  })

  test("loses the points that have no effect", async () => {
    const programme = { redeem: { rates: { jpy: "100" }, min_dust: 100, max_dust: null, max_share: "1" } }
    const { actions } = await show(<CheckoutPanel />, {
      programme: { ...PROGRAMME, ...programme },
      currency: "jpy",
      actions: actionsWith({ quote: () => ok({ ...QUOTE, currency_code: "jpy", max_value: "10" }) }),
    })

    type("299")
    expect(screen.getByText("¥2 off")).toBeTruthy()
    await click("Use 200 stars")

    expect(actions.redeem).toHaveBeenCalledWith({ dust: 200 }, expect.any(String))
  })

  test.each([
    // Browsers have two decimals for it, and Medusa none.
    ["irt", "10", "IRT 2.00 off", 200],
    ["kwd", "10.000", "KWD 2.990 off", 299],
  ])("takes off what Medusa's decimals of %s allow", async (currency, most, off, used) => {
    const programme = { redeem: { rates: { [currency]: "100" }, min_dust: 100, max_dust: null, max_share: "1" } }
    await show(<CheckoutPanel />, {
      programme: { ...PROGRAMME, ...programme },
      currency,
      actions: actionsWith({ quote: () => ok({ ...QUOTE, currency_code: currency, max_value: most }) }),
    })

    type("299")
    expect(screen.getByText((text) => text.replace(/\s/g, " ") === off)).toBeTruthy()
    expect(screen.getByRole("button", { name: `Use ${used} stars` })).toBeTruthy()
  })
})

describe("points that cannot be used", () => {
  const none = { max_dust: 0, max_value: "0.00", reason: "A sentence of Dust." } as const

  test.each([
    [
      { available: 40, reason_code: "insufficient_dust" },
      "You can use 100 stars or more at a time. You need 60 stars more.",
      "Einlösen geht ab 100 Sterne. Es fehlen noch 60 Sterne.",
    ],
    [
      { available: 0, min_dust: 1, reason_code: "insufficient_dust" },
      "You have no stars to use right now.",
      "Sie haben gerade keine Sterne zum Einlösen.",
    ],
    [
      { reason_code: "cart_too_small" },
      "This cart is too small: you can use 100 stars or more at a time. Add more products to use stars.",
      "Dieser Warenkorb ist zu klein: Einlösen geht ab 100 Sterne. Legen Sie mehr hinein, um Sterne einzulösen.",
    ],
    [
      { reason_code: "cart_too_small", redemptions: [APPLIED] },
      "No more stars can be used for this cart.",
      "Für diesen Warenkorb lassen sich keine weiteren Sterne einlösen.",
    ],
    [
      { reason_code: "cart_takes_no_points", redemptions: [APPLIED] },
      "No more stars can be used for this cart.",
      "Für diesen Warenkorb lassen sich keine weiteren Sterne einlösen.",
    ],
    [
      { reason_code: "cart_takes_no_points" },
      "No stars can be used for this cart.",
      "Für diesen Warenkorb lassen sich keine Sterne einlösen.",
    ],
    [
      { currency_code: "usd", reason_code: "no_redeem_rate" },
      "Stars cannot be used for prices in USD.",
      "Für Preise in USD lassen sich keine Sterne einlösen.",
    ],
    [
      { reason_code: "too_many_open_redemptions" },
      "You have too many codes that are not used yet. Use or remove one of them, here or in your account.",
      "Sie haben zu viele offene Codes. Benutzen oder entfernen Sie einen davon, hier oder in Ihrem Konto.",
    ],
    [{ reason_code: "a_new_reason", reason: "Points rest today." }, "Stars rest today.", "Sterne rest today."],
  ])("%j says why", async (change, english, german) => {
    const { de } = await import("../../src/index.js")
    const actions = actionsWith({ quote: () => ok({ ...QUOTE, ...none, ...change }) })
    const { unmount } = await show(<CheckoutPanel />, { actions })
    expect(screen.getByText(english)).toBeTruthy()
    expect(screen.queryByRole("slider")).toBeNull()

    unmount()
    const programme = { ...PROGRAMME, name: { one: "Stern", many: "Sterne" } }
    await show(<CheckoutPanel />, { actions, programme, messages: de, locale: "de-DE" })
    expect(screen.getByText(german)).toBeTruthy()
  })
})

describe("redeeming", () => {
  test("shows the result, and loads balance, quote and cart again", async () => {
    const onCartChange = vi.fn()
    const { actions } = await show(
      <>
        <NavBalance />
        <CheckoutPanel />
      </>,
      { onCartChange },
    )
    actions.quote.mockResolvedValue({ data: { ...QUOTE, available: 700, max_dust: 400, max_value: "4.00" } })
    actions.balance.mockResolvedValue({ error: { code: "timeout", message: "" } })

    type("500")
    await click("Use 500 stars")

    expect(actions.redeem).toHaveBeenCalledExactlyOnceWith({ dust: 500 }, expect.stringMatching(/.{16,}/))
    expect(within(screen.getByRole("status")).getByText("500 stars used: €5.00 off.")).toBeTruthy()
    expect(onCartChange).toHaveBeenCalledOnce()
    // The field does not keep the old number, and the navigation shows what the panel shows.
    expect(field().value).toBe("400")
    expect(screen.getByText("700 stars")).toBeTruthy()
    expect(screen.getByText("You have 700 stars")).toBeTruthy()
  })

  test("happens once for a double click", async () => {
    let finish: (result: DustResult<Redemption>) => void = () => {}
    const { actions } = await show(<CheckoutPanel />, {
      actions: actionsWith({ redeem: () => new Promise((resolve) => (finish = resolve)) }),
    })
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "Use 1,000 stars" })

    act(() => {
      button.click()
      button.click()
    })
    await settle()
    button.click()
    await settle()

    expect(actions.redeem).toHaveBeenCalledOnce()
    expect(button.getAttribute("aria-disabled")).toBe("true")
    // A browser takes the focus from a button that is `disabled`.
    expect(button.disabled).toBe(false)
    expect(button.textContent).toBe("One moment…")
    finish({ data: REDEMPTION })
    await settle()
    expect(button.getAttribute("aria-disabled")).toBeNull()
  })

  test.each([
    ["a success without a body", { code: "unavailable", message: "", status: 202 }],
    ["a proxy that gives up", { code: "unavailable", message: "", status: 408 }],
    ["a proxy that is too busy", { code: "unavailable", message: "", status: 429 }],
    ["a session that ended while the code was made", { code: "not_authenticated", message: "", status: 401 }],
  ])("uses the same key again after %s: the request may have redeemed", async (_, error) => {
    const { actions } = await show(<CheckoutPanel />, { actions: actionsWith({ redeem: () => Promise.resolve({ error }) }) })

    await click("Use 1,000 stars")
    await click("Use 1,000 stars")

    const [first, second] = actions.redeem.mock.calls.map(([, key]) => key)
    expect(second).toBe(first)
  })

  test("uses the same key again while the outcome is unknown, and a new one after that", async () => {
    const { actions } = await show(<CheckoutPanel />)
    actions.redeem.mockResolvedValueOnce({ error: { code: "timeout", message: "" } })

    await click(/^Use/)
    await click(/^Use/)
    await click(/^Use/)

    const [lost, repeated, next] = actions.redeem.mock.calls.map(([, key]) => key)
    expect(repeated).toBe(lost)
    expect(next).not.toBe(lost)
  })

  test("scrolls its result into sight, above what it changes", async () => {
    const scroll = vi.fn()
    Element.prototype.scrollIntoView = scroll
    await show(<CheckoutPanel />)

    await click(/^Use/)

    expect(scroll).toHaveBeenCalledExactlyOnceWith({ block: "nearest" })
    const result = scroll.mock.contexts[0] as Element
    expect(result.textContent).toBe("500 stars used: €5.00 off.")
    expect(result.compareDocumentPosition(field())).toBe(Node.DOCUMENT_POSITION_FOLLOWING)
  })

  test("without a connection leaves the page alone until the connection is back", async () => {
    const onCartChange = vi.fn()
    const { actions } = await show(<CheckoutPanel />, {
      onCartChange,
      actions: actionsWith({ redeem: () => Promise.reject(new TypeError("Failed to fetch")) }),
    })

    await click(/^Use/)
    expect(onCartChange).not.toHaveBeenCalled()

    actions.quote.mockResolvedValue({ data: { ...QUOTE, available: 700 } })
    window.dispatchEvent(new Event("online"))
    await settle()
    expect(onCartChange).toHaveBeenCalledOnce()
    expect(screen.getByText("You have 700 stars")).toBeTruthy()
  })

  test("that fails says why until the next action", async () => {
    const { actions } = await show(<CheckoutPanel />, {
      actions: actionsWith({ redeem: failing("cart_completed", "This cart is an order already.", 409) }),
    })

    await click(/^Use/)
    type("300")
    await settle()
    expect(screen.getByRole("alert").textContent).toBe("This cart is an order already.")

    actions.redeem.mockResolvedValue({ data: REDEMPTION })
    await click(/^Use/)
    expect(screen.getByRole("alert").textContent).toBe("")
  })

  test("that fails in Dust has one sentence in the shop's language, whatever its code", async () => {
    const { de } = await import("../../src/index.js")
    await show(<CheckoutPanel />, {
      messages: de,
      locale: "de-DE",
      actions: actionsWith({ redeem: failing("database_unavailable", "Points are not available right now.", 503) }),
    })

    await click(/einlösen$/)

    expect(screen.getByRole("alert").textContent).toBe("Stars sind gerade nicht erreichbar. Bitte versuchen Sie es gleich noch einmal.")
  })

  test("keeps its error when the page takes the panel away and brings it back", async () => {
    const actions = actionsWith({ redeem: failing("not_authenticated", "Please sign in to see and use your points.", 401) })
    const { rerender } = await show(<CheckoutPanel />, { actions })
    await click(/^Use/)

    rerender(<Shop actions={actions}>{null}</Shop>)
    actions.quote.mockResolvedValue({ error: { code: "not_authenticated", message: "" } })
    rerender(
      <Shop actions={actions}>
        <CheckoutPanel signInHref="/login" />
      </Shop>,
    )
    await settle()

    expect(screen.getByRole("alert").textContent).toBe("Please sign in to see and use your stars.")
  })

  test("says that points are used for as long as they are", async () => {
    const withCode = { ...QUOTE, redemptions: [APPLIED] }
    const { actions, rerender } = await show(<CheckoutPanel version="1" />)
    actions.quote.mockResolvedValue({ data: withCode })
    await click(/^Use/)
    expect(screen.getByRole("status").textContent).toBe("500 stars used: €5.00 off.")

    // The page is rendered again with the code, and then with more in the cart.
    actions.quote.mockResolvedValue({ data: { ...withCode, earn: 80, max_dust: 900 } })
    for (const version of ["2", "3"]) {
      rerender(<Shop actions={actions}>{<CheckoutPanel version={version} />}</Shop>)
      await settle()
      expect(screen.getByRole("status").textContent).toBe("500 stars used: €5.00 off.")
    }

    // Another tab removes the code.
    actions.quote.mockResolvedValue({ data: QUOTE })
    rerender(<Shop actions={actions}>{<CheckoutPanel version="4" />}</Shop>)
    await settle()
    expect(screen.getByRole("status").textContent).toBe("")
  })

  test("that failed says why until the cart changes", async () => {
    const actions = actionsWith({ redeem: failing("nothing_to_discount", "Nothing in this cart can be paid with points.", 409) })
    const { rerender } = await show(<CheckoutPanel version="1" />, { actions })
    await click(/^Use/)
    expect(screen.getByRole("alert").textContent).toBe("Nothing in this cart can be paid with stars.")

    actions.quote.mockResolvedValue({ data: { ...QUOTE, earn: 80 } })
    rerender(<Shop actions={actions}>{<CheckoutPanel version="2" />}</Shop>)
    await settle()
    expect(screen.getByRole("alert").textContent).toBe("")
  })

  test("keeps its result when the quote is loaded twice at the same time", async () => {
    const answers: ((result: DustResult<CustomerQuote>) => void)[] = []
    const pending = () => new Promise<DustResult<CustomerQuote>>((resolve) => answers.push(resolve))
    const { actions, rerender } = await show(<CheckoutPanel version="1" />)
    actions.quote.mockImplementationOnce(pending).mockImplementationOnce(pending)
    actions.redeem.mockImplementation(async () => {
      // The shop renders the page again with the answer of its action.
      setTimeout(() => rerender(<Shop actions={actions}>{<CheckoutPanel version="2" />}</Shop>), 0)
      return { data: REDEMPTION }
    })

    await click(/^Use/)
    await settle()
    expect(answers).toHaveLength(2)
    answers[0]?.({ data: QUOTE })
    await settle()
    answers[1]?.({ data: { ...QUOTE, redemptions: [APPLIED] } })
    await settle()

    expect(screen.getByText("Valid for", { exact: false })).toBeTruthy()
    expect(screen.getByRole("status").textContent).toBe("500 stars used: €5.00 off.")
  })

  test("says nothing about the last cart in the next one", async () => {
    vi.useFakeTimers({ now: NOW })
    const { actions, rerender } = await show(<CheckoutPanel />)
    await click(/^Use/)
    await settle()
    expect(screen.getByRole("status").textContent).toBe("500 stars used: €5.00 off.")

    rerender(<Shop actions={actions}>{null}</Shop>)
    await act(() => vi.advanceTimersByTimeAsync(5_000))
    rerender(<Shop actions={actions}>{<CheckoutPanel />}</Shop>)
    await settle()

    expect(screen.getByRole("status").textContent).toBe("")
  })

  test("with an action that throws is an error, not a broken page", async () => {
    await show(<CheckoutPanel />, {
      actions: actionsWith({ redeem: () => Promise.reject(new Error("An error occurred in the Server Components render")) }),
    })

    await click(/^Use/)

    expect(screen.getByRole("alert").textContent).toBe(
      "That did not work. Your stars are safe: please check your connection and try again.",
    )
  })
})

describe("what is used already", () => {
  test("is listed with the time that is left, and can be removed", async () => {
    vi.useFakeTimers({ now: NOW })
    const { actions } = await show(<CheckoutPanel />, {
      actions: actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED] }) }),
    })
    expect(screen.getByText("Valid for 1:00:00")).toBeTruthy()
    expect(screen.getByText("-500 stars")).toBeTruthy()
    await act(() => vi.advanceTimersByTimeAsync(61_000))
    expect(screen.getByText("Valid for 58:59")).toBeTruthy()

    actions.quote.mockResolvedValue({ data: QUOTE })
    screen.getByRole("button", { name: "Remove: €5.00 off" }).focus()
    await click("Remove: €5.00 off")
    await settle()

    expect(actions.release).toHaveBeenCalledExactlyOnceWith("dred_1")
    expect(screen.getByRole("status").textContent).toBe("Removed. Your stars are available again.")
    expect(screen.queryByText("Used for this cart")).toBeNull()
    expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Pay with stars" }))
  })

  test("gives the focus of its button to the title, also when it leaves the cart by itself", async () => {
    const other = { ...APPLIED, id: "dred_2", value: "2.00", dust: 200 }
    const actions = actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED, other] }), release: failing("unavailable", "", 503) })
    const { rerender } = await show(<CheckoutPanel version="1" />, { actions })
    screen.getByRole("button", { name: "Remove: €5.00 off" }).focus()
    await click("Remove: €5.00 off")
    await settle()
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Remove: €5.00 off" }))

    // Dust has stored the release, and carries it out later.
    actions.quote.mockResolvedValue({ data: { ...QUOTE, redemptions: [other] } })
    rerender(<Shop actions={actions}>{<CheckoutPanel version="2" />}</Shop>)
    await settle()

    expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Pay with stars" }))
  })

  test("takes no focus from the rest of the page", async () => {
    const actions = actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED] }) })
    const { rerender } = await show(<CheckoutPanel version="1" />, { actions })
    screen.getByRole("button", { name: "Remove: €5.00 off" }).focus()
    screen.getByRole("button", { name: "Remove: €5.00 off" }).blur()

    actions.quote.mockResolvedValue({ data: QUOTE })
    rerender(<Shop actions={actions}>{<CheckoutPanel version="2" />}</Shop>)
    await settle()

    expect(document.activeElement).toBe(document.body)
  })

  test.each([
    ["ahead", 3],
    ["behind", -3],
  ])("has the time that is left by the server's clock, when this device's is hours %s", async (_, hours) => {
    vi.useFakeTimers({ now: NOW + hours * 3_600_000 })
    const quote = () => ok({ ...QUOTE, redemptions: [APPLIED], now: new Date(Date.now() - hours * 3_600_000).toISOString() })
    const { actions } = await show(<CheckoutPanel />, { actions: actionsWith({ quote }) })

    expect(screen.getByText("Valid for 1:00:00")).toBeTruthy()
    await act(() => vi.advanceTimersByTimeAsync(61_000))
    expect(screen.getByText("Valid for 58:59")).toBeTruthy()
    expect(actions.quote).toHaveBeenCalledOnce()
    await act(() => vi.advanceTimersByTimeAsync(59 * 60_000))
    expect(screen.getByText("Expired. Your stars come back in a moment.")).toBeTruthy()
  })

  test("has the right time at once, when the server has read it and this device's clock is wrong", async () => {
    vi.useFakeTimers({ now: NOW - 3 * 3_600_000 })
    const quote = { ...QUOTE, redemptions: [APPLIED] }
    await show(<CheckoutPanel quote={quote} />, { initial: { quote } })

    expect(screen.getByText("Valid for 1:00:00")).toBeTruthy()
  })

  test("goes by this device's clock while an answer was on the way for seconds", async () => {
    vi.useFakeTimers({ now: NOW + 20_000 })
    await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED] }) }) })

    expect(screen.getByText("Valid for 59:40")).toBeTruthy()
  })

  test("disappears when its time is over", async () => {
    vi.useFakeTimers({ now: NOW })
    const onCartChange = vi.fn()
    const { actions } = await show(<CheckoutPanel />, {
      onCartChange,
      actions: actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED], now: new Date().toISOString() }) }),
    })

    await act(() => vi.advanceTimersByTimeAsync(60 * 60_000))
    expect(screen.getByText("Expired. Your stars come back in a moment.")).toBeTruthy()
    expect(onCartChange).toHaveBeenCalled()

    // Dust needs a moment to take the code out of the cart.
    await act(() => vi.advanceTimersByTimeAsync(6_000))
    expect(screen.getByText("Expired. Your stars come back in a moment.")).toBeTruthy()
    actions.quote.mockResolvedValue({ data: QUOTE })
    await act(() => vi.advanceTimersByTimeAsync(6_000))
    expect(screen.queryByText("Used for this cart")).toBeNull()
    const calls = actions.quote.mock.calls.length
    await act(() => vi.advanceTimersByTimeAsync(60_000))
    expect(actions.quote.mock.calls.length).toBe(calls)
  })

  test("cannot be changed in a locked panel", async () => {
    await show(<CheckoutPanel locked changeHref="/cart" />, {
      actions: actionsWith({ quote: () => ok({ ...QUOTE, redemptions: [APPLIED], rewards: [REWARD] }) }),
    })

    expect(screen.getByText("€5.00 off")).toBeTruthy()
    expect(screen.queryByRole("button")).toBeNull()
    expect(screen.getByRole("link", { name: "Change" }).getAttribute("href")).toBe("/cart")
  })
})

describe("products that points can buy", () => {
  const due = { dust_only_due: 600, dust_only: 600, dust_only_items: [{ product_id: "mug", quantity: 2, dust: 600 }] }

  test("are paid together if only points can buy them", async () => {
    const { actions } = await show(<CheckoutPanel names={{ mug: "Mug" }} />, {
      actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due }) }),
    })
    expect(screen.getByText("2 × Mug")).toBeTruthy()
    actions.redeem.mockResolvedValue({ data: { ...REDEMPTION, dust: 600 } })
    actions.quote.mockResolvedValue({ data: QUOTE })

    await click("Pay 600 stars")

    expect(actions.redeem).toHaveBeenCalledExactlyOnceWith({ pay: "dust_only" }, expect.any(String))
    expect(screen.getByText("Paid: 600 stars.")).toBeTruthy()
    expect(screen.queryByRole("button", { name: "Pay 600 stars" })).toBeNull()
  })

  test("are listed in a locked panel while they are not paid", async () => {
    await show(<CheckoutPanel names={{ mug: "Mug" }} locked changeHref="/cart" />, {
      actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due }) }),
    })

    expect(screen.getByText("2 × Mug")).toBeTruthy()
    expect(screen.getByText("These products can only be paid with stars.")).toBeTruthy()
    expect(screen.queryByRole("button")).toBeNull()
    expect(screen.getByRole("link", { name: "Change" })).toBeTruthy()
  })

  test("say how many points are missing, and how to order without them", async () => {
    await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due, available: 450, max_dust: 0 }) }) })

    expect(screen.getByText("You need 150 stars more. To order now, take some of these products out of the cart.")).toBeTruthy()
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Pay 600 stars" }).disabled).toBe(true)
  })

  test.each([{}, { available: 40 }, { currency_code: "usd" }])(
    "come before any word about a discount that the cart cannot get, %j",
    async (change) => {
      await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due, max_dust: 0, ...change }) }) })

      expect(screen.getByRole("button", { name: "Pay 600 stars" })).toBeTruthy()
      expect(screen.queryByRole("heading", { name: "Take something off the price" })).toBeNull()
      expect(screen.queryByText(/cannot be used|No more|too small|at a time/)).toBeNull()
    },
  )

  test("cannot be paid while too many codes are open, and the panel says so", async () => {
    const full = { max_dust: 0, reason: "You have 20.", reason_code: "too_many_open_redemptions" }
    await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due, ...full }) }) })

    expect(screen.getByText(/^You have too many codes that are not used yet/)).toBeTruthy()
  })

  test("leave the discount for the rest of the cart", async () => {
    await show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, ...due }) }) })

    expect(screen.getByRole("button", { name: "Use 1,000 stars" })).toBeTruthy()
  })

  test("are paid one by one if money can buy them too", async () => {
    const optional = [{ product_id: "cup", quantity: 2, dust: 900 }]
    const { actions } = await show(<CheckoutPanel names={{ cup: "Cup" }} />, {
      actions: actionsWith({ quote: () => ok({ ...QUOTE, optional }) }),
    })

    await click("Pay with 900 stars: Cup")

    expect(actions.redeem).toHaveBeenCalledExactlyOnceWith(
      { items: [{ product_id: "cup", quantity: 2 }] },
      expect.any(String),
    )
  })
})

describe("rewards", () => {
  const showRewards = (change: Partial<typeof REWARD>) =>
    show(<CheckoutPanel />, { actions: actionsWith({ quote: () => ok({ ...QUOTE, rewards: [{ ...REWARD, ...change }] }) }) })

  test("are redeemed by their id", async () => {
    const { actions } = await showRewards({})

    await click("Get it for 300 stars: 10 % off")

    expect(actions.redeem).toHaveBeenCalledExactlyOnceWith({ reward_id: "ten" }, expect.any(String))
    expect(screen.getByRole("status").textContent).toBe("10 % off: applied to your cart.")
  })

  test.each([
    [{ missing_dust: 40, affordable: false, reason: "You need 300 points and have 260." }, "You need 40 stars more."],
    [{ missing_amount: "12.50", fits: false, reason: "Too small." }, "Add €12.50 more to your cart."],
    [{ fits: false, reason: "Please choose the shipping first." }, "Please choose the shipping first."],
  ])("%j say why they cannot be had yet", async (change, reason) => {
    await showRewards(change)

    expect(screen.getByText(reason)).toBeTruthy()
    expect(screen.getByRole<HTMLButtonElement>("button", { name: /10 % off/ }).disabled).toBe(true)
  })
})

describe("bad days", () => {
  test("Dust that is down leaves a sentence and a way to try again", async () => {
    const { actions } = await show(<CheckoutPanel />, { actions: actionsWith({ quote: failing("unavailable", "", 503) }) })
    expect(screen.getByText(/Stars cannot be used right now/)).toBeTruthy()

    // Still down: the button shows that it works, and keeps the focus.
    let answer: (result: DustResult<CustomerQuote>) => void = () => {}
    actions.quote.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
    screen.getByRole("button", { name: "Try again" }).focus()
    await click("Try again")
    expect(screen.getByRole("button", { name: "One moment…" }).getAttribute("aria-disabled")).toBe("true")
    answer({ error: { code: "unavailable", message: "", status: 503 } })
    await settle()
    await settle()
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Try again" }))

    actions.quote.mockResolvedValue({ data: QUOTE })
    await click("Try again")
    await settle()

    expect(screen.getByRole("slider")).toBeTruthy()
    expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Pay with stars" }))
  })

  test("a session that ends says so once", async () => {
    const ended = failing("not_authenticated", "Please sign in to see and use your points.", 401)
    const { actions } = await show(<CheckoutPanel signInHref="/login" />, { actions: actionsWith({ redeem: ended }) })
    actions.quote.mockImplementation(ended)

    await click(/^Use/)

    expect(screen.getByRole("alert").textContent).toBe("Please sign in to see and use your stars.")
    expect(screen.getAllByText("Please sign in to see and use your stars.")).toHaveLength(1)
    expect(screen.getByRole("link", { name: "Sign in" })).toBeTruthy()
  })

  test("a cart that Dust refuses has the sentence of Dust", async () => {
    await show(<CheckoutPanel />, {
      actions: actionsWith({ quote: failing("unknown_cart", "Please sign in to the account of this cart to use points.", 404) }),
    })

    expect(screen.getByText("Please sign in to the account of this cart to use stars.")).toBeTruthy()
  })

  test("Dust that goes down later leaves the last quote", async () => {
    const actions = actionsWith()
    const { rerender } = await show(<CheckoutPanel version={1} />, { actions })
    actions.quote.mockRejectedValue(new Error("network"))

    rerender(
      <Shop actions={actions}>
        <CheckoutPanel version={2} />
      </Shop>,
    )
    await settle()

    expect(actions.quote).toHaveBeenCalledTimes(2)
    expect(screen.getByRole("slider")).toBeTruthy()
  })

  test("a cart that has changed since the last page is asked for anew, however soon", async () => {
    const actions = actionsWith()
    const { rerender } = await show(<CheckoutPanel version="a" />, { actions })
    rerender(<Shop actions={actions}>{null}</Shop>)
    actions.quote.mockResolvedValue({ data: { ...QUOTE, max_dust: 300 } })

    rerender(
      <Shop actions={actions}>
        <CheckoutPanel version="b" />
      </Shop>,
    )
    await settle()

    expect(field().value).toBe("300")
  })

  test("a slow answer never overwrites a newer one", async () => {
    const answers: ((dust: number) => void)[] = []
    const quote = () =>
      new Promise<DustResult<typeof QUOTE>>((resolve) =>
        answers.push((max_dust) => resolve({ data: { ...QUOTE, max_dust } })),
      )
    const actions = actionsWith({ quote })
    const { rerender } = await show(<CheckoutPanel version={1} />, { actions })
    rerender(
      <Shop actions={actions}>
        <CheckoutPanel version={2} />
      </Shop>,
    )
    await settle()

    answers[1]?.(400)
    await settle()
    answers[0]?.(900)
    await settle()

    expect(field().value).toBe("400")
  })

  test("an empty cart shows nothing", async () => {
    const { container } = await show(<CheckoutPanel />, { actions: actionsWith({ quote: failing("no_cart") }) })

    expect(container.textContent).toBe("")
  })
})
