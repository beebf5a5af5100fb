import type { alerts as english } from "../en/alerts"

export const alerts: typeof english = {
  since: "Seit {{date}}",
  codes: {
    beat_stopped: {
      message: "Die regelmäßigen Aufgaben von Dust laufen nicht. Punkte werden nicht frei und verfallen nicht.",
      action: "Bitten Sie Ihren Administrator, `dust beat`, den Broker und einen Worker für die Queue `sweeps` zu starten.",
    },
    events_wait: {
      message: "Ein Ereignis wartet schon zu lange. Kunden fehlen Punkte.",
      action: "Bitten Sie Ihren Administrator, `dust doctor` auszuführen. Nichts geht verloren: Das Ereignis ist gespeichert.",
    },
    events_failed: {
      message: "Fehlgeschlagene Ereignisse: {{count}}. Kunden fehlen vielleicht Punkte.",
      action: "Der Reiter Ereignisse zeigt jede Ursache. Beheben Sie die Ursache und wählen Sie dann „Erneut versuchen“.",
    },
    redemptions_wait: {
      message: "Ein Kunde wartet schon zu lange auf einen Rabatt.",
      action: "Bitten Sie Ihren Administrator, `dust doctor` auszuführen. Dust braucht Medusa, um die Aktion anzulegen.",
    },
    reconcile_stopped: {
      message: "Dust fragt Medusa nicht nach verpassten Änderungen.",
      action: "Bitten Sie Ihren Administrator, `dust doctor` auszuführen. Es prüft Medusa, den API-Schlüssel und die Worker.",
    },
    outgoing_webhooks_wait: {
      message: "Ein ausgehender Webhook wird seit langem nicht angenommen. Kunden erhalten keine Nachrichten über Punkte.",
      action: "Der Reiter Ausgehende Webhooks zeigt, was Ihr Empfänger antwortet.",
    },
    outgoing_webhooks_failed: {
      message: "Fehlgeschlagene ausgehende Webhooks: {{count}}.",
      action: "Der Reiter Ausgehende Webhooks zeigt die Gründe. Beheben Sie sie beim Empfänger und senden Sie dann alle erneut.",
    },
    audit_failed: {
      message: "Fehler, die die Prüfung der Punkte gefunden hat: {{count}}.",
      action: "Bitten Sie Ihren Administrator, `dust audit` auszuführen. Es nennt jeden Kunden, jede Bestellung und jede Einlösung.",
    },
    audit_stopped: {
      message: "Die Punkte wurden seit langem nicht geprüft.",
      action: "Bitten Sie Ihren Administrator, die Aufgabe `upkeep.audit` in Flower anzusehen und `dust audit` auszuführen.",
    },
  },
}
