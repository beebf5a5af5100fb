import type { overview as english } from "../en/overview"

export const overview: typeof english = {
  hint: "Wie das Treueprogramm steht",
  outstanding: "Im Umlauf",
  customers_one: "{{shown}} Kunde",
  customers_other: "{{shown}} Kunden",
  held: "Reserviert",
  redemptions_one: "{{shown}} offene Einlösung",
  redemptions_other: "{{shown}} offene Einlösungen",
  pending: "Ausstehend",
  pendingHint: "Gesammelt, noch nicht frei",
  expiring: "Verfallen bald",
  until: "Bis {{date}}",
  events: "Ereignisse",
  failed: "{{shown}} fehlgeschlagen",
  allWell: "Alles in Ordnung",
  waiting: "{{shown}} wartend seit {{date}}",
  noneWaiting: "Keines wartet",
  unpaid_one: "Eine Bestellung hat Produkte, die es nur für Punkte gibt und die nicht mit Punkten bezahlt sind:",
  unpaid_other: "{{shown}} Bestellungen haben Produkte, die es nur für Punkte gibt und die nicht mit Punkten bezahlt sind:",
  tabs: {
    redemptions: "Einlösungen",
    events: "Ereignisse",
    outgoing: "Ausgehende Webhooks",
    deliveries: "Zustellungen",
  },
}
