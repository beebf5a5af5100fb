import { Alert, Text, toast } from "@medusajs/ui"
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustReplay } from "../../../types"
import { dust, errorAt } from "../../lib/dust"
import { numbered } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { DateField } from "../field"
import { FormDrawer } from "../form-drawer"

/** Send the webhooks of a time window again: first how many, then the replay. */
export function ReplayDrawer({ close }: { close: () => void }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [since, setSince] = useState<Date | null>(null)
  const [until, setUntil] = useState<Date | null>(null)
  const send = (dryRun: boolean): Promise<DustReplay> =>
    dust("/outgoing-webhooks/replay", "POST", { since, until, dry_run: dryRun })
  const count = useMutation({ mutationFn: () => send(true) })
  const replay = useMutation({
    mutationFn: () => send(false),
    onSuccess: async ({ webhooks }) => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("replay.done", numbered(webhooks)))
      close()
    },
  })
  const change = (set: (date: Date | null) => void) => (date: Date | null) => {
    set(date)
    count.reset()
    replay.reset()
  }
  const error = replay.error ?? count.error
  const counted = count.data && numbered(count.data.webhooks)
  return (
    <FormDrawer
      title={t("replay.title")}
      submit={counted ? t("replay.submit", counted) : t("replay.count")}
      close={close}
      onSubmit={() => (counted ? replay : count).mutate()}
      isPending={count.isPending || replay.isPending}
      error={error}
      disabled={!since || counted?.count === 0}
    >
      <Text size="small" className="text-ui-fg-subtle">
        {t("replay.intro")}
      </Text>
      <DateField label={t("replay.since")} error={errorAt(error, "since")} granularity="minute" value={since} onChange={change(setSince)} />
      <DateField
        label={t("replay.until")}
        hint={t("replay.untilHint")}
        error={errorAt(error, "until")}
        granularity="minute"
        value={until}
        onChange={change(setUntil)}
      />
      {counted && <Alert role="status" variant={counted.count ? "info" : "warning"}>{t("replay.found", counted)}</Alert>}
    </FormDrawer>
  )
}
