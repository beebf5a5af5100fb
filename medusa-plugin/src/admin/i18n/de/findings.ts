/** The bridge's general findings about a value, as a form says them, in German. */
export const findings = {
  finding: {
    whole: "Bitte geben Sie eine ganze Zahl ein, etwa 1200",
    number: "Bitte geben Sie eine Zahl mit Punkt ein, etwa 1.5",
    missing: "Bitte füllen Sie dies aus",
    atLeast: "Muss mindestens {{limit}} sein",
    moreThan: "Muss mehr als {{limit}} sein",
    atMost: "Darf höchstens {{limit}} sein",
    lessThan: "Muss weniger als {{limit}} sein",
    places: "Darf höchstens {{limit}} Nachkommastellen haben",
    long: "Darf höchstens {{limit}} Zeichen haben",
    choose: "Bitte wählen Sie etwas aus",
    code: "Bitte nur Kleinbuchstaben, Ziffern, - und _",
    zone: "Bitte wählen Sie eine Zeitzone",
  },
}
