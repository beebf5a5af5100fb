/**
 * The sentences of the checkout guard, by code; `{…}` is filled in. Medusa's JS SDK keeps nothing of an error but its
 * sentence and status (2.21.2), so the storefront kit finds the code by the sentence.
 *
 * The plugin and the kit both have this file, and a test compares the two.
 */
export const GUARD_SENTENCES = {
  code_gone: "The code {code} is no longer valid. Please remove it from the cart.",
  code_of_another: "The code {code} belongs to another customer. Please remove it from the cart.",
  code_used: "The code {code} has been used already. Please remove it from the cart.",
  code_expired: "The code {code} has expired. Please remove it from the cart, and redeem points again.",
  code_not_bound: "The code {code} was not applied to this cart by its owner. Please sign in and apply it again.",
  mixed_prices:
    "The variants of “{title}” have different prices, so points cannot pay for it. " +
    "Please remove the code {code}, and ask the shop.",
  points_only: "“{title}” can only be bought with points. Please redeem points for it first.",
  partly_paid: "Only {paid} of {quantity} × “{title}” are paid with points. Please redeem points for the rest.",
  not_fully_paid: "“{title}” is not fully paid with points. Please redeem points for it again.",
  no_price: "“{title}” has no price, so points cannot pay for it. Please ask the shop.",
  whole_units_only: "Points pay for whole units of “{title}” only. Please choose a whole number.",
  above_max_share:
    "Points take {takes} off this cart, and at most {most} is allowed. Please remove a code, and redeem fewer points.",
  below_min_cart:
    "The code {code} needs at least {least} of products that are not bought with points. " +
    "Please add something, or remove the code.",
  below_zero:
    "Codes, gift cards and store credit take {over} more off than this cart costs. " +
    "Please remove the code {code}, and redeem fewer points.",
  not_the_owner: "Please sign in to the account whose points this cart spends.",
} as const

export type GuardCode = keyof typeof GUARD_SENTENCES
