import type { Messages } from "./en"

export const de: Messages = {
  skip: "Zum Inhalt springen",
  description: "Kleidung und Becher für windige Tage",
  footer: "Quayside ist ein Beispiel für einen Shop mit Medusa. Hier wird nichts verkauft.",
  deliverTo: "Lieferung nach",
  choose: "Auswählen",
  notInRegion: "In Ihrer Region nicht erhältlich",
  quantity: "Menge",

  nav: { label: "Hauptmenü", shop: "Shop", account: "Konto", logIn: "Anmelden", cart: "Warenkorb" },

  home: {
    eyebrow: "Neu am Kai",
    title: "Für windige Tage gemacht",
    lead: "Schlichte Dinge, die halten, aus einer kleinen Hafenstadt. Heute verpackt, in zwei bis drei Tagen bei Ihnen.",
    all: "Alles ansehen",
    thisWeek: "Diese Woche",
  },

  products: {
    title: "Shop",
    heading: "Alles, was wir machen",
    list: "Artikel",
    empty: "Die Regale sind leer. Legen Sie in Medusas Dashboard einen Artikel an.",
    see: "Zu unseren Artikeln",
    add: "In den Warenkorb",
    variant: "Variante",
    hint: "Mit Steuern. Der Versand kommt an der Kasse dazu.",
  },

  cart: {
    title: "Warenkorb",
    heading: "Ihr Warenkorb",
    empty: "Ihr Warenkorb ist leer",
    sum: "Summe",
    checkout: "Zur Kasse",
    update: "Ändern",
    remove: "Entfernen",
    quantityOf: (product) => `Menge: ${product}`,
  },

  coupons: {
    heading: "Haben Sie einen Code?",
    code: "Code",
    apply: "Anwenden",
    remove: (code) => `${code} entfernen`,
  },

  totals: {
    goods: "Artikel",
    delivery: "Versand",
    discount: "Rabatt",
    total: "Gesamt",
    tax: "Enthaltene Steuern",
    alsoPoints: "Außerdem",
  },

  checkout: {
    title: "Kasse",
    nothing: "Es gibt nichts zu bezahlen",
    nothingWhy: "Ihr Warenkorb ist leer, oder er ist schon bestellt.",
    orders: "Zu Ihren Bestellungen",
    address: "1. Adresse",
    guest: "Sie bestellen als Gast.",
    guestLogIn: "Melden Sie sich an",
    guestWhy: ", um die Bestellung in Ihrem Konto zu sehen.",
    delivery: "2. Versand",
    deliveryOptions: "Versand",
    payment: "3. Zahlung",
    paymentHow: "Sie zahlen bei Lieferung: dieser Shop verwendet Medusas manuelle Zahlung.",
    order: "Ihre Bestellung",
    place: "Bestellen",
    placing: "Die Bestellung wird gesendet …",
    addressFirst: "Speichern Sie zuerst Ihre Adresse.",
    deliveryFirst: "Wählen Sie zuerst den Versand.",
    save: "Adresse speichern",
    street: "Straße und Hausnummer",
    postalCode: "Postleitzahl",
    city: "Ort",
    country: "Land",
  },

  order: {
    title: "Bestellung",
    thanks: "Vielen Dank für Ihre Bestellung",
    number: (number) => `Bestellung ${number}`,
    summary: (number, date, email) => `Bestellung ${number}, ${date}. Wir schreiben an ${email}, sobald sie unterwegs ist.`,
    what: "Ihre Artikel",
    address: "Lieferadresse",
    goOn: "Weiter einkaufen",
  },

  account: {
    title: "Konto",
    hello: (name) => `Hallo ${name}`,
    logOut: "Abmelden",
    orders: "Ihre Bestellungen",
    noOrders: "Noch keine.",
    and: "und",
  },

  person: {
    firstName: "Vorname",
    lastName: "Nachname",
    email: "E-Mail",
    password: "Passwort",
    newPassword: "Passwort, mindestens 8 Zeichen",
  },

  logIn: {
    title: "Anmelden",
    ended: "Ihre Sitzung ist beendet. Melden Sie sich wieder an, Ihr Warenkorb ist noch da.",
    noAccount: "Noch kein Konto?",
    signUp: "Konto eröffnen",
  },

  signUp: {
    title: "Konto eröffnen",
    create: "Konto eröffnen",
    hasAccount: "Haben Sie schon ein Konto?",
    logIn: "Anmelden",
  },

  pages: {
    label: "Seiten",
    previous: "Vorige Seite",
    next: "Nächste Seite",
    of: (page, pages) => `Seite ${page} von ${pages}`,
  },

  notFound: "Diese Seite gibt es nicht",

  failed: {
    title: "Der Shop antwortet gerade nicht",
    text: "Bitte versuchen Sie es in einer Minute noch einmal. Ihr Warenkorb ist noch da.",
    again: "Noch einmal versuchen",
  },

  actions: {
    noAnswer: "Der Shop antwortet gerade nicht. Bitte versuchen Sie es in einer Minute noch einmal.",
    ended: "Ihre Sitzung ist beendet. Bitte melden Sie sich wieder an.",
    noCart: "Ihr Warenkorb ist leer, oder er ist schon bestellt.",
    wholeNumber: (from, to) => `Bitte wählen Sie eine ganze Zahl von ${from} bis ${to}.`,
    outOfStock: "So viele sind nicht auf Lager. Bitte wählen Sie weniger.",
    added: "In den Warenkorb gelegt",
    notAdded: "Der Artikel ließ sich nicht in den Warenkorb legen. Bitte laden Sie die Seite neu.",
    notChanged: "Der Warenkorb ließ sich nicht ändern. Bitte laden Sie die Seite neu.",
    enterCode: "Bitte geben Sie einen Code ein.",
    codeApplied: "Code angewendet",
    codeNotValid: "Dieser Code gilt nicht für Ihren Warenkorb oder ändert den Preis nicht. Bitte prüfen Sie ihn.",
    codeNotRemoved: "Der Code ließ sich nicht entfernen. Bitte laden Sie die Seite neu.",
    regionNotChanged: "Die Region ließ sich nicht ändern. Bitte laden Sie die Seite neu.",
    onlyPasswords: "In diesem Shop gibt es nur Konten mit Passwort.",
    wrongPassword: "Die E-Mail-Adresse oder das Passwort ist falsch.",
    emailTaken: "Mit dieser E-Mail-Adresse gibt es schon ein Konto. Bitte melden Sie sich mit dessen Passwort an.",
    shortPassword: "Das Passwort braucht mindestens 8 Zeichen.",
    notSignedUp: "Das Konto ließ sich nicht eröffnen. Bitte prüfen Sie Ihre Angaben.",
    everyField: "Bitte füllen Sie alle Felder aus.",
    addressSaved: "Adresse gespeichert",
    addressNotSaved: "Die Adresse ließ sich nicht speichern. Bitte prüfen Sie sie.",
    deliveryNotChosen: "Dieser Versand ist nicht möglich. Bitte laden Sie die Seite neu.",
    cartChanged:
      "Ihr Warenkorb hat sich geändert, vielleicht in einem anderen Tab. Bitte prüfen Sie ihn, und bestellen Sie noch einmal.",
  },
}
