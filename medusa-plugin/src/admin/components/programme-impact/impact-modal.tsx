import { Alert, Button, FocusModal, Heading, Skeleton, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustSimulation } from "../../../types"
import type { Json } from "../../lib/document"
import { DustError, dust, messageOf, newKey } from "../../lib/dust"
import { noted } from "../../lib/explanation"
import { DAYS, since } from "../../lib/impact"
import { useTexts } from "../../lib/texts"
import { ImpactResult } from "./impact-result"

const POLL_MS = 1000
const SLOW_MS = 30_000

type Props = {
  document: Json
  close: () => void
  /** The rules could not be simulated: some of them may be wrong. */
  onError?: (error: unknown) => void
}

/** What the orders of the last 90 days would have earned by these rules. */
export function ImpactModal({ document, close, onError }: Props): ReactNode {
  const t = useTexts()
  return (
    <FocusModal open onOpenChange={(open) => !open && close()}>
      <FocusModal.Content>
        <FocusModal.Header>
          <Button size="small" variant="secondary" onClick={close}>
            {t("impact.close")}
          </Button>
        </FocusModal.Header>
        <FocusModal.Body className="flex flex-col items-center overflow-y-auto py-10">
          <div className="flex w-full max-w-[820px] flex-col gap-y-4 px-6">
            <FocusModal.Title asChild>
              <Heading>{t("impact.title", { days: DAYS })}</Heading>
            </FocusModal.Title>
            <FocusModal.Description asChild>
              <Text size="small" className="text-ui-fg-subtle">
                {t("impact.intro", { days: DAYS })}
              </Text>
            </FocusModal.Description>
            <Simulated document={document} onError={onError} />
          </div>
        </FocusModal.Body>
      </FocusModal.Content>
    </FocusModal>
  )
}

/** Requests a simulation, waits for it, and shows its result. */
function Simulated({ document, onError }: Omit<Props, "close">): ReactNode {
  const [key, setKey] = useState(newKey)
  const requested = useQuery({
    queryKey: ["dust", "simulation", "request", key],
    queryFn: () =>
      dust<DustSimulation>("/programme/simulate", "POST", { document, since: since() }).catch((error: unknown) => {
        onError?.(error)
        throw error
      }),
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
  })
  const id = requested.data?.id
  const asked = useQuery({
    queryKey: ["dust", "simulation", id],
    queryFn: () => dust<DustSimulation>(`/programme/simulations/${id}`),
    enabled: Boolean(id),
    refetchInterval: ({ state }) => (state.data?.state === "done" || state.data?.state === "failed" ? false : POLL_MS),
    gcTime: 0,
  })
  const simulation = asked.data ?? requested.data
  if (simulation?.result) return <ImpactResult result={simulation.result} />
  const error = requested.error ?? asked.error
  if (error || simulation?.state === "failed") {
    return <Failed error={error} reason={simulation?.reason} again={() => setKey(newKey())} />
  }
  return <Waiting simulation={simulation} />
}

function Waiting({ simulation }: { simulation?: DustSimulation }): ReactNode {
  const t = useTexts()
  const [begun] = useState(Date.now)
  // Asked for each second, so this is rendered again.
  const slow = Date.now() - begun > SLOW_MS
  return (
    <div className="flex flex-col gap-y-3" role="status">
      <Skeleton className="h-40 w-full" />
      <Text size="small">{t("impact.waiting")}</Text>
      {slow && simulation?.state === "pending" && <Alert variant="warning">{simulation.reason ? noted(simulation.reason, t) : t("impact.slow")}</Alert>}
    </div>
  )
}

function Failed({ error, reason, again }: { error: Error | null; reason?: string | null; again: () => void }): ReactNode {
  const t = useTexts()
  const wrong = error instanceof DustError ? (error.problem.errors?.length ?? 0) : 0
  return (
    <div className="flex flex-col items-start gap-y-3">
      <Alert role="alert" variant="error" className="w-full">
        {wrong > 0 ? t("impact.wrong", { count: wrong }) : `${t("impact.failed")} ${error ? messageOf(error, t) : noted(reason ?? "", t)}`}
      </Alert>
      {wrong === 0 && (
        <Button size="small" variant="secondary" onClick={again}>
          {t("general.tryAgain")}
        </Button>
      )}
    </div>
  )
}
