import type { product as english } from "../en/product"

export const product: typeof english = {
  only: "Nur Punkte",
  either: "Punkte oder Geld",
  saved: "Gespeichert",
  removed: "Das Produkt hat keinen Preis in Punkten mehr",
  price: "Preis in Punkten",
  pricePlaceholder: "Nicht für Punkte",
  priceHint:
    "Was ein Stück jeder Variante in Punkten kostet: Alle Varianten brauchen denselben Preis in Geld. Leer lassen, wenn es das Produkt nicht für Punkte gibt.",
  onlyLabel: "Nur für Punkte",
  onlyHint: "Für Geld gibt es das Produkt nicht; ein Warenkorb, der es nicht mit Punkten bezahlt, wird nicht bestellt.",
  mirrorError: "Noch nicht in Medusa: {{reason}}",
  onItsWay: "Unterwegs in den Shop …",
  save: "Speichern",
}
