import { webhookKey } from "../../signature"

/** What stands under `options` of this plugin in medusa-config.ts. */
export type DustOptions = {
  /** Where the bridge answers, such as `https://dust.example.com`. */
  url: string
  /** One of the bridge's `DUST_WEBHOOK_SECRETS`: `whsec_<base64>`. */
  secret: string
  /**
   * False when the shop has a `completeCart.validate` handler of its own, which then calls `guardCheckout`. Medusa takes
   * only one handler for a hook.
   */
  checkoutGuard?: boolean
}

/** The options in the form the plugin works with. Throws with every problem named, so that one start shows them all. */
export function readOptions(options: Partial<DustOptions> | undefined): { endpoint: URL; key: Buffer; guard: boolean } {
  const problems: string[] = []
  const read = <T>(name: "url" | "secret", parse: (value: string) => T): T | undefined => {
    const value = options?.[name]
    try {
      if (!value) throw new Error("is missing")
      return parse(value)
    } catch (error) {
      problems.push(`"${name}" ${(error as Error).message}`)
    }
  }

  const endpoint = read("url", webhookEndpoint)
  const key = read("secret", webhookKey)
  if (!endpoint || !key) {
    throw new Error(`medusa-plugin-dust cannot start. In medusa-config.ts, its option ${problems.join(", and its option ")}`)
  }
  return { endpoint, key, guard: options?.checkoutGuard ?? true }
}

function webhookEndpoint(url: string): URL {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error("must be an http:// or https:// address")
  }
  return new URL(`${url.replace(/\/+$/, "")}/webhooks/medusa`)
}
