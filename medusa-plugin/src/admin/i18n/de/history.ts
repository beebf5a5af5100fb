/** Die Versionen der Regeln. */
export const history = {
  history: {
    tab: "Verlauf",
    version: "Version {{version}}",
    inForce: "gültig",
    by: "Von {{author}} am {{date}}",
    first: "Die erste Version.",
    nothing: "Nichts wurde geändert.",
    none: "Die Regeln wurden noch nie geändert.",
    restore: "Wiederherstellen",
    restoreNamed: "Version {{version}} wiederherstellen",
    restored: "Version {{version}} steht im Formular. Sie gilt, sobald Sie sie speichern.",
    discard: "Ihre Änderungen verwerfen?",
    discardHint: "Das Formular hat Änderungen, die nicht gespeichert sind. Sie würden ersetzt.",
    discardConfirm: "Verwerfen",
    change: "{{label}}: {{before}} → {{after}}",
    removed: "entfernt",
    yes: "ja",
    no: "nein",
    service: "einem API-Client",
    cli: "der Kommandozeile",
  },
}
