/** The page of the rules. */
export const programme = {
  Programme: "Programme",
  rules: {
    title: "Programme",
    hint: "The rules by which customers earn and spend points",
    tab: "Rules",
    save: "Save",
    saved: "Version {{version}} of the rules is in force",
    notSaved_one: "Not saved: one field is wrong, see above.",
    notSaved_other: "Not saved: {{count}} fields are wrong, see above.",
    origin: "Version {{version}}, by {{author}}, since {{date}}.",
    defaults: "These are the defaults.",
    keepsOld: "Orders that were settled before keep their rules.",
  },
}
