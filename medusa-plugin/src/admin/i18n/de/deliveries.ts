import type { deliveries as english } from "../en/deliveries"

export const deliveries: typeof english = {
  waiting: "Wartend",
  since: "Seit {{date}}",
  rejected: "Abgelehnt",
  rejectedHint: "Dust nennt sie falsch",
  delivered: "Zugestellt",
  deliveredHint: "In den letzten sieben Tagen",
  none: "Alles ist zugestellt.",
  onItsWay: "Unterwegs",
  attempt: "Versuch {{number}} um {{date}}",
  send: "Jetzt senden",
}
