export type DeliveriesQuery = { state: "all" | "waiting" | "rejected"; type: string }

/** The filters that are set, for the list and for a retry of all that it has. */
export function filtersOf({ state, type }: DeliveriesQuery): Record<string, string> {
  return { ...(state !== "all" && { state }), ...(type.trim() && { type: type.trim() }) }
}

/** The path of the list of undelivered events with these filters. */
export function deliveriesPath(query: DeliveriesQuery): string {
  const text = new URLSearchParams(filtersOf(query)).toString()
  return text ? `/deliveries?${text}` : "/deliveries"
}
