import { Button, Text, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustBalance, DustTransaction } from "../../types"
import { dust, errorAt, newKey } from "../lib/dust"
import { shown, signed } from "../lib/format"
import { wholeNumber } from "../lib/numbers"
import { counted, useTexts, type Translate } from "../lib/texts"
import { TextField } from "./field"
import { FormDrawer } from "./form-drawer"

const EMPTY = { amount: "", reason: "", description: "" }

type Props = { customerId: string; balance?: DustBalance }

/** Give a customer points by hand, or take some. */
export function AdjustDrawer(props: Props): ReactNode {
  const t = useTexts()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size="small" variant="secondary" onClick={() => setOpen(true)}>
        {t("account.adjust")}
      </Button>
      {open && <Form {...props} close={() => setOpen(false)} />}
    </>
  )
}

function Form({ customerId, balance, close }: Props & { close: () => void }): ReactNode {
  const t = useTexts()
  const [form, setForm] = useState(EMPTY)
  // The same key for the same form: a second click, or another try after a lost answer, books nothing more.
  const [key, setKey] = useState(newKey)
  const client = useQueryClient()
  const book = useMutation({
    mutationFn: () =>
      dust<DustTransaction>(
        `/customers/${customerId}/adjustments`,
        "POST",
        { ...form, amount: wholeNumber(form.amount) },
        { "idempotency-key": key },
      ),
    onSuccess: async (row) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("account.adjusted", { count: row.amount, amount: signed(row.amount), balance: shown(row.balance_after) }))
      close()
    },
  })
  const field = (name: keyof typeof EMPTY): { value: string; error?: string; onChange: (value: string) => void } => ({
    value: form[name],
    error: errorAt(book.error, name),
    onChange: (value) => {
      setForm({ ...form, [name]: value })
      setKey(newKey())
    },
  })
  const effect = balance && adjustmentEffect(form.amount, balance, t)
  return (
    <FormDrawer
      title={t("account.adjustTitle")}
      submit={t("account.book")}
      close={close}
      onSubmit={() => book.mutate()}
      isPending={book.isPending}
      error={book.error}
    >
      <TextField label={t("account.amount")} hint={t("account.amountHint")} autoFocus {...field("amount")} />
      <Text size="small" role="status">
        {effect}
      </Text>
      <TextField label={t("account.reason")} hint={t("account.reasonHint")} {...field("reason")} />
      <TextField label={t("account.description")} hint={t("account.descriptionHint")} {...field("description")} />
    </FormDrawer>
  )
}

/** What an adjustment by this amount would do; empty while it is none. */
export function adjustmentEffect(typed: string, { balance, available }: DustBalance, t: Translate): string {
  const amount = wholeNumber(typed)
  if (typeof amount !== "number" || amount === 0) return ""
  if (-amount > available) return t("problems.insufficient_dust", counted(available, t))
  return t("account.adjustEffect", { before: shown(balance), after: shown(balance + amount) })
}
