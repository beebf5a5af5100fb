/** The shop's own texts. Translate by copying this object. The sentences about points are the kit's. */
export const en = {
  skip: "Skip to the content",
  description: "Clothes and mugs for windy days",
  footer: "Quayside is an example of a shop on Medusa. Nothing is sold here.",
  deliverTo: "Deliver to",
  choose: "Choose",
  notInRegion: "Not sold in your region",
  quantity: "Quantity",

  nav: { label: "Main", shop: "Shop", account: "Account", logIn: "Log in", cart: "Cart" },

  home: {
    eyebrow: "New on the quay",
    title: "Made for windy days",
    lead: "Plain things that last, from a small harbour town. Packed today, with you in two or three days.",
    all: "See everything",
    thisWeek: "This week",
  },

  products: {
    title: "Shop",
    heading: "Everything we make",
    list: "Products",
    empty: "The shelves are empty. Create a product in Medusa's dashboard.",
    see: "See what we make",
    add: "Add to cart",
    variant: "Variant",
    hint: "With tax. Delivery is added in the checkout.",
  },

  cart: {
    title: "Cart",
    heading: "Your cart",
    empty: "Your cart is empty",
    sum: "Sum",
    checkout: "Go to the checkout",
    update: "Update",
    remove: "Remove",
    quantityOf: (product: string) => `Quantity of ${product}`,
  },

  coupons: {
    heading: "Have a code?",
    code: "Code",
    apply: "Apply",
    remove: (code: string) => `Remove ${code}`,
  },

  totals: {
    goods: "Goods",
    delivery: "Delivery",
    discount: "Discount",
    total: "Total",
    tax: "Includes tax of",
    alsoPoints: "In addition",
  },

  checkout: {
    title: "Checkout",
    nothing: "There is nothing to pay",
    nothingWhy: "Your cart is empty, or this order was already placed.",
    orders: "See your orders",
    address: "1. Address",
    guest: "You order as a guest.",
    guestLogIn: "Log in",
    guestWhy: " to see the order in your account.",
    delivery: "2. Delivery",
    deliveryOptions: "Delivery",
    payment: "3. Payment",
    paymentHow: "You pay on delivery: this shop uses Medusa's manual payment provider.",
    order: "Your order",
    place: "Place the order",
    placing: "Placing your order …",
    addressFirst: "Save your address first.",
    deliveryFirst: "Choose a delivery first.",
    save: "Save the address",
    street: "Street and number",
    postalCode: "Postal code",
    city: "City",
    country: "Country",
  },

  order: {
    title: "Order",
    thanks: "Thank you for your order",
    number: (number: number | undefined) => `Order ${number}`,
    summary: (number: number | undefined, date: string, email: string) =>
      `Order ${number}, ${date}. We write to ${email} when it is on its way.`,
    what: "What you ordered",
    address: "It goes to",
    goOn: "Go on shopping",
  },

  account: {
    title: "Account",
    hello: (name: string) => `Hello ${name}`,
    logOut: "Log out",
    orders: "Your orders",
    noOrders: "None yet.",
    and: "and",
  },

  person: {
    firstName: "First name",
    lastName: "Last name",
    email: "E-mail",
    password: "Password",
    newPassword: "Password, at least 8 characters",
  },

  logIn: {
    title: "Log in",
    ended: "Your session has ended. Log in again, and your cart is still there.",
    noAccount: "No account yet?",
    signUp: "Sign up",
  },

  signUp: {
    title: "Sign up",
    create: "Create the account",
    hasAccount: "You have an account?",
    logIn: "Log in",
  },

  pages: {
    label: "Pages",
    previous: "Previous page",
    next: "Next page",
    of: (page: number, pages: number) => `Page ${page} of ${pages}`,
  },

  notFound: "This page does not exist",

  failed: {
    title: "The shop does not answer right now",
    text: "Please try again in a minute. Your cart is still there.",
    again: "Try again",
  },

  actions: {
    noAnswer: "The shop does not answer right now. Please try again in a minute.",
    ended: "Your session has ended. Please log in again.",
    noCart: "Your cart is empty, or this order was already placed.",
    wholeNumber: (from: number, to: number) => `Please choose a whole number from ${from} to ${to}.`,
    outOfStock: "There are not that many in stock. Please choose fewer.",
    added: "Added to your cart",
    notAdded: "This could not be added to the cart. Please reload the page.",
    notChanged: "The cart could not be changed. Please reload the page.",
    enterCode: "Please enter a code.",
    codeApplied: "Code applied",
    codeNotValid: "This code is not valid for your cart, or takes nothing off. Please check it.",
    codeNotRemoved: "The code could not be removed. Please reload the page.",
    regionNotChanged: "The region could not be changed. Please reload the page.",
    onlyPasswords: "This shop has only accounts with a password.",
    wrongPassword: "The e-mail address or the password is wrong.",
    emailTaken: "There is an account with this e-mail address already. Log in with its password.",
    shortPassword: "The password needs at least 8 characters.",
    notSignedUp: "The account could not be created. Please check what you wrote.",
    everyField: "Please fill in every field.",
    addressSaved: "Address saved",
    addressNotSaved: "The address could not be saved. Please check it.",
    deliveryNotChosen: "This delivery cannot be chosen. Please reload the page.",
    cartChanged: "Your cart has changed since, perhaps in another tab. Please check it, and place the order again.",
  },
}

export type Messages = typeof en
