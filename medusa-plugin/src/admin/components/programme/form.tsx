import { Alert, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustProgramme } from "../../../types"
import { useAuthors } from "../../lib/authors"
import { DustError, messageOf } from "../../lib/dust"
import { generalMessages, type FieldError } from "../../lib/field-errors"
import { useFocusWrong } from "../../lib/focus-wrong"
import { moment } from "../../lib/format"
import { useTexts, type Translate } from "../../lib/texts"
import { worded } from "../../lib/wording"
import { DraftNote } from "../programme-drafts/draft-note"
import { SaveButtons } from "../programme-drafts/save-buttons"
import { ProgrammeConflict } from "./conflict"
import { BonusRules, GuestRules, NamingRules, ReturnRules, TierRules } from "./customers"
import { EarningRules } from "./earning"
import { useEditor } from "./editor"
import { RewardRules, SpendingRules } from "./spending"

/** The rules of the programme. Saving makes a new version; the old ones stay for the orders that met them. */
export function ProgrammeForm(): ReactNode {
  const { base, document, draft, errors, load, save } = useEditor()
  const t = useTexts()
  const authorOf = useAuthors([base.author])
  // The form is long: show the first field that is wrong.
  const form = useFocusWrong(save.error)
  const conflict = save.error instanceof DustError && save.error.status === 412
  return (
    <form
      ref={form}
      className="divide-y"
      onSubmit={(event) => {
        event.preventDefault()
        if (!draft) save.mutate(base.version)
      }}
    >
      <DraftNote />
      <Rules />
      <div className="bg-ui-bg-base sticky bottom-0 flex flex-col gap-y-4 px-6 py-4">
        {conflict && (
          <ProgrammeConflict mine={document} reload={load} overwrite={({ version }) => save.mutate(version)} />
        )}
        {save.error && !conflict && <NotSaved error={save.error} errors={errors} />}
        <div className="flex items-center justify-between gap-x-4">
          <Text size="small" className="text-ui-fg-subtle">
            {origin(base, authorOf(base.author), t)} {t("rules.keepsOld")}
          </Text>
          <SaveButtons />
        </div>
      </div>
    </form>
  )
}

/** A field for every rule. */
export function Rules(): ReactNode {
  return (
    <>
      <EarningRules />
      <SpendingRules />
      <RewardRules />
      <TierRules />
      <BonusRules />
      <ReturnRules />
      <GuestRules />
      <NamingRules />
    </>
  )
}

/** Why the rules were not saved. What is wrong with a field is shown there; what is about several is here. */
function NotSaved({ error, errors }: { error: Error; errors: FieldError[] }): ReactNode {
  const t = useTexts()
  const ofFields = error instanceof DustError && Boolean(error.problem.errors?.length)
  if (!ofFields) {
    return (
      <Alert role="alert" variant="error">
        {messageOf(error, t)}
      </Alert>
    )
  }
  const general = generalMessages(errors)
  const wrong = errors.length - general.length
  const sentences = [...(wrong ? [t("rules.notSaved", { count: wrong })] : []), ...general.map((message) => worded(message, t))]
  return (
    sentences.length > 0 && (
      <Alert role="alert" variant="error">
        {sentences.join(" ")}
      </Alert>
    )
  )
}

function origin({ version, created_at: since }: DustProgramme, author: string, t: Translate): string {
  return since ? t("rules.origin", { version, author, date: moment(since) }) : t("rules.defaults")
}
