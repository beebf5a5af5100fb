import { beforeEach, expect, test, vi } from "vitest"
import { FetchError, sdk } from "./stand-ins/sdk"

const session = vi.hoisted(() => ({ token: undefined as string | undefined }))
vi.mock("next/cache", () => ({ revalidatePath: () => {} }))
vi.mock("next/navigation", () => ({
  unstable_rethrow: () => {},
  redirect: (path: string) => {
    throw new Error(`to ${path}`)
  },
}))
vi.mock("next/headers", () => ({ headers: async () => new Headers({ "accept-language": "en" }), cookies: async () => ({}) }))
vi.mock("../src/lib/session", () => ({
  authHeaders: async () => ({}),
  getCartId: async () => undefined,
  getToken: async () => session.token,
  setToken: async (token: string) => void (session.token = token),
}))

const { logIn, signUp } = await import("../src/lib/actions")

/** Logins by e-mail address, as Medusa 2.21.2 keeps them. `customer` is empty until there is one. */
const logins = new Map<string, { password: string; customer: string }>()
const customers: unknown[] = []
let createFails = false

const jwt = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`
const emailOf = (headers: { authorization: string }) =>
  JSON.parse(Buffer.from(headers.authorization.split(".")[1]!, "base64url").toString()).email as string

beforeEach(() => {
  logins.clear()
  customers.length = 0
  createFails = false
  session.token = undefined
  sdk.auth.register = async (_actor: string, _provider: string, { email, password }: Record<string, string>) => {
    const login = logins.get(email!)
    if (login && (login.customer || login.password !== password))
      throw new FetchError("Identity with email already exists", "Unauthorized", 401)
    if (!login) logins.set(email!, { password: password!, customer: "" })
    return jwt({ email, actor_id: "" })
  }
  sdk.auth.login = async (_actor: string, _provider: string, { email, password }: Record<string, string>) => {
    const login = logins.get(email!)
    if (login?.password !== password) throw new FetchError("Invalid email or password", "Unauthorized", 401)
    return jwt({ email, actor_id: login!.customer })
  }
  sdk.store.customer = {
    create: async (profile: object, _query: object, headers: { authorization: string }) => {
      if (createFails) throw new FetchError("An unknown error occurred.", "Internal Server Error", 500)
      customers.push(profile)
      logins.get(emailOf(headers))!.customer = "cus_1"
    },
  }
})

function form(more: Record<string, string> = {}): FormData {
  const data = new FormData()
  const fields = { email: "ada@example.com", password: "correct horse", first_name: "Ada", last_name: "Lovelace", next: "/cart", ...more }
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  return data
}

const signedIn = () => session.token && JSON.parse(Buffer.from(session.token.split(".")[1]!, "base64url").toString()).actor_id

test("who signs up is signed in", async () => {
  await expect(signUp({}, form())).rejects.toThrow("to /cart")
  expect(signedIn()).toBe("cus_1")
  expect(customers).toEqual([{ email: "ada@example.com", first_name: "Ada", last_name: "Lovelace" }])
})

test("a sign-up that failed after the login was made can be repeated", async () => {
  createFails = true
  expect((await signUp({}, form())).error).toBe("The shop does not answer right now. Please try again in a minute.")
  expect(signedIn()).toBeUndefined()

  createFails = false
  await expect(signUp({}, form())).rejects.toThrow("to /cart")
  expect(signedIn()).toBe("cus_1")
})

test("with another password it says to log in, and logging in makes the customer that is missing", async () => {
  createFails = true
  await signUp({}, form())
  createFails = false

  const { error } = await signUp({}, form({ password: "another one" }))
  expect(error).toBe("There is an account with this e-mail address already. Log in with its password.")
  expect((await logIn({}, form({ password: "another one" }))).error).toBe("The e-mail address or the password is wrong.")
  expect(signedIn()).toBeUndefined()

  await expect(logIn({}, form())).rejects.toThrow("to /cart")
  expect(signedIn()).toBe("cus_1")
  expect(customers).toEqual([{ email: "ada@example.com" }])
})

test("a sign-up whose answer was lost is a log-in when it is repeated", async () => {
  logins.set("ada@example.com", { password: "correct horse", customer: "cus_1" })

  await expect(signUp({}, form())).rejects.toThrow("to /cart")
  expect(signedIn()).toBe("cus_1")
  expect(customers).toEqual([])
})

test("a customer with an account that has another way to sign in gets a message that says so", async () => {
  sdk.store.customer = {
    create: () => Promise.reject(new FetchError("Customer with this email already has an account", "", 422)),
  }

  expect((await signUp({}, form())).error).toContain("There is an account with this e-mail address already.")
})
