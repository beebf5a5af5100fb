// `medusa exec gift_card.js CART_ID AMOUNT`: a gift card pays a part of the cart, as a credit line.
// Medusa's workflow create-cart-credit-lines calls the same method. Medusa 2.21.2 has no route for it.
exports.default = async function payWithGiftCard({ container, args: [cartId, amount] }) {
  const line = { cart_id: cartId, amount: Number(amount), reference: "gift-card", reference_id: "gcard_of_the_live_tests" }
  await container.resolve("cart").createCreditLines([line])
}
