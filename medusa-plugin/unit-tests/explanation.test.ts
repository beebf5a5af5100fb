import { describe, expect, it, vi } from "vitest"
import { de } from "../src/admin/i18n/de"
import { en } from "../src/admin/i18n/en"
import { described, escrowSentences, noted, rulesOf, sentenceOf, summaryOf } from "../src/admin/lib/explanation"
import { reasonText } from "../src/admin/lib/drafts"
import { day } from "../src/admin/lib/format"
import type { Translate } from "../src/admin/lib/texts"
import { knownZone } from "../src/admin/lib/time-zone"
import type { DustBalance, DustExplanation, DustOrder } from "../src/types"

type Step = DustExplanation["steps"][number]

const AT = "2026-11-22T12:00:00Z"
const SHIPPING = { kind: "free_shipping", reward: "Free shipping", value: null, currency_code: null, percent: null, units: 0, redeemed_at: AT }
const STEP = {
  sentence: "What the bridge says.",
  kind: "earn",
  amount: 0,
  pending: 0,
  held: 0,
  reference_type: "order",
  reference_id: "order_1",
  description: "Earned with an order",
  order_number: "18",
  claimed_at: null,
  redeemed: null,
  rates: {},
  rules: null,
} as unknown as Step

/** The catalogue's text with its values, as i18next would put them in. */
function translating(catalogue: object): Translate {
  return (key, values = {}) => {
    const read = (path: string): unknown =>
      path.split(".").reduce<unknown>((texts, step) => (texts as Record<string, unknown> | undefined)?.[step], catalogue)
    const text = read(key) ?? read(`${key}_${values.count === 1 ? "one" : "other"}`)
    if (typeof text !== "string") throw new Error(key)
    return text.replace(/{{(\w+)}}/g, (_, value) => String(values[value]))
  }
}

const english = translating(en)
const german = translating(de)

describe("one point", () => {
  const balance = { balance: 1, available: 1, held: 1, pending: 1, expiring: [{ amount: 1, expires_at: AT }], tier: null }
  const next = { name: "Gold", missing: "1", from: "500" }
  const tier = { name: "Silver", factor: "1", until: null, currency_code: null, next }

  it("is no plural in any sentence", () => {
    const kinds = Object.keys(en.kinds) as Step["kind"][]
    for (const [t, plural] of [[english, /\b1 (points|are)\b/], [german, /\b1 Punkte\b|1 Punkt sind/]] as const) {
      const sentences = kinds.flatMap((kind) =>
        ["order", "import", "waived", "referral"].flatMap((reference_type) =>
          [1, -1].map((amount) => sentenceOf({ ...STEP, kind, reference_type, amount, held: amount }, t)),
        ),
      )
      const entries = ["escrowed", "taken_back", "claimed", "expired"].map((kind) => ({ kind, amount: 1, created_at: AT }))
      const escrow = { state: "waiting", dust: 1, expires_at: AT, entries }
      const ofEscrow = escrowSentences({ order_number: "7", guest_escrow: escrow } as unknown as DustOrder, t)
      const all = [...sentences, ...summaryOf({ ...balance, tier } as unknown as DustBalance, t), ...ofEscrow.map(({ text }) => text)]
      expect(all.length).toBeGreaterThan(100)
      expect(all.filter((sentence) => plural.test(sentence) || !/1 Punkt|1 point|Stufe|Tier/.test(sentence))).toEqual([])
    }
  })
})

describe("a transaction", () => {
  it("names the number of its order", () => {
    const earned = { ...STEP, amount: 340 }
    expect(sentenceOf(earned, english)).toBe("340 points earned with order #18.")
    expect(sentenceOf(earned, german)).toBe("340 Punkte gesammelt mit Bestellung #18.")
    expect(sentenceOf({ ...STEP, pending: 340, order_number: null }, german)).toBe(
      "340 Punkte gesammelt mit einer Bestellung, erst später einlösbar.",
    )
  })

  it("names what the points were redeemed for, and no id", () => {
    const about = { ...STEP, reference_type: "redemption", reference_id: "dred_1", redeemed: SHIPPING } as Step
    expect(sentenceOf({ ...about, kind: "hold", held: 300 }, german)).toBe("300 Punkte reserviert für die Prämie „Free shipping“.")
    expect(sentenceOf({ ...about, kind: "redeem", amount: -300 }, english)).toBe(
      `300 points spent on order #18 for the reward “Free shipping”, redeemed on ${day(AT)}.`,
    )
    const off = { ...SHIPPING, kind: "fixed", reward: null, value: "5.00", currency_code: "eur" }
    const released = { ...about, kind: "release", held: -500, redeemed: off, description: "Not used in time" } as Step
    expect(sentenceOf(released, german)).toBe(
      `500 Punkte, reserviert für 5.00 EUR Rabatt, eingelöst am ${day(AT)}, sind wieder frei: Nicht rechtzeitig benutzt.`,
    )
    const mugs = { ...SHIPPING, kind: "products", reward: null, units: 2 }
    expect(sentenceOf({ ...about, kind: "hold", held: 1, redeemed: mugs } as Step, german)).toContain("für 2 Produkte.")
  })

  it("says that waived points are given again, also while they are pending", () => {
    const waived = { ...STEP, kind: "reverse", reference_type: "waived" } as Step
    expect(sentenceOf({ ...waived, pending: 90 }, english)).toContain("90 points of orders that were canceled or returned, given again")
    expect(sentenceOf({ ...waived, amount: -90 }, english)).toContain("taken back as they came back")
  })

  it("has words for every kind, in both languages", () => {
    const kinds = Object.keys(en.kinds) as Step["kind"][]
    for (const t of [english, german]) {
      for (const kind of kinds) {
        for (const reference_type of ["order", "import", "waived", "referral", "merge"]) {
          for (const amount of [5, -5]) {
            const sentence = sentenceOf({ ...STEP, kind, reference_type, amount, held: 5 }, t)
            expect(sentence).toContain("5")
            expect(sentence).not.toMatch(/undefined|What the bridge says|explanation\./)
          }
        }
      }
    }
  })

  it("of an unknown kind has the sentence of the bridge", () => {
    expect(sentenceOf({ ...STEP, kind: "new" } as unknown as Step, german)).toBe("What the bridge says.")
  })

  it("names the rules that gave the points", () => {
    const rules = { multipliers: ["double week"], fixed: ["50"], excluded: true, tier: "Gold", tier_factor: "1.5", note: null }
    expect(rulesOf({ ...STEP, rates: { eur: "10" }, rules, claimed_at: AT }, german)).toEqual([
      "10 je EUR",
      "vervielfacht durch double week",
      "feste Punkte für einige Produkte: je 50",
      "einige Produkte bringen nichts",
      "Stufe Gold, Faktor 1.5",
      `als Gast bestellt, zugeordnet am ${day(AT)}`,
    ])
  })
})

describe("a description", () => {
  it("of Dust is translated, a merchant's is not", () => {
    expect(described("Welcome bonus", german)).toBe("Willkommensbonus")
    expect(described("Thank you, Ann", german)).toBe("Thank you, Ann")
  })
})

describe("numbers", () => {
  it("are written as the dashboard's language does", () => {
    vi.stubGlobal("document", { documentElement: { lang: "de" } })
    const off = { ...SHIPPING, kind: "fixed", reward: null, value: "1234.50", currency_code: "eur" }
    expect(sentenceOf({ ...STEP, kind: "hold", held: 5, redeemed: off } as Step, german)).toContain("für 1.234,50 EUR Rabatt.")
    const rules = { multipliers: [], fixed: [], excluded: false, tier: "Gold", tier_factor: "1.5", note: null }
    expect(rulesOf({ ...STEP, rates: { eur: "0.5" }, rules }, german)).toEqual(["0,5 je EUR", "Stufe Gold, Faktor 1,5"])
    vi.unstubAllGlobals()
  })
})

describe("a stored note", () => {
  it("is in the language of the dashboard, with its values", () => {
    expect(noted("Worth 1500 points, limited to 500 in 30 days.", german)).toBe("1500 Punkte wert, begrenzt auf 500 je 30 Tage.")
    expect(noted("Worth 1500 points, limited to 500 in 30 days.", english)).toBe("Worth 1500 points, limited to 500 in 30 days.")
    expect(noted("Worth 1 points, limited to 1 in 1 days.", english)).toBe("Worth 1 point, limited to 1 in 1 day.")
    expect(noted("Worth 1,500 points, limited to 1,000 a day.", german)).toBe("1500 Punkte wert, begrenzt auf 1,000 am Tag.")
    expect(noted("The order is canceled.", german)).toBe("Die Bestellung ist storniert.")
    expect(noted("Not used in time", german)).toBe("Nicht rechtzeitig benutzt")
    expect(noted("A guest's order: 30 points can be claimed until 05 Jan 2027.", german)).toBe(
      `Die Bestellung eines Gastes, zuzuordnen bis zum ${day("2027-01-05T00:00")}: 30 Punkte.`,
    )
  })

  it("that is unknown stays as it is", () => {
    expect(noted("The merchant wrote this.", german)).toBe("The merchant wrote this.")
  })

  it("about a failure is translated too, and what it quotes stays", () => {
    expect(noted("Medusa refused (400 invalid_data): no", german)).toBe("Medusa hat es abgelehnt (400 invalid_data): no")
    expect(noted("The code was made, but could not be put into the cart: Medusa answered 500 to POST /store/carts/cart_1.", german)).toBe(
      "Der Code wurde angelegt, aber nicht in den Warenkorb gelegt: Medusa hat 500 geantwortet: POST /store/carts/cart_1.",
    )
    expect(noted("Medusa did not answer POST /admin/promotions (ReadTimeout).", german)).toContain("Medusa hat nicht geantwortet")
    expect(noted("No answer within 10 seconds.", german)).toBe("Keine Antwort in 10 Sekunden.")
    expect(noted("Answered 302: redirects are not followed; set DUST_OUTGOING_WEBHOOK_URL to its target.", german)).toContain("Weiterleitungen")
    expect(noted("Medusa did not answer, so only customer ids were searched, not names and e-mail addresses.", german)).toContain("nur nach Kennungen")
  })

  it("of a draft names the fields as the form does", () => {
    const withDefault: Translate = (key, values) => {
      try {
        return german(key, values)
      } catch {
        return String(values?.defaultValue ?? key)
      }
    }
    expect(reasonText("earn.rates.xyz: 'xyz' is not a currency: use an ISO 4217 code such as eur", withDefault)).toBe(
      "Punkte je Geldeinheit (XYZ): Ihr Shop hat die Währung xyz nicht",
    )
    expect(reasonText("Version 3 of the rules has changed the same rules as this draft. Please open the draft, decide what should hold, and save it again.", withDefault)).toContain("Version 3 der Regeln")
    expect(reasonText("Something else; and more", withDefault)).toBe("Something else; and more")
  })

  it("with rules is translated there too", () => {
    const rules = { multipliers: [], fixed: [], excluded: false, tier: null, tier_factor: null, note: "Worth 9 points, limited to 5 a day." }
    expect(rulesOf({ ...STEP, rules }, german)).toEqual(["9 Punkte wert, begrenzt auf 5 am Tag"])
  })
})

describe("the escrow of a guest's order", () => {
  const entry = { kind: "escrowed", amount: 30, created_at: AT }
  const escrow = { state: "waiting", dust: 30, expires_at: AT, entries: [entry] }

  it("says what was put into escrow, and until when it can be claimed", () => {
    const order = { order_number: "7", guest_escrow: escrow } as unknown as DustOrder
    expect(escrowSentences(order, german)).toEqual([
      { at: AT, text: "30 Punkte für den Gast zurückgelegt, Herkunft: Bestellung #7." },
      { at: "", text: `Dem Gast zuzuordnen bis zum ${day(AT)}: 30 Punkte.` },
    ])
  })

  it("is not there for a customer's order", () => {
    expect(escrowSentences({ guest_escrow: null } as unknown as DustOrder, german)).toEqual([])
  })
})

describe("a day", () => {
  it("is the programme's, wherever the merchant is", () => {
    const balance = { balance: 5, available: 5, held: 0, pending: 0, expiring: [{ amount: 5, expires_at: "2027-06-12T11:59:59Z" }], tier: null }
    const last = (zone: string) => summaryOf(balance as unknown as DustBalance, german, zone)[1]
    vi.stubGlobal("document", { documentElement: { lang: "de" } })
    expect(last("Pacific/Auckland")).toBe("5 Punkte verfallen am 12.06.2027.")
    expect(last("Pacific/Kiritimati")).toBe("5 Punkte verfallen am 13.06.2027.")
    const redeemed = { ...SHIPPING, redeemed_at: "2027-05-12T20:00:00Z" }
    const spent = { ...STEP, kind: "redeem", amount: -5, redeemed } as Step
    expect(sentenceOf(spent, german, "Pacific/Auckland")).toContain("eingelöst am 13.05.2027")
    expect(sentenceOf(spent, german, "Europe/London")).toContain("eingelöst am 12.05.2027")
    vi.unstubAllGlobals()
  })

  it("is the browser's in a time zone that it does not know", () => {
    expect(knownZone("Mars/Olympus")).toBeUndefined()
    expect(knownZone("Europe/Berlin")).toBe("Europe/Berlin")
    expect(knownZone(undefined)).toBeUndefined()
  })
})

describe("the summary of a balance", () => {
  it("has what the balance has", () => {
    const balance = { balance: 340, available: 40, held: 300, pending: 0, expiring: [{ amount: 340, expires_at: AT }], tier: null }
    expect(summaryOf(balance as unknown as DustBalance, german)).toEqual([
      "Der Kontostand ist 340 Punkte, davon einlösbar: 40.",
      "300 Punkte sind für offene Einlösungen reserviert.",
      `340 Punkte verfallen am ${day(AT)}.`,
    ])
  })

  it("has the tier and the next one", () => {
    const tier = { name: "Silver", factor: "1.5", until: null, currency_code: null, next: { name: "Gold", missing: "160", from: "500" } }
    const balance = { balance: 0, available: 0, held: 0, pending: 0, expiring: [], tier }
    expect(summaryOf(balance as unknown as DustBalance, english).slice(1)).toEqual([
      "Tier Silver: new orders earn 1.5 times as much.",
      "160 points more until the tier Gold.",
    ])
  })
})
