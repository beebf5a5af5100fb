/** The main key of each answer, and its type. An answer without it is not Dust's: a page of a proxy may be JSON too. */
const MAIN: Record<string, [key: string, type: "string" | "number" | "object" | "list"]> = {
  "GET /store/dust": ["points", "number"],
  "GET /store/dust/balance": ["available", "number"],
  "GET /store/dust/orders": ["orders", "list"],
  "GET /store/dust/orders/{order_id}": ["earned", "number"],
  "GET /store/dust/products": ["products", "object"],
  "GET /store/dust/programme": ["name", "object"],
  "GET /store/dust/redemptions": ["redemptions", "list"],
  "GET /store/dust/redemptions/{redemption_id}": ["redemption", "object"],
  "GET /store/dust/referral": ["code", "string"],
  "GET /store/dust/rewards": ["rewards", "list"],
  "GET /store/dust/transactions": ["transactions", "list"],
  "POST /store/dust/forecast": ["items", "list"],
  "POST /store/dust/quote": ["max_dust", "number"],
  "POST /store/dust/quote/guest": ["escrow", "number"],
  "POST /store/dust/redemptions": ["redemption", "object"],
  "POST /store/dust/referral": ["code", "string"],
  "DELETE /store/dust/redemptions/{redemption_id}": ["redemption", "object"],
}

/** Whether this can be what Dust answers to the request, such as `GET /store/dust/balance`. */
export function isAnswer(request: string, body: unknown): boolean {
  const main = MAIN[request]
  if (!main || body === null || typeof body !== "object") return false
  const value: unknown = (body as Record<string, unknown>)[main[0]]
  return main[1] === (Array.isArray(value) ? "list" : value === null ? "null" : typeof value)
}
