import { defineWidgetConfig } from "@medusajs/admin-sdk"
import type { AdminCustomer, DetailWidgetProps } from "@medusajs/framework/types"
import { Badge, Container, Heading } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustBalance } from "../../types"
import { CustomerActions } from "../components/customer/customer-actions"
import { Merges } from "../components/customer/merges"
import { AdjustDrawer } from "../components/adjust-drawer"
import { ExplainDrawer } from "../components/explain-drawer"
import { Figures } from "../components/figures"
import { History } from "../components/history"
import { Loaded } from "../components/states"
import { dust } from "../lib/dust"
import { moment, shown } from "../lib/format"
import { useTexts } from "../lib/texts"

const CustomerDust = ({ data: customer }: DetailWidgetProps<AdminCustomer>): ReactNode => {
  const t = useTexts()
  const path = `/customers/${customer.id}`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => dust<DustBalance>(path) })
  return (
    <Container className="divide-y p-0">
      <div className="flex items-center justify-between px-6 py-4">
        <div className="flex items-center gap-x-2">
          <Heading level="h2">{t("general.dust")}</Heading>
          {query.data?.tier?.name && <Badge size="2xsmall">{query.data.tier.name}</Badge>}
        </div>
        <div className="flex items-center gap-x-2">
          <ExplainDrawer customerId={customer.id} />
          <AdjustDrawer customerId={customer.id} balance={query.data} />
          <CustomerActions customer={customer} balance={query.data} />
        </div>
      </div>
      <Merges customerId={customer.id} />
      <Loaded query={query}>
        {(balance) => (
          <>
            <Figures
              figures={[
                { label: t("account.balance"), value: shown(balance.balance) },
                { label: t("account.available"), value: shown(balance.available), hint: t("account.availableHint") },
                { label: t("account.held"), value: shown(balance.held), hint: t("account.heldHint") },
                { label: t("account.pending"), value: shown(balance.pending), hint: t("account.pendingHint") },
                { label: t("account.expiring"), ...nextToGo(balance) },
              ]}
            />
            <History customerId={customer.id} />
          </>
        )}
      </Loaded>
    </Container>
  )
}

function nextToGo({ expiring: [next] }: DustBalance): { value: string; hint?: string } {
  return next ? { value: shown(next.amount), hint: moment(next.expires_at) } : { value: "–" }
}

export const config = defineWidgetConfig({ zone: "customer.details.before", id: "dust-customer" })

export default CustomerDust
