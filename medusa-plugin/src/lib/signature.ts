import { createHash, createHmac } from "node:crypto"
import { MedusaError } from "@medusajs/framework/utils"

/** What Medusa's event bus hands to a subscriber, as far as we read it. */
export type MedusaEvent = {
  name: string
  data: Record<string, unknown>
  metadata?: { eventGroupId?: string; created_at?: string | number | Date }
}

/** The raw HMAC key of a `whsec_<base64>` secret. Throws unless it has 24 to 64 bytes, as Standard Webhooks asks. */
export function webhookKey(secret: string): Buffer {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const key = Buffer.from(encoded ?? "", "base64")
  if (key.length < 24 || key.length > 64) {
    const reason = "must look like whsec_<base64 of 24 to 64 random bytes>; `dust secret` makes one"
    throw new MedusaError(MedusaError.Types.INVALID_ARGUMENT, reason)
  }
  return key
}

/** The headers that Standard Webhooks puts beside a body. `sentAt` is the time of this attempt, not of the event. */
export function signedHeaders(key: Buffer, id: string, sentAt: Date, body: string): Record<string, string> {
  const timestamp = Math.floor(sentAt.getTime() / 1000).toString()
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` }
}

/**
 * The same id for every delivery of one event. Medusa gives events no id, but the group (one run of a workflow), the
 * name and the data stay with a queued event, so they are the same when the bus delivers it again.
 */
export function eventId({ name, data, metadata }: MedusaEvent): string {
  const origin = metadata?.eventGroupId ?? occurredAt(metadata).toISOString()
  const digest = createHash("sha256").update([name, origin, JSON.stringify(data)].join("|")).digest("hex")
  return `msg_${digest.slice(0, 32)}`
}

/** When the event happened; now, for an event that does not say. */
export function occurredAt(metadata: MedusaEvent["metadata"]): Date {
  return metadata?.created_at ? new Date(metadata.created_at) : new Date()
}
