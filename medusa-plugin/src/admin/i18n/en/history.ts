/** The versions of the rules. */
export const history = {
  history: {
    tab: "History",
    version: "Version {{version}}",
    inForce: "in force",
    by: "By {{author}} on {{date}}",
    first: "The first version.",
    nothing: "Nothing changed.",
    none: "The rules have never been changed.",
    restore: "Restore",
    restoreNamed: "Restore version {{version}}",
    restored: "Version {{version}} is in the form. It is in force once you save it.",
    discard: "Discard your changes?",
    discardHint: "The form has changes that are not saved. They would be replaced.",
    discardConfirm: "Discard",
    change: "{{label}}: {{before}} → {{after}}",
    removed: "removed",
    yes: "yes",
    no: "no",
    service: "an API client",
    cli: "the command line",
  },
}
