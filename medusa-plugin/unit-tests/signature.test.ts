import { describe, expect, it } from "vitest"
import { eventId, occurredAt, signedHeaders, webhookKey } from "../src/lib/signature"

// Captured from a Medusa 2.21.2, and verified there by a receiver written in Python.
const CAPTURED = {
  secret: "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM=",
  id: "msg_7e6d25d9daea449bc43e86ae3280c478",
  sentAt: new Date(1795332467_000),
  signature: "v1,bsFCgEv5utKC3ohhgAeOl8vyLwjP2ocOwO9qAIsmsCc=",
  body:
    '{"type":"order.placed","timestamp":"2026-11-22T07:27:40.346Z",' +
    '"data":{"id":"order_01M812EKR4WA73M3DZA7SQJ6CY"}}',
}

describe("signedHeaders", () => {
  it("gives the signature that was captured", () => {
    expect(signedHeaders(webhookKey(CAPTURED.secret), CAPTURED.id, CAPTURED.sentAt, CAPTURED.body)).toEqual({
      "webhook-id": CAPTURED.id,
      "webhook-timestamp": "1795332467",
      "webhook-signature": CAPTURED.signature,
    })
  })

  it("signs the bytes of the body, not its letters", () => {
    const key = webhookKey(CAPTURED.secret)
    const [composed, decomposed] = ["é", "e\u0301"].map((body) => signedHeaders(key, "msg_1", new Date(0), body))
    expect(composed).not.toEqual(decomposed)
  })
})

describe("webhookKey", () => {
  it.each(["", "whsec_", "whsec_c2hvcnQ=", "c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM=", "whsec_not base64!", `whsec_${"A".repeat(90)}`])(
    "refuses %j",
    (secret) => {
      expect(() => webhookKey(secret)).toThrow("whsec_")
    },
  )
})

describe("eventId", () => {
  const event = {
    name: "order.placed",
    data: { id: "order_1" },
    metadata: { eventGroupId: "01M80ZYE4QSG5A06G4FK4625T5", created_at: "2026-11-22T06:43:53.324Z" },
  }

  it("is the same when the bus delivers the event again", () => {
    const again = { ...event, metadata: { ...event.metadata, published_at: new Date(), retries: 3 } }
    expect(eventId(again)).toBe(eventId(structuredClone(event)))
    expect(eventId(event)).toMatch(/^msg_[0-9a-f]{32}$/)
  })

  it("differs for another name, other data and another run of the workflow", () => {
    const others = [
      { ...event, name: "order.updated" },
      { ...event, data: { id: "order_2" } },
      { ...event, metadata: { ...event.metadata, eventGroupId: "01M80ZYE4QSG5A06G4FK4625T6" } },
    ]
    expect(new Set([event, ...others].map(eventId)).size).toBe(4)
  })

  it("goes by the time of the event where there is no group, whether the time is a string or a date", () => {
    const [text, date, later] = ["2026-11-22T06:43:53.324Z", new Date("2026-11-22T06:43:53.324Z"), new Date()].map(
      (created_at) => eventId({ ...event, metadata: { created_at } }),
    )
    expect(text).toBe(date)
    expect(text).not.toBe(later)
  })
})

describe("occurredAt", () => {
  it("is when the event was made", () => {
    expect(occurredAt({ created_at: "2026-11-22T06:43:53.324Z" }).getTime()).toBe(Date.UTC(2026, 10, 22, 6, 43, 53, 324))
  })
})
