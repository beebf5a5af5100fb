export const redemptions = {
  none: "Nobody has redeemed points yet.",
  when: "When",
  state: "State",
  points: "Points",
  for: "For",
  states: { pending: "pending", active: "active", captured: "used", released: "released", failed: "failed" },
  captured: "{{captured}} of {{points}}",
  freeShipping: "Free shipping",
  off: "{{value}} off",
  products_one: "{{count}} product",
  products_other: "{{count}} products",
}
