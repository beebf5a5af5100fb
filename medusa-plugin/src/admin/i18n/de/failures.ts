import type { failures as english } from "../en/failures"

export const failures: typeof english = {
  medusa_unavailable: "Medusa hat nicht geantwortet oder den Schlüssel von Dust abgelehnt. Bitten Sie Ihren Administrator, `dust doctor` auszuführen, und versuchen Sie es dann erneut.",
  medusa_not_configured: "Dust weiß nicht, wo Medusa ist. Bitten Sie Ihren Administrator, `dust doctor` auszuführen, und versuchen Sie es dann erneut.",
  medusa_refused: "Medusa hat eine Anfrage von Dust abgelehnt. Fragen Sie Ihren Administrator und versuchen Sie es dann erneut.",
  unknown_in_medusa: "Medusa hat diese Bestellung nicht. Es ist nichts zu tun: Nach zehn Minuten sucht Dust noch einmal.",
  order_is_changing: "Die Bestellung hat sich immer wieder geändert, während Dust sie las. Versuchen Sie es erneut.",
  unreadable_order: "Dust kann diese Bestellung nicht lesen. Fragen Sie Ihren Administrator, ob Medusa aktualisiert wurde.",
  malformed_event: "Das Ereignis hat nicht die Form, die Medusa sendet. Fragen Sie Ihren Administrator.",
  database_unavailable: "Die Datenbank von Dust war nicht erreichbar. Nichts wurde halb ausgeführt. Versuchen Sie es erneut.",
  database_busy: "Die Datenbank von Dust war überlastet. Nichts wurde halb ausgeführt. Versuchen Sie es erneut, und fragen Sie Ihren Administrator, wenn es wieder geschieht.",
  database_login_refused: "Die Datenbank von Dust hat die Anmeldung abgelehnt. Nichts wurde halb ausgeführt. Bitten Sie Ihren Administrator, `dust doctor` auszuführen, und versuchen Sie es dann erneut.",
  database_denied: "Dust fehlen Rechte in seiner Datenbank. Nichts wurde halb ausgeführt. Bitten Sie Ihren Administrator, `dust doctor` auszuführen, und versuchen Sie es dann erneut.",
  database_read_only: "Die Datenbank von Dust nimmt gerade nichts an. Nichts wurde halb ausgeführt. Fragen Sie Ihren Administrator und versuchen Sie es dann erneut.",
  database_behind: "Dust wurde aktualisiert, seine Datenbank nicht. Bitten Sie Ihren Administrator, `dust migrate` auszuführen, und versuchen Sie es dann erneut.",
  task_ended: "Ein Worker von Dust endete, während er dieses Ereignis bearbeitete. Versuchen Sie es erneut.",
  internal_error: "Dust hat hier einen Fehler. Bitte melden Sie ihn mit den Details des Ereignisses.",
}
