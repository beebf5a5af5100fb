import { authenticate, defineMiddlewares, validateAndTransformBody, validateAndTransformQuery } from "@medusajs/framework/http"
import type { AuthenticatedMedusaRequest, MedusaNextFunction, MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { ContainerRegistrationKeys, MedusaError } from "@medusajs/framework/utils"
import { isDust } from "../lib/guard-rules"
import { GUARD_SENTENCES } from "../lib/guard-sentences"
import { bindings, readCart, type SpendingCart } from "../lib/spending-cart"
import { bindDustCodesWorkflow } from "../workflows/bind-codes"
import { Undelivered, UndeliveredPage, WithdrawCodes } from "./validators"

const whoAsks = authenticate("customer", ["session", "bearer"], { allowUnauthenticated: true })

/** The customer who is signed in. Absent when nobody is, whatever the type says. */
function actorOf(req: MedusaRequest): string | undefined {
  return (req as AuthenticatedMedusaRequest).auth_context?.actor_id || undefined
}

/**
 * Only the customer whose points they are may spend them, and only when signed in. The cart's `customer_id` proves
 * nothing: Medusa gives an anonymous cart the id of the owner of the e-mail address that was typed into it.
 */
function refusalFor(cart: SpendingCart | undefined, req: MedusaRequest): MedusaError | undefined {
  const holdsDust = cart?.promotions?.some((promotion) => isDust(promotion))
  const actor = actorOf(req)
  if (!cart || cart.completed_at || !holdsDust || (actor && actor === cart.customer_id)) return undefined
  return new MedusaError(MedusaError.Types.NOT_ALLOWED, GUARD_SENTENCES.not_the_owner, "not_the_owner")
}

/** Bind the cart's dust codes to it, if their owner asks. Only `codes`, when given. */
async function bindCodes(cart: SpendingCart | undefined, req: MedusaRequest, codes?: string[]): Promise<void> {
  const updates = bindings(cart, actorOf(req), codes)
  if (updates.length) await bindDustCodesWorkflow(req.scope).run({ input: { updates } })
}

/** Let the owner go on, and bind the codes that are in the cart, as the owner asked for its order. */
async function onlyTheOwner(cartId: string, req: MedusaRequest, next: MedusaNextFunction): Promise<void> {
  const cart = await readCart(cartId, req.scope)
  const error = refusalFor(cart, req)
  if (!error) await bindCodes(cart, req)
  next(error)
}

/** `POST /store/carts/:id/complete`. */
async function onlyTheOwnerCompletes(req: MedusaRequest, _res: MedusaResponse, next: MedusaNextFunction): Promise<void> {
  await onlyTheOwner(req.params.id, req, next)
}

/** `POST /store/payment-collections/:id/payment-sessions`: a provider's webhook completes what was paid for here. */
async function onlyTheOwnerPays(req: MedusaRequest, _res: MedusaResponse, next: MedusaNextFunction): Promise<void> {
  const { data } = await req.scope.resolve(ContainerRegistrationKeys.QUERY).graph({
    entity: "cart_payment_collection",
    fields: ["cart_id"],
    filters: { payment_collection_id: req.params.id },
  })
  const cartId = data[0]?.cart_id as string | undefined
  if (!cartId) return next()
  await onlyTheOwner(cartId, req, next)
}

/**
 * A request with `promo_codes` that makes or changes a cart: if the codes' owner sends it, they are bound to the cart
 * before the answer goes out. Anybody else's request binds nothing, and the checkout guard refuses the cart.
 */
function bindAppliedCodes(req: MedusaRequest, res: MedusaResponse, next: MedusaNextFunction): void {
  const codes = (req.body as { promo_codes?: unknown } | undefined)?.promo_codes
  if (!actorOf(req) || !Array.isArray(codes) || codes.length === 0) return next()
  const send = res.json.bind(res)
  res.json = (body) => {
    const cartId = (body as { cart?: { id?: string } } | undefined)?.cart?.id
    if (!cartId) return send(body)
    const bound = readCart(cartId, req.scope).then((cart) => bindCodes(cart, req, codes))
    bound
      // The cart is as it should be, and its completion binds the codes once more.
      .catch((error) => {
        const logger = req.scope.resolve(ContainerRegistrationKeys.LOGGER)
        logger.error(`dust: the codes of ${cartId} were not bound: ${error.message}`)
      })
      .finally(() => send(body))
    return res
  }
  next()
}

// Apart from the list: `defineMiddlewares` cannot infer the type of its routes with this generic call among them.
const readUndelivered = validateAndTransformQuery(UndeliveredPage, {})

// Medusa checks these with its feature flag `rbac` only.
const MAY_READ = { resource: "dust", operation: "read" }
const MAY_UPDATE = { resource: "dust", operation: "update" }

export default defineMiddlewares({
  routes: [
    {
      matcher: "/admin/dust/*",
      methods: ["GET"],
      policies: [MAY_READ],
    },
    {
      matcher: "/admin/dust/*",
      methods: ["POST", "PUT", "DELETE"],
      policies: [MAY_UPDATE],
    },
    {
      matcher: "/store/carts/:id/complete",
      methods: ["POST"],
      middlewares: [whoAsks, onlyTheOwnerCompletes],
    },
    {
      matcher: "/store/payment-collections/:id/payment-sessions",
      methods: ["POST"],
      middlewares: [whoAsks, onlyTheOwnerPays],
    },
    {
      matcher: "/store/carts",
      methods: ["POST"],
      middlewares: [whoAsks, bindAppliedCodes],
    },
    {
      matcher: "/store/carts/:id",
      methods: ["POST"],
      middlewares: [whoAsks, bindAppliedCodes],
    },
    {
      matcher: "/store/carts/:id/promotions",
      methods: ["POST"],
      middlewares: [whoAsks, bindAppliedCodes],
    },
    {
      matcher: "/admin/dust/codes/withdraw",
      methods: ["POST"],
      middlewares: [validateAndTransformBody(WithdrawCodes)],
    },
    {
      matcher: "/admin/dust/deliveries",
      methods: ["GET"],
      middlewares: [readUndelivered],
    },
    {
      matcher: "/admin/dust/deliveries/retry",
      methods: ["POST"],
      middlewares: [validateAndTransformBody(Undelivered)],
    },
    {
      // A programme may name thousands of products, and Medusa's own limit is 100 kB.
      matcher: "/admin/dust/programme",
      methods: ["PUT"],
      bodyParser: { sizeLimit: "1mb" },
    },
    {
      // A batch has up to a thousand products.
      matcher: "/admin/dust/products",
      methods: ["POST"],
      bodyParser: { sizeLimit: "1mb" },
    },
    {
      matcher: "/admin/dust/programme/simulate",
      methods: ["POST"],
      bodyParser: { sizeLimit: "1mb" },
    },
    {
      matcher: "/admin/dust/programme/drafts",
      methods: ["POST"],
      bodyParser: { sizeLimit: "1mb" },
    },
    {
      matcher: "/admin/dust/programme/drafts/:draft_id",
      methods: ["PUT"],
      bodyParser: { sizeLimit: "1mb" },
    },
  ],
})
