import type { AdminCustomer } from "@medusajs/framework/types"
import { Alert, RadioGroup, Text, toast } from "@medusajs/ui"
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustBalance } from "../../../types"
import { admin, dust, errorAt, messageOf } from "../../lib/dust"
import { shown } from "../../lib/format"
import { nameOf, type Person } from "../../lib/people"
import { counted, useTexts } from "../../lib/texts"
import { TextField } from "../field"
import { FormDrawer } from "../form-drawer"

const MAX_FOUND = 8

/** Move everything of this account to another account of the same person. */
export function MergeDrawer({ customer, close }: { customer: AdminCustomer; close: () => void }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [survivor, setSurvivor] = useState<Person>()
  const merge = useMutation({
    mutationFn: () => dust(`/customers/${customer.id}/merge`, "POST", { into: survivor?.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["dust"] })
      toast.success(t("merge.done"))
      close()
    },
  })
  return (
    <FormDrawer
      title={t("merge.title")}
      submit={t("merge.submit")}
      close={close}
      onSubmit={() => merge.mutate()}
      isPending={merge.isPending}
      error={merge.error}
      disabled={!survivor}
      danger
    >
      <Text size="small" className="text-ui-fg-subtle">
        {t("merge.intro")}
      </Text>
      <Choice exceptId={customer.id} chosen={survivor} choose={setSurvivor} error={errorAt(merge.error, "into")} />
      {survivor && <Effect customer={customer} survivor={survivor} />}
    </FormDrawer>
  )
}

type ChoiceProps = { exceptId: string; chosen?: Person; choose: (person: Person) => void; error?: string }

/** A search among Medusa's customers. */
function Choice({ exceptId, chosen, choose, error }: ChoiceProps): ReactNode {
  const t = useTexts()
  const [text, setText] = useState("")
  const search = useQuery({
    queryKey: ["dust", "people", text],
    queryFn: () => admin<{ customers: Person[] }>(`/customers?q=${encodeURIComponent(text)}&fields=id,email,first_name,last_name&limit=${MAX_FOUND}`),
    enabled: text.trim().length > 1,
    placeholderData: keepPreviousData,
  })
  const people = search.data?.customers.filter(({ id }) => id !== exceptId) ?? []
  return (
    <>
      <TextField label={t("merge.search")} hint={t("merge.searchHint")} error={error ?? (search.error ? messageOf(search.error, t) : undefined)} value={text} onChange={setText} autoFocus />
      {search.isSuccess && people.length === 0 && <Text size="small">{t("merge.nobody")}</Text>}
      <RadioGroup value={chosen?.id ?? ""} onValueChange={(id) => choose(people.find((person) => person.id === id) as Person)}>
        {people.map((person) => (
          <RadioGroup.ChoiceBox key={person.id} value={person.id} label={nameOf(person)} description={person.email ?? person.id} />
        ))}
      </RadioGroup>
      {search.data?.customers.length === MAX_FOUND && <Text size="small">{t("merge.more")}</Text>}
    </>
  )
}

/** Both balances, and what is left of them. */
function Effect({ customer, survivor }: { customer: AdminCustomer; survivor: Person }): ReactNode {
  const t = useTexts()
  const balanceOf = (id: string): string => `/customers/${id}`
  const [from, to] = [customer.id, survivor.id].map((id) => balanceOf(id))
  const mine = useQuery({ queryKey: ["dust", from], queryFn: () => dust<DustBalance>(from) })
  const theirs = useQuery({ queryKey: ["dust", to], queryFn: () => dust<DustBalance>(to) })
  if (!mine.data || !theirs.data) return null
  const values = {
    ...counted(mine.data.balance, t),
    pending: shown(mine.data.pending),
    total: counted(mine.data.balance + theirs.data.balance, t).points,
    name: nameOf(survivor),
  }
  return <Alert variant="warning">{t(mine.data.held ? "merge.held" : "merge.effect", values)}</Alert>
}
