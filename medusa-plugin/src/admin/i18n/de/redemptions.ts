import type { redemptions as english } from "../en/redemptions"

export const redemptions: typeof english = {
  none: "Noch niemand hat Punkte eingelöst.",
  when: "Wann",
  state: "Zustand",
  points: "Punkte",
  for: "Wofür",
  states: { pending: "ausstehend", active: "aktiv", captured: "eingelöst", released: "freigegeben", failed: "fehlgeschlagen" },
  captured: "{{captured}} von {{points}}",
  freeShipping: "Kostenloser Versand",
  off: "{{value}} Rabatt",
  products_one: "{{count}} Produkt",
  products_other: "{{count}} Produkte",
}
