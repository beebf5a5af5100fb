/** The bridge's general findings about a value, as a form says them. */
export const findings = {
  finding: {
    whole: "Please enter a whole number, such as 1200",
    number: "Please enter a number with a point, such as 1.5",
    missing: "Please fill this in",
    atLeast: "Must be at least {{limit}}",
    moreThan: "Must be more than {{limit}}",
    atMost: "Must be at most {{limit}}",
    lessThan: "Must be less than {{limit}}",
    places: "Must have at most {{limit}} decimal places",
    long: "Must have at most {{limit}} characters",
    choose: "Please choose one",
    code: "Please use only small letters, digits, - and _",
    zone: "Please choose a time zone",
  },
}
