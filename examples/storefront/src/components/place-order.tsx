"use client"

import { useActionState } from "react"
import { placeOrder, type ActionState } from "@/lib/actions"
import { Message, useCurrent } from "./form"
import { useTexts } from "./language"

interface PlaceOrderProps {
  /** What the page shows: the order is placed for no more. */
  total: number
  /** Changes with the cart: why an order was refused may no longer be true then. */
  version: string
  /** What the shopper has to do first. */
  missing?: string
}

export function PlaceOrder({ total, version, missing }: PlaceOrderProps) {
  const { checkout: t } = useTexts()
  const [result, run, pending] = useActionState(placeOrder, {} as ActionState)
  const [state] = useCurrent(result, version)
  return (
    <form action={run} className="place-order" onSubmit={(event) => pending && event.preventDefault()}>
      <input type="hidden" name="total" value={total} />
      <button type="submit" className="button wide" disabled={Boolean(missing)} aria-disabled={pending} aria-busy={pending}>
        {pending ? t.placing : t.place}
      </button>
      {missing && <p className="hint">{missing}</p>}
      <Message state={state} />
    </form>
  )
}
