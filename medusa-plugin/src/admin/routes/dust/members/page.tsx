import { defineRouteConfig } from "@medusajs/admin-sdk"
import type { ReactNode } from "react"
import { MembersTable } from "../../../components/members/members-table"

const MembersPage = (): ReactNode => <MembersTable />

export const config = defineRouteConfig({ label: "Members", translationNs: "dust" })

export default MembersPage
