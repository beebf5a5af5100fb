import { Alert, Button, Drawer, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustTransaction } from "../../types"
import { dust, errorAt, generalError, newKey, wholeNumber } from "../lib/dust"
import { shown, signed } from "../lib/format"
import { useTexts } from "../lib/texts"
import { TextField } from "./field"

const EMPTY = { amount: "", reason: "", description: "" }

/** Give a customer points by hand, or take some. */
export function AdjustDrawer({ customerId }: { customerId: string }): ReactNode {
  const t = useTexts()
  const [open, setOpen] = useState(false)
  return (
    <Drawer open={open} onOpenChange={setOpen}>
      <Drawer.Trigger asChild>
        <Button size="small" variant="secondary">
          {t("account.adjust")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("account.adjustTitle")}</Drawer.Title>
        </Drawer.Header>
        {open && <Form customerId={customerId} close={() => setOpen(false)} />}
      </Drawer.Content>
    </Drawer>
  )
}

function Form({ customerId, close }: { customerId: string; close: () => void }): ReactNode {
  const t = useTexts()
  const [form, setForm] = useState(EMPTY)
  // The same key for the same form: a second click, or another try after a lost answer, books nothing more.
  const [key, setKey] = useState(newKey)
  const client = useQueryClient()
  const set = (field: keyof typeof EMPTY) => (value: string) => {
    setForm({ ...form, [field]: value })
    setKey(newKey())
  }
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
      toast.success(t("account.adjusted", { points: signed(row.amount), balance: shown(row.balance_after) }))
      close()
    },
  })
  return (
    <form
      className="flex flex-1 flex-col overflow-hidden"
      onSubmit={(event) => {
        event.preventDefault()
        book.mutate()
      }}
    >
      <Drawer.Body className="flex flex-col gap-y-4">
        {generalError(book.error, t) && <Alert variant="error">{generalError(book.error, t)}</Alert>}
        <TextField
          label={t("account.amount")}
          hint={t("account.amountHint")}
          error={errorAt(book.error, "amount")}
          value={form.amount}
          onChange={set("amount")}
          autoFocus
        />
        <TextField
          label={t("account.reason")}
          hint={t("account.reasonHint")}
          error={errorAt(book.error, "reason")}
          value={form.reason}
          onChange={set("reason")}
        />
        <TextField
          label={t("account.description")}
          hint={t("account.descriptionHint")}
          error={errorAt(book.error, "description")}
          value={form.description}
          onChange={set("description")}
        />
      </Drawer.Body>
      <Drawer.Footer>
        <Drawer.Close asChild>
          <Button size="small" variant="secondary">
            {t("general.cancel")}
          </Button>
        </Drawer.Close>
        <Button size="small" type="submit" isLoading={book.isPending}>
          {t("account.book")}
        </Button>
      </Drawer.Footer>
    </form>
  )
}
