/** The page of the rules, in German. */
export const programme = {
  Programme: "Programm",
  rules: {
    title: "Programm",
    hint: "Die Regeln, nach denen Kunden Punkte sammeln und einlösen",
    tab: "Regeln",
    save: "Speichern",
    saved: "Version {{version}} der Regeln gilt jetzt",
    notSaved_one: "Nicht gespeichert: Ein Feld stimmt nicht, siehe oben.",
    notSaved_other: "Nicht gespeichert: {{count}} Felder stimmen nicht, siehe oben.",
    origin: "Version {{version}}, von {{author}}, seit {{date}}.",
    defaults: "Das sind die Vorgaben.",
    keepsOld: "Bestellungen, die schon abgerechnet sind, behalten ihre Regeln.",
  },
}
