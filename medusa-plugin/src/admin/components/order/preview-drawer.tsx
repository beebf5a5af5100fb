import type { AdminOrder } from "@medusajs/framework/types"
import { Alert, Button, Drawer, Select, Text } from "@medusajs/ui"
import { useMutation } from "@tanstack/react-query"
import { useId, useState, type ReactNode } from "react"
import type { DustPreview } from "../../../types"
import { dust, errorAt, generalError } from "../../lib/dust"
import { shown } from "../../lib/format"
import { useFocusWrong } from "../../lib/focus-wrong"
import { isEmpty, requestOf, unitsLeft, type Change, type ChangeKind } from "../../lib/preview"
import { useTexts } from "../../lib/texts"
import { DecimalField, Field } from "../field"
import { PreviewResult } from "./preview-result"

/** What a change of the order would do to the customer's points, before it is made. */
export function PreviewDrawer({ order }: { order: AdminOrder }): ReactNode {
  const t = useTexts()
  const [open, setOpen] = useState(false)
  return (
    <Drawer open={open} onOpenChange={setOpen}>
      <Drawer.Trigger asChild>
        <Button size="small" variant="secondary">
          {t("preview.open")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("preview.title")}</Drawer.Title>
        </Drawer.Header>
        {open && <Form order={order} />}
      </Drawer.Content>
    </Drawer>
  )
}

const NOTHING: Change = { kind: "return", quantities: {}, refund: "" }

function Form({ order }: { order: AdminOrder }): ReactNode {
  const t = useTexts()
  const [change, setChange] = useState(NOTHING)
  const preview = useMutation({
    mutationFn: (wanted: Change) => dust<DustPreview>(`/orders/${order.id}/preview`, "POST", requestOf(wanted)),
  })
  const form = useFocusWrong(preview.error)
  // A result is about what was filled in when it was asked for.
  const set = (changed: Partial<Change>): void => {
    preview.reset()
    setChange({ ...change, ...changed })
  }
  return (
    <form
      ref={form}
      className="flex flex-1 flex-col overflow-hidden"
      onSubmit={(event) => {
        event.preventDefault()
        preview.mutate(change)
      }}
    >
      <Drawer.Body className="flex flex-col gap-y-4 overflow-y-auto">
        <Text size="small" className="text-ui-fg-subtle">
          {t("preview.intro")}
        </Text>
        <Kind kind={change.kind} set={(kind) => set({ kind })} />
        {change.kind === "return" && <Returned order={order} change={change} set={set} error={preview.error} />}
        {generalError(preview.error, t) && <Alert role="alert" variant="error">{generalError(preview.error, t)}</Alert>}
        {preview.data && <PreviewResult preview={preview.data} />}
      </Drawer.Body>
      <Drawer.Footer>
        <Drawer.Close asChild>
          <Button size="small" variant="secondary">
            {t("general.cancel")}
          </Button>
        </Drawer.Close>
        <Button size="small" type="submit" disabled={isEmpty(change)} isLoading={preview.isPending}>
          {t("preview.submit")}
        </Button>
      </Drawer.Footer>
    </form>
  )
}

function Kind({ kind, set }: { kind: ChangeKind; set: (kind: ChangeKind) => void }): ReactNode {
  const t = useTexts()
  const id = useId()
  return (
    <Field label={t("preview.change")} id={id}>
      <Select size="small" value={kind} onValueChange={(chosen) => set(chosen as ChangeKind)}>
        <Select.Trigger id={id}>
          <Select.Value />
        </Select.Trigger>
        <Select.Content>
          <Select.Item value="return">{t("preview.return")}</Select.Item>
          <Select.Item value="cancel">{t("preview.cancel")}</Select.Item>
          <Select.Item value="open">{t("preview.openChange")}</Select.Item>
        </Select.Content>
      </Select>
    </Field>
  )
}

type ReturnedProps = { order: AdminOrder; change: Change; set: (changed: Partial<Change>) => void; error: unknown }

function Returned({ order, change, set, error }: ReturnedProps): ReactNode {
  const t = useTexts()
  const { quantities, refund } = change
  const asked = Object.keys(quantities).filter((id) => quantities[id].trim())
  return (
    <>
      {order.items.map((item) => (
        <DecimalField
          key={item.id}
          label={t("preview.quantity", { title: item.title })}
          hint={t("preview.ofUnits", { units: shown(unitsLeft(item)) })}
          error={asked.includes(item.id) ? errorAt(error, `returns.${asked.indexOf(item.id)}`) : undefined}
          value={quantities[item.id] ?? ""}
          onChange={(text) => set({ quantities: { ...quantities, [item.id]: text } })}
        />
      ))}
      <DecimalField
        label={t("preview.refund", { currency: order.currency_code.toUpperCase() })}
        hint={t("preview.refundHint")}
        error={errorAt(error, "refund")}
        value={refund}
        onChange={(text) => set({ refund: text })}
      />
    </>
  )
}
