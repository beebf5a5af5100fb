import { Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { valueAt, type Json } from "../../lib/document"
import { discountFor, earnedPoints, exampleAmount, examplePoints } from "../../lib/examples"
import { amount as amountShown } from "../../lib/format"
import { useCurrencies, type Currency } from "../../lib/shop"
import { counted, useTexts } from "../../lib/texts"
import { useEditor } from "./editor"

/** What an order earns by the rules as they are edited, in each currency. `factorAt` is a factor on top. */
export function EarnExample({ factorAt }: { factorAt?: string }): ReactNode {
  const t = useTexts()
  const { document } = useEditor()
  const factor = factorAt ? (valueAt(document, factorAt) ?? "") : "1"
  return (
    <Examples
      of={({ code, digits }) => {
        const { amount, shown: price } = exampleAmount(digits)
        const points = earnedPoints(document, code, amount, factor)
        return points === undefined
          ? undefined
          : t("rules.example.earn", { amount: `${amountShown(price)} ${code.toUpperCase()}`, ...counted(points, t) })
      }}
    />
  )
}

/** What points take off a cart, in each currency: those at `pointsAt`, or some. */
export function DiscountExample({ pointsAt }: { pointsAt?: string }): ReactNode {
  const t = useTexts()
  const { document } = useEditor()
  const points = pointsAt ? numberOf(valueAt(document, pointsAt)) : examplePoints(document)
  return (
    <Examples
      of={({ code, digits }) => {
        const value = discountFor(document, code, digits, points)
        return value && t("rules.example.worth", { ...counted(points, t), value: `${amountShown(value)} ${code.toUpperCase()}` })
      }}
    />
  )
}

function Examples({ of }: { of: (currency: Currency) => string | undefined }): ReactNode {
  const { data: currencies = [] } = useCurrencies()
  const sentences = currencies.map(of).filter(Boolean)
  if (sentences.length === 0) return null
  return (
    <Text size="small" className="text-ui-fg-subtle md:col-span-2">
      {sentences.join(" ")}
    </Text>
  )
}

function numberOf(value: Json | undefined): number {
  return typeof value === "number" ? value : 0
}
