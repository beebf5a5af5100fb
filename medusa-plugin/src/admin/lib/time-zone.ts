import { useQuery } from "@tanstack/react-query"
import type { DustProgramme } from "../../types"
import { dust } from "./dust"

/**
 * The time zone of the rules, on whose days points expire. Undefined, for the browser's own, while it is not known, and for
 * one that the browser does not know.
 */
export function useTimeZone(): string | undefined {
  const { data } = useQuery({ queryKey: ["dust", "programme"], queryFn: () => dust<DustProgramme>("/programme") })
  return knownZone(data?.time_zone)
}

export function knownZone(timeZone: string | undefined): string | undefined {
  try {
    Intl.DateTimeFormat("en", { timeZone })
    return timeZone
  } catch {
    return undefined
  }
}
