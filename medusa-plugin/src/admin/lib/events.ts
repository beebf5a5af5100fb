import type { DustEvent } from "../../types"

export type EventQuery = { state: DustEvent["state"]; type: string; subject: string; since: Date | null }

/** The path of the list of events with these filters. */
export function eventsPath({ state, type, subject, since }: EventQuery): string {
  const query = new URLSearchParams({ state })
  if (type.trim()) query.set("type", type.trim())
  if (subject.trim()) query.set("subject", subject.trim())
  if (since) query.set("since", since.toISOString())
  return `/events?${query}`
}

/** A body as it came, with indentation if it is JSON. */
export function readableBody(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
