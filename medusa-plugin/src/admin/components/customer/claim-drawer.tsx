import { Alert, Text, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustClaim } from "../../../types"
import { dust, errorAt } from "../../lib/dust"
import { shown } from "../../lib/format"
import { useOrderNumbers } from "../../lib/people"
import { counted, useTexts } from "../../lib/texts"
import { TextField } from "../field"
import { FormDrawer } from "../form-drawer"

/** Give a customer the points of their guest orders: first what would be claimed, then the claim. */
export function ClaimDrawer({ customerId, close }: { customerId: string; close: () => void }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [email, setEmail] = useState("")
  const path = `/customers/${customerId}/claim`
  const look = useMutation({ mutationFn: () => dust<DustClaim>(path, "POST", { email, dry_run: true }) })
  const claim = useMutation({
    mutationFn: () => dust<DustClaim>(path, "POST", { email }),
    onSuccess: async ({ dust: points }) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("claim.done", counted(points, t)))
      close()
    },
  })
  const preview = look.data
  return (
    <FormDrawer
      title={t("claim.title")}
      submit={preview ? t("claim.submit", counted(preview.dust, t)) : t("claim.look")}
      close={close}
      onSubmit={() => (preview ? claim : look).mutate()}
      isPending={look.isPending || claim.isPending}
      error={claim.error ?? look.error}
    >
      <Text size="small" className="text-ui-fg-subtle">
        {t("claim.intro")}
      </Text>
      <TextField
        label={t("claim.email")}
        hint={t("claim.emailHint")}
        error={errorAt(claim.error ?? look.error, "email")}
        value={email}
        onChange={(text) => {
          setEmail(text)
          look.reset()
          claim.reset()
        }}
        autoFocus
      />
      {preview && <Found claim={preview} />}
    </FormDrawer>
  )
}

function Found({ claim }: { claim: DustClaim }): ReactNode {
  const t = useTexts()
  const numbers = useOrderNumbers(claim.orders.map((order) => order.order_id))
  return (
    <div className="flex flex-col gap-y-2" role="status">
      <Alert variant={claim.orders.length ? "info" : "warning"}>
        {claim.orders.length ? t("claim.found", { ...counted(claim.dust, t), count: claim.orders.length }) : t("claim.none")}
      </Alert>
      {claim.orders.map((order) => (
        <div key={order.order_id} className="flex justify-between">
          <Text size="small">{numbers[order.order_id] ?? t("general.order")}</Text>
          <Text size="small">{shown(order.dust)}</Text>
        </div>
      ))}
    </div>
  )
}
