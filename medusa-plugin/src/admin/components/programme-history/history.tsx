import { Badge, Button, Heading, Text, toast, usePrompt } from "@medusajs/ui"
import type { ReactNode } from "react"
import { useSearchParams } from "react-router-dom"
import type { DustProgramme, DustVersionList } from "../../../types"
import { useAuthors } from "../../lib/authors"
import { rulesOf, VERSIONS_PATH } from "../../lib/differences"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { MoreButton, usePages } from "../page-of"
import { useEditor } from "../programme/editor"
import { Loaded } from "../states"
import { ChangeList } from "./change-list"

/** The versions of the rules, newest first, each with what it changed. */
export function ProgrammeHistory(): ReactNode {
  const pages = usePages<DustVersionList>(VERSIONS_PATH)
  const versions = pages.data?.pages.flatMap((page) => page.versions) ?? []
  const authorOf = useAuthors(versions.map(({ author }) => author))
  // The last one on a page is compared with one of the next page, and shown with it.
  const shown = pages.hasNextPage ? versions.slice(0, -1) : versions
  return (
    <Loaded query={pages}>
      {() => (
        <>
          <ol className="divide-y">
            {shown.map((version, index) => (
              <Version
                key={version.version}
                version={version}
                before={versions[index + 1]}
                author={authorOf(version.author)}
                inForce={index === 0}
              />
            ))}
          </ol>
          <MoreButton pages={pages} />
        </>
      )}
    </Loaded>
  )
}

type Props = { version: DustProgramme; before?: DustProgramme; author: string; inForce: boolean }

function Version({ version, before, author, inForce }: Props): ReactNode {
  const t = useTexts()
  const restore = useRestore()
  const { version: number, created_at: savedAt } = version
  return (
    <li className="flex items-start justify-between gap-x-4 px-6 py-4">
      <div className="flex flex-col gap-y-2">
        <div className="flex items-center gap-x-2">
          <Heading level="h3">{number ? t("history.version", { version: number }) : t("history.defaults")}</Heading>
          {inForce && (
            <Badge size="2xsmall" color="green">
              {t("history.inForce")}
            </Badge>
          )}
        </div>
        <Text size="small" className="text-ui-fg-subtle">
          {savedAt ? t("history.by", { author, date: moment(savedAt) }) : t("history.defaultsHint")}
        </Text>
        {before && <ChangeList before={before} after={version} />}
      </div>
      {!inForce && (
        <Button
          size="small"
          variant="secondary"
          aria-label={number ? t("history.restoreNamed", { version: number }) : t("history.restoreDefaults")}
          onClick={() => void restore(version)}
        >
          {t("history.restore")}
        </Button>
      )}
    </li>
  )
}

/** Put the rules of a version into the form, not saved. */
function useRestore(): (version: DustProgramme) => Promise<void> {
  const t = useTexts()
  const discards = useDiscard()
  const { begin } = useEditor()
  const [, setSearch] = useSearchParams()
  return async (version) => {
    if (!(await discards())) return
    begin(rulesOf(version))
    setSearch({ tab: "rules" }, { replace: true })
    toast.info(version.version ? t("history.restored", { version: version.version }) : t("history.restoredDefaults"))
  }
}

/** Ask before other rules take the place of unsaved ones; true if they may. */
export function useDiscard(): () => Promise<boolean> {
  const t = useTexts()
  const prompt = usePrompt()
  const { unsaved } = useEditor()
  return async () =>
    !unsaved ||
    (await prompt({
      title: t("history.discard"),
      description: t("history.discardHint"),
      confirmText: t("history.discardConfirm"),
      cancelText: t("general.cancel"),
    }))
}
