import type { AdminCustomer } from "@medusajs/framework/types"
import { ArrowDownTray, EllipsisHorizontal, Gift, Trash, UserGroup, Users } from "@medusajs/icons"
import { DropdownMenu, IconButton, toast, usePrompt } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustBalance } from "../../../types"
import { dust, messageOf } from "../../lib/dust"
import { download } from "../../lib/download"
import { shown } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { BonusDrawer } from "./bonus-drawer"
import { ClaimDrawer } from "./claim-drawer"
import { MergeDrawer } from "./merge-drawer"

type Props = { customer: AdminCustomer; balance?: DustBalance }

/** What support can do for a customer, beside an adjustment. */
export function CustomerActions({ customer, balance }: Props): ReactNode {
  const t = useTexts()
  const [action, setAction] = useState<"bonus" | "claim" | "merge">()
  const exported = useExport(customer.id)
  const erase = useErase(customer, balance)
  const close = (): void => setAction(undefined)
  return (
    <>
      <DropdownMenu>
        <DropdownMenu.Trigger asChild>
          <IconButton size="small" variant="transparent" aria-label={t("customer.more")}>
            <EllipsisHorizontal />
          </IconButton>
        </DropdownMenu.Trigger>
        <DropdownMenu.Content align="end">
          <DropdownMenu.Item className="gap-x-2" onClick={() => setAction("bonus")}>
            <Gift /> {t("customer.bonus")}
          </DropdownMenu.Item>
          <DropdownMenu.Item className="gap-x-2" onClick={() => setAction("claim")}>
            <UserGroup /> {t("customer.claim")}
          </DropdownMenu.Item>
          <DropdownMenu.Item className="gap-x-2" onClick={() => setAction("merge")}>
            <Users /> {t("customer.merge")}
          </DropdownMenu.Item>
          <DropdownMenu.Separator />
          <DropdownMenu.Item className="gap-x-2" onClick={exported}>
            <ArrowDownTray /> {t("customer.export")}
          </DropdownMenu.Item>
          <DropdownMenu.Item className="gap-x-2" onClick={() => void erase()}>
            <Trash /> {t("customer.erase")}
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu>
      {action === "bonus" && <BonusDrawer customerIds={[customer.id]} close={close} />}
      {action === "claim" && <ClaimDrawer customerId={customer.id} close={close} />}
      {action === "merge" && <MergeDrawer customer={customer} close={close} />}
    </>
  )
}

function useExport(customerId: string): () => void {
  const t = useTexts()
  const read = useMutation({
    mutationFn: () => dust<object>(`/customers/${customerId}/export`),
    onSuccess: (document) => download(`dust-${customerId}.json`, JSON.stringify(document, null, 2), "application/json"),
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return () => read.mutate()
}

/** Erase what identifies the person, after the customer's e-mail address was typed. */
function useErase(customer: AdminCustomer, balance?: DustBalance): () => Promise<void> {
  const t = useTexts()
  const prompt = usePrompt()
  const client = useQueryClient()
  const erase = useMutation({
    mutationFn: () => dust<{ events_stripped: number }>(`/customers/${customer.id}/erase`, "POST"),
    onSuccess: async ({ events_stripped: events }) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("customer.erased", { count: events }))
    },
    onError: (error) => toast.error(messageOf(error, t)),
  })
  return async () => {
    const confirmed = await prompt({
      title: t("customer.eraseTitle"),
      description: t("customer.eraseEffect", { held: shown(balance?.held ?? 0), balance: shown(balance?.balance ?? 0) }),
      verificationText: customer.email ?? customer.id,
      verificationInstruction: t("customer.eraseType"),
      confirmText: t("customer.eraseConfirm"),
      cancelText: t("general.cancel"),
    })
    if (confirmed) erase.mutate()
  }
}
