/** The widget on the product's page. */
export const product = {
  only: "Points only",
  either: "Points or money",
  saved: "Saved",
  removed: "The product has no price in points any more",
  price: "Price in points",
  pricePlaceholder: "Not for points",
  priceHint:
    "What one unit of any variant costs in points: all variants need the same price in money. Leave it empty for a product that points cannot buy.",
  onlyLabel: "For points only",
  onlyHint: "Money does not buy it; the checkout refuses a cart that does not pay it with points.",
  mirrorError: "Not in Medusa yet: {{reason}}",
  onItsWay: "On its way to the storefront …",
  save: "Save",
}
