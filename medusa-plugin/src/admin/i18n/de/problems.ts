import type { problems as english } from "../en/problems"

export const problems: typeof english = {
  bridge_unavailable: "Dust antwortet gerade nicht. Bitte versuchen Sie es gleich noch einmal.",
  bridge_refused:
    "Medusa und Dust sind nicht aufeinander eingestellt. Bitten Sie Ihren Administrator, das token des Plugins mit DUST_ADMIN_TOKEN zu vergleichen und jwtSecret mit DUST_JWT_SECRET.",
  customer_erased: "Dieser Kunde wurde gelöscht. Punkte lassen sich nur einem Konto zuordnen, das es gibt.",
  draft_changed: "Jemand hat diesen Entwurf inzwischen gespeichert. Bitte sehen Sie ihn an und entscheiden Sie dann, welcher gelten soll.",
  draft_conflicts: "Die geltenden Regeln haben dieselben Felder geändert wie dieser Entwurf. Bitte öffnen Sie den Entwurf, entscheiden Sie, was gelten soll, und speichern Sie ihn.",
  draft_replaced: "Jemand anderes hat diesen Entwurf gespeichert, seit Sie ihn geöffnet haben. Schließen Sie dies, um ihn anzusehen, oder ersetzen Sie ihn durch Ihren.",
  idempotency_key_reused: "Das wurde schon mit anderen Werten gesendet. Bitte schließen Sie das Formular, sehen Sie nach, was gebucht wurde, und versuchen Sie es noch einmal.",
  insufficient_dust: "Sie können dem Kunden höchstens {{points}} nehmen.",
  internal_error: "Dust hat hier einen Fehler. Bitte melden Sie ihn mit der Uhrzeit.",
  medusa_busy: "Im Shop ist gerade viel los. Bitte versuchen Sie es in einigen Sekunden noch einmal.",
  not_merged: "Die Konten sind nicht mehr zusammengeführt.",
  outgoing_webhooks_off: "Dust sendet keine ausgehenden Webhooks. Bitten Sie Ihren Administrator, DUST_OUTGOING_WEBHOOK_URL zu setzen.",
  programme_changed: "Jemand hat inzwischen andere Regeln gespeichert. Bitte sehen Sie sie an und versuchen Sie es dann noch einmal.",
  reports_busy: "Es werden gerade andere Berichte gelesen. Bitte versuchen Sie es noch einmal, wenn sie fertig sind.",
  too_large: "Das ist zu groß für eine Anfrage. Bitte machen Sie es kleiner.",
  too_many_drafts: "Es gibt zu viele Entwürfe. Bitte veröffentlichen oder löschen Sie zuerst einen.",
  too_many_requests: "Das waren zu viele Anfragen. Bitte warten Sie einen Moment und versuchen Sie es noch einmal.",
  too_many_simulations: "Andere Berechnungen laufen noch. Bitte warten Sie, bis eine davon fertig ist.",
  unknown_draft: "Diesen Entwurf gibt es nicht mehr: Jemand hat ihn veröffentlicht oder gelöscht.",
  unknown_event: "Dieses Ereignis gibt es nicht mehr. Alte werden gelöscht.",
  unknown_order: "Medusa hat diese Bestellung nicht.",
  unknown_simulation: "Das Ergebnis gibt es nicht mehr. Bitte berechnen Sie es noch einmal.",
  unknown_webhook: "Diesen Webhook gibt es nicht mehr. Sie werden 30 Tage aufbewahrt.",
}
