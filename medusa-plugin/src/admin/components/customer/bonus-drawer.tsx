import { toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustBonus } from "../../../types"
import { dust, errorAt, newKey } from "../../lib/dust"
import { wholeNumber } from "../../lib/numbers"
import { counted, useTexts } from "../../lib/texts"
import { TextField } from "../field"
import { FormDrawer } from "../form-drawer"

const EMPTY = { amount: "", reason: "", description: "", expires_after_days: "", matures_after_days: "" }

type Props = { customerIds: string[]; close: () => void; given?: () => void }

/** Give points to one customer or to many, all of them or none. */
export function BonusDrawer({ customerIds, close, given }: Props): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [bonus, setBonus] = useState(EMPTY)
  // The same key for the same bonus, so that a second click gives nothing more.
  const [key, setKey] = useState(newKey)
  const give = useMutation({
    mutationFn: () => dust<DustBonus>("/bonuses", "POST", requestOf(customerIds, bonus), { "idempotency-key": key }),
    onSuccess: async ({ amount, customers }) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("bonus.given", { ...counted(amount, t), count: customers }))
      given?.()
      close()
    },
  })
  const field = (name: keyof typeof EMPTY): { value: string; error?: string; onChange: (value: string) => void } => ({
    value: bonus[name],
    error: errorAt(give.error, name),
    onChange: (value) => {
      setBonus({ ...bonus, [name]: value })
      setKey(newKey())
    },
  })
  const amount = wholeNumber(bonus.amount)
  const total = typeof amount === "number" && amount > 0 ? amount * customerIds.length : undefined
  return (
    <FormDrawer
      title={t("bonus.title", { count: customerIds.length })}
      submit={total ? t("bonus.submitTotal", counted(total, t)) : t("bonus.submit")}
      close={close}
      onSubmit={() => give.mutate()}
      isPending={give.isPending}
      error={give.error}
      fields={Object.keys(EMPTY)}
    >
      <TextField label={t("bonus.amount")} hint={t("bonus.amountHint", { count: customerIds.length })} inputMode="numeric" autoFocus {...field("amount")} />
      <TextField label={t("bonus.reason")} hint={t("bonus.reasonHint")} {...field("reason")} />
      <TextField label={t("bonus.description")} hint={t("bonus.descriptionHint")} {...field("description")} />
      <TextField label={t("bonus.expires")} placeholder={t("bonus.expiresEmpty")} inputMode="numeric" {...field("expires_after_days")} />
      <TextField label={t("bonus.matures")} placeholder={t("bonus.maturesEmpty")} inputMode="numeric" {...field("matures_after_days")} />
    </FormDrawer>
  )
}

function requestOf(customerIds: string[], bonus: typeof EMPTY): object {
  const { expires_after_days: expires, matures_after_days: matures } = bonus
  return {
    customer_ids: customerIds,
    amount: wholeNumber(bonus.amount),
    reason: bonus.reason,
    description: bonus.description,
    ...(expires.trim() && { expires_after_days: wholeNumber(expires) }),
    ...(matures.trim() && { matures_after_days: wholeNumber(matures) }),
  }
}
