import { defineRouteConfig } from "@medusajs/admin-sdk"
import type { ReactNode } from "react"
import { Drafts } from "../../../components/programme-drafts/drafts"
import { ProgrammeHistory } from "../../../components/programme-history/history"
import { ProgrammeEditor } from "../../../components/programme/editor"
import { ProgrammeForm } from "../../../components/programme/form"
import { TabsPage } from "../../../components/tabs-page"
import { useTexts } from "../../../lib/texts"

const ProgrammePage = (): ReactNode => {
  const t = useTexts()
  return (
    <ProgrammeEditor>
      <TabsPage
        title={t("rules.title")}
        hint={t("rules.hint")}
        tabs={[
          { name: "rules", label: t("rules.tab"), content: <ProgrammeForm /> },
          { name: "drafts", label: t("drafts.tab"), content: <Drafts /> },
          { name: "history", label: t("history.tab"), content: <ProgrammeHistory /> },
        ]}
      />
    </ProgrammeEditor>
  )
}

export const config = defineRouteConfig({ label: "Programme", translationNs: "dust" })

export default ProgrammePage
