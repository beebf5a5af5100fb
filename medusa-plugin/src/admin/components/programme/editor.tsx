import { toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient, type UseMutationResult } from "@tanstack/react-query"
import { createContext, useContext, useState, type ReactNode } from "react"
import type { DustDraft, DustProgramme } from "../../../types"
import { withValueAt, type Json } from "../../lib/document"
import { VERSIONS_PATH } from "../../lib/differences"
import { DustError, dust } from "../../lib/dust"
import { errorsAfterEdit, type FieldError } from "../../lib/field-errors"
import { useTexts } from "../../lib/texts"
import { useUnsavedWarning } from "../../lib/unsaved"
import { Loaded } from "../states"

export type Editor = {
  /** The version that saving replaces. */
  base: DustProgramme
  /** The rules as they are edited. */
  document: Json
  /** The draft that is edited; `null` while it is the version in force. */
  draft: DustDraft | null
  unsaved: boolean
  /** What the bridge said about the fields, less what was edited since. */
  errors: FieldError[]
  /** Change one field; `undefined` takes it out. */
  change: (field: string, value: Json | undefined) => void
  /** Edit other rules: an earlier version, which is not saved yet, or those of a draft. */
  begin: (document: Json, draft?: DustDraft) => void
  /** Show another version in force, without the changes. */
  load: (programme: DustProgramme) => void
  /** Save as a new version, if the version with this number is in force. */
  save: UseMutationResult<DustProgramme, Error, number>
  /** Show at the fields what the bridge said about them. */
  showErrors: (error: unknown) => void
}

export const EditorContext = createContext<Editor | null>(null)

export function useEditor(): Editor {
  const editor = useContext(EditorContext)
  if (!editor) throw new Error("There is no ProgrammeEditor around this.")
  return editor
}

/** Holds the rules that are edited, for all tabs of the page. */
export function ProgrammeEditor({ children }: { children: ReactNode }): ReactNode {
  const query = useQuery({ queryKey: ["dust", "programme"], queryFn: () => dust<DustProgramme>("/programme") })
  return <Loaded query={query}>{(programme) => <Provider newest={programme}>{children}</Provider>}</Loaded>
}

function Provider({ newest, children }: { newest: DustProgramme; children: ReactNode }): ReactNode {
  const t = useTexts()
  const client = useQueryClient()
  const [base, setBase] = useState(newest)
  const [document, setDocument] = useState<Json>(newest)
  const [draft, setDraft] = useState<DustDraft | null>(null)
  const [saved, setSaved] = useState<Json>(newest)
  const [errors, setErrors] = useState<FieldError[]>([])
  const unsaved = document !== saved
  const show = (programme: DustProgramme): void => {
    setBase(programme)
    setDocument(programme)
    setSaved(programme)
    setDraft(null)
    setErrors([])
  }
  const showErrors = (error: unknown): void =>
    setErrors(error instanceof DustError ? (error.problem.errors ?? []) : [])
  // Another editor's version replaces what is shown, and never what is being edited.
  if (newest.version > base.version && !unsaved && !draft) show(newest)
  useUnsavedWarning(unsaved)
  const save = useMutation({
    mutationFn: (replaces: number) =>
      dust<DustProgramme>("/programme", "PUT", document, { "if-match": `"${replaces}"` }),
    onSuccess: (written) => {
      client.setQueryData(["dust", "programme"], written)
      void client.invalidateQueries({ queryKey: ["dust", VERSIONS_PATH] })
      show(written)
      toast.success(t("rules.saved", { version: written.version }))
    },
    onError: (error) => showErrors(error),
  })
  const editor: Editor = {
    base,
    document,
    draft,
    unsaved,
    errors,
    change: (field, value) => {
      setDocument((current) => withValueAt(current, field, value))
      setErrors((current) => errorsAfterEdit(current, field))
    },
    begin: (other, from) => {
      save.reset()
      setErrors([])
      setDocument(other)
      setDraft(from ?? null)
      setSaved(from ? other : base)
    },
    load: (programme) => {
      save.reset()
      client.setQueryData(["dust", "programme"], programme)
      show(programme)
    },
    save,
    showErrors,
  }
  return <EditorContext.Provider value={editor}>{children}</EditorContext.Provider>
}
