"use client"

import { useActionState } from "react"
import { placeOrder, type ActionState } from "@/lib/actions"
import { Message } from "./form"

/** `total` is what the page shows: the order is placed for no more. */
export function PlaceOrder({ total, missing }: { total: number; missing?: string }) {
  const [state, run, pending] = useActionState(placeOrder, {} as ActionState)
  return (
    <form action={run} className="place-order">
      <input type="hidden" name="total" value={total} />
      <button type="submit" className="button wide" disabled={pending || Boolean(missing)} aria-busy={pending}>
        {pending ? "Placing your order …" : "Place the order"}
      </button>
      {missing && <p className="hint">{missing}</p>}
      <Message state={state} />
    </form>
  )
}
