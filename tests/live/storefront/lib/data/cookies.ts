/** What the starter reads from its cookies, here from the environment. */
export async function getAuthHeaders(): Promise<{ authorization: string } | Record<string, never>> {
  return process.env.TOKEN ? { authorization: `Bearer ${process.env.TOKEN}` } : {}
}

export async function getCartId(): Promise<string | undefined> {
  return process.env.CART_ID
}
