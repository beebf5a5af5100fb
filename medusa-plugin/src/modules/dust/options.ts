import { MedusaError } from "@medusajs/framework/utils"
import { webhookKey } from "../../lib/signature"

/** The `options` of this plugin in medusa-config.ts. */
export type DustOptions = {
  /** Where the bridge answers, such as `https://dust.example.com`. */
  url: string
  /** One of the bridge's `DUST_WEBHOOK_SECRETS`: `whsec_<base64>`. */
  secret: string
  /** The bridge's `DUST_ADMIN_TOKEN`, with which the plugin's routes speak for those whom Medusa has recognised. */
  token: string
  /**
   * False when the shop has a `completeCart.validate` handler of its own, which then calls `guardCheckout`. Medusa takes
   * only one handler for a hook.
   */
  checkoutGuard?: boolean
  /** An address that gets an e-mail for each alert, through a notification provider of the shop for `email`. */
  alertEmail?: string
}

/** The options in the form the plugin works with. `bridge` is an address that paths can be appended to. */
export type ReadOptions = { bridge: string; key: Buffer; token: string; guard: boolean; alertEmail?: string }

const SHORTEST_TOKEN = 32

/** Throws with every problem named, so that one start shows them all. */
export function readOptions(options: Partial<DustOptions> | undefined): ReadOptions {
  const problems: string[] = []
  const read = <T>(name: "url" | "secret" | "token", parse: (value: string) => T): T | undefined => {
    const value = options?.[name]
    try {
      if (!value) throw unusable("is missing")
      return parse(value)
    } catch (error) {
      problems.push(`"${name}" ${(error as Error).message}`)
    }
  }

  const bridge = read("url", bridgeAddress)
  const key = read("secret", webhookKey)
  const token = read("token", serviceToken)
  const { alertEmail } = options ?? {}
  if (alertEmail && !/^[^@\s]+@[^@\s]+$/.test(alertEmail)) problems.push('"alertEmail" must be an e-mail address')
  if (!bridge || !key || !token || problems.length) {
    throw unusable(`medusa-plugin-dust cannot start. In medusa-config.ts, its option ${problems.join(", and its option ")}`)
  }
  return { bridge, key, token, guard: options?.checkoutGuard ?? true, alertEmail: alertEmail || undefined }
}

function unusable(reason: string): MedusaError {
  return new MedusaError(MedusaError.Types.INVALID_ARGUMENT, reason)
}

function bridgeAddress(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw unusable("must be an http:// or https:// address")
  }
  const { origin, pathname } = new URL(url)
  return origin + pathname.replace(/\/+$/, "")
}

function serviceToken(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token) || token.length < SHORTEST_TOKEN) {
    throw unusable(`must be the bridge's DUST_ADMIN_TOKEN, which has at least ${SHORTEST_TOKEN} characters`)
  }
  return token
}
