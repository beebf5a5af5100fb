import { container } from "@medusajs/framework"
import { ContainerRegistrationKeys, MedusaError } from "@medusajs/framework/utils"
import { completeCartWorkflow } from "@medusajs/medusa/core-flows"
import { guardCheckout } from "../../lib/guard-checkout"
import type { GuardedCart } from "../../lib/guard-rules"
import { DUST_MODULE } from "../../modules/dust"
import type DustModuleService from "../../modules/dust/service"

const ONE_HANDLER =
  "Medusa takes only one handler for completeCartWorkflow.hooks.validate. Does this shop have one of its own? Call " +
  "guardCheckout(cart, container) from medusa-plugin-dust/guard in it, and set the plugin's option checkoutGuard to false."

/**
 * Put the guard into Medusa's checkout. A shop must not run unguarded: an error here stops Medusa's start.
 *
 * Medusa loads all workflows at once, in no fixed order. When the shop's own handler comes second, Medusa's error names
 * only that one, hence the line in the log.
 */
function guardEveryCheckout(): void {
  try {
    completeCartWorkflow.hooks.validate(async ({ cart }, { container }) => guardCheckout(cart as GuardedCart, container))
  } catch (error) {
    const reason = `medusa-plugin-dust cannot guard the checkout: ${(error as Error).message}. ${ONE_HANDLER}`
    throw new MedusaError(MedusaError.Types.NOT_ALLOWED, reason)
  }
  container.resolve(ContainerRegistrationKeys.LOGGER).info(`medusa-plugin-dust guards the checkout. ${ONE_HANDLER}`)
}

// Medusa loads modules before workflows, so the options have been checked.
if (container.resolve<DustModuleService>(DUST_MODULE).guardsCheckout) guardEveryCheckout()
