"use client"

import { useDust, useQuote } from "dust-storefront-kit/react"
import { useTexts } from "./language"
import { Row } from "./totals"

/** An amount of points in the shop's own word. */
export function PointsAmount({ amount }: { amount: number }) {
  return <>{useDust().points(amount)}</>
}

/** The sum in points, below the one in money. */
export function PointsTotal({ amount }: { amount: number }) {
  const { totals } = useTexts()
  return amount > 0 && <Row label={totals.alsoPoints} amount={<PointsAmount amount={amount} />} className="sum" />
}

interface CartPointsProps {
  /** Changes with the cart. */
  version: unknown
  /** What the products cost that only points can buy. All that is known while there is no quote, and for a guest. */
  onlyForPoints: number
}

/** What the cart costs in points: what is used already, and what is still due. */
export function CartPoints({ version, onlyForPoints }: CartPointsProps) {
  const { data: quote } = useQuote(version)
  if (!quote || quote.guest) return <PointsTotal amount={onlyForPoints} />
  return <PointsTotal amount={quote.redemptions.reduce((sum, { dust }) => sum + dust, quote.dust_only_due)} />
}
