import { findings } from "../i18n/en/findings"
import type { Translate } from "./texts"

/** What the bridge says about a value or a request, and the text for each. What is not here stays as it is. */
const FINDINGS: [RegExp, keyof typeof findings.finding][] = [
  // The library with which the bridge checks values.
  [/^Input should be a valid integer/, "whole"],
  [/^(Input should be a (valid decimal|finite number)|Decimal input should be an? )/, "number"],
  [/^String should have at least 1 character$/, "missing"],
  [/^String should have at most (?<limit>\d+) characters$/, "long"],
  [/^Field required$/, "missing"],
  [/^Decimal input should have no more than (?<limit>\d+) decimal places?$/, "places"],
  [/^Input should be greater than or equal to (?<limit>\S+)$/, "atLeast"],
  [/^Input should be greater than (?<limit>\S+)$/, "moreThan"],
  [/^Input should be less than or equal to (?<limit>\S+)$/, "atMost"],
  [/^Input should be less than (?<limit>\S+)$/, "lessThan"],
  [/^(List|Tuple|Dictionary) should have at most (?<limit>\d+) items? after validation/, "fewer"],
  // The patterns of an id, of the id of a reward and of a time zone.
  [/^String should match pattern '\^\[A-Za-z0-9\]\[/, "choose"],
  [/^String should match pattern '\^\[a-z0-9\]\[/, "code"],
  [/^String should match pattern '\^\[A-Za-z0-9_\+\/-\]/, "zone"],
  // The bridge itself.
  [/^must be after starts_at$/, "afterStart"],
  [/^expires_after_days \(\d+\) must be more than pending_days \((?<days>\d+)\)/, "expiresTooSoon"],
  [/^names .+ more than once$/s, "twice"],
  [/^say in which currency, when the basis is spent$/, "currencyNeeded"],
  [/^(?<tier>.+) must be from more than (?<before>.+), which comes before it$/s, "tierOrder"],
  [/^each needs a name of its own$/, "ownName"],
  [
    /^bonuses\.referral\.min_earned \((?<least>\d+)\) is more than an order can earn by earn\.limits\.per_order \((?<most>\d+)\)/,
    "referralTooHigh",
  ],
  [/^'(?<code>.+)' is not a currency/s, "currency"],
  [/^.+ is not a time zone: /s, "zone"],
  [/^must not be below the minimum points at a time, min_dust$/, "belowMinDust"],
  [/^two rewards have the id (?<id>.+)$/, "sameId"],
  [/^(?<id>.+): the price of (?<points>\d+) is below the minimum at a time \((?<limit>\d+)\)$/, "rewardTooCheap"],
  [/^(?<id>.+): the price of (?<points>\d+) is above the maximum at a time \((?<limit>\d+)\)$/, "rewardTooDear"],
  [/^(?<id>.+): (?<percent>\S+) % are above max_share \((?<share>\S+) of the cart\)$/, "rewardAboveShare"],
  [/ have no currency in common, so nobody could ever have it$/, "noCommonCurrency"],
  [/^a product for points only needs a price in points$/, "priceNeeded"],
  [/^it is not discountable in Medusa, so points cannot pay for it/, "notDiscountable"],
  [/^its variants have different prices \((?<prices>.+)\), and one price in points cannot be right/s, "pricesDiffer"],
  [/^is not a tier of the programme: /, "unknownTier"],
  [/^must be a whole number between 1 and (?<limit>\d+), or the same below zero$/, "wholeEither"],
  [/^must be a whole number between 1 and (?<limit>\d+)$/, "wholeBetween"],
  [/^must be more than matures_after_days, or nobody could spend it$/, "expiresBeforeMature"],
  [/^must be less than the (?<days>\d+) days after which points expire by the programme/, "maturesAfterExpiry"],
  [/^must be in the future$/, "future"],
  [/^must be within (?<days>\d+) days$/, "within"],
  [/^must be another customer$/, "otherCustomer"],
  [/^name 1 to (?<limit>\d+) customers$/, "most"],
  [/^\S+ has (?<points>[\d,]+) \S+ held for open redemptions: release them/, "mergeHeld"],
  [/^\S+ is merged into \S+ already: undo that first\.$/, "mergedAlready"],
  [/^\S+ is merged into \S+ itself: merge into that one\.$/, "mergedItself"],
  [/^\S+ is merged into \S+: merge \S+ into \S+ as well/, "mergedBefore"],
  [/^returns: (?<units>\S+) of (?<title>.+) are too many: the customer has (?<left>\S+)\.$/s, "tooManyUnits"],
  [/^refund: (?<asked>.+) is more than the (?<paid>.+) that the order was paid with\.$/, "refundTooHigh"],
  [/^open_change: the order has no open edit, return, exchange or claim in Medusa\.$/, "nothingOpen"],
]

/** What the bridge says about a value or a request, as a form says it: in the language of `t`, or in English. */
export function worded(message: string, t: Translate = inEnglish): string {
  for (const [pattern, name] of FINDINGS) {
    const match = pattern.exec(message)
    if (match) return t(`finding.${name}`, { ...match.groups })
  }
  return message
}

const inEnglish: Translate = (key, values) =>
  findings.finding[key.split(".")[1] as keyof typeof findings.finding].replace(/{{(\w+)}}/g, (_, name: string) => String(values?.[name]))
