import type { replay as english } from "../en/replay"

export const replay: typeof english = {
  test: "Test senden",
  testTitle: "Test Ihres Empfängers",
  title: "Zeitraum erneut senden",
  intro: "Sendet Webhooks erneut, die Ihr Empfänger verloren hat. Jeder behält seine Kennung, damit der Empfänger einen bekannten erkennt.",
  since: "Erstellt seit",
  until: "Erstellt vor",
  untilHint: "Leer lassen für jetzt.",
  count: "Zählen",
  found_one: "{{shown}} Webhook würde erneut gesendet.",
  found_other: "{{shown}} Webhooks würden erneut gesendet.",
  submit_one: "{{shown}} Webhook erneut senden",
  submit_other: "{{shown}} Webhooks erneut senden",
  done_one: "{{shown}} Webhook wird erneut gesendet.",
  done_other: "{{shown}} Webhooks werden erneut gesendet.",
}
