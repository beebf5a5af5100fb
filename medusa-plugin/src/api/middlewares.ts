import { authenticate, defineMiddlewares } from "@medusajs/framework/http"
import type { AuthenticatedMedusaRequest, MedusaNextFunction, MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { MedusaError } from "@medusajs/framework/utils"
import { isDust, type GuardedPromotion } from "../guard-rules"

type Cart = { customer_id?: string | null; completed_at?: string | null; promotions?: (GuardedPromotion | null)[] | null }

/**
 * Only the customer whose dust it is may spend it, and only when signed in. The cart's `customer_id` proves nothing:
 * Medusa gives an anonymous cart the id of whoever owns the e-mail address that was typed into it.
 */
async function onlyTheOwnerSpendsDust(
  req: MedusaRequest,
  _res: MedusaResponse,
  next: MedusaNextFunction,
): Promise<void> {
  const { data } = await req.scope.resolve("query").graph({
    entity: "cart",
    fields: ["customer_id", "completed_at", "promotions.code", "promotions.metadata"],
    filters: { id: req.params.id },
  })
  const cart = data[0] as unknown as Cart | undefined
  const holdsDust = cart?.promotions?.some((promotion) => promotion && isDust(promotion))
  // Absent when nobody is signed in, whatever the type says.
  const actor = (req as AuthenticatedMedusaRequest).auth_context?.actor_id
  if (!cart || cart.completed_at || !holdsDust || (actor && actor === cart.customer_id)) return next()
  next(new MedusaError(MedusaError.Types.NOT_ALLOWED, "Please sign in to the account whose dust this cart spends."))
}

export default defineMiddlewares({
  routes: [
    {
      matcher: "/store/carts/:id/complete",
      method: ["POST"],
      middlewares: [
        authenticate("customer", ["session", "bearer"], { allowUnauthenticated: true }),
        onlyTheOwnerSpendsDust,
      ],
    },
    {
      // A programme may name thousands of products, and Medusa's own limit is 100 kB.
      matcher: "/admin/dust/programme",
      methods: ["PUT"],
      bodyParser: { sizeLimit: "1mb" },
    },
  ],
})
