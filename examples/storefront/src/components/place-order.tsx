"use client"

import { useActionState } from "react"
import { placeOrder, type ActionState } from "@/lib/actions"
import { Message } from "./form"

export function PlaceOrder({ missing }: { missing?: string }) {
  const [state, run, pending] = useActionState<ActionState>(placeOrder, {})
  return (
    <form action={run} className="place-order">
      <button type="submit" className="button wide" disabled={pending || Boolean(missing)} aria-busy={pending}>
        {pending ? "Placing your order …" : "Place the order"}
      </button>
      {missing && <p className="hint">{missing}</p>}
      <Message state={state} />
    </form>
  )
}
