import { Alert, Button, Drawer } from "@medusajs/ui"
import type { ReactNode } from "react"
import { generalError } from "../lib/dust"
import { useFocusWrong } from "../lib/focus-wrong"
import { useTexts } from "../lib/texts"

type Props = {
  title: string
  /** What the button does, with its figures. */
  submit: string
  close: () => void
  onSubmit: () => void
  isPending: boolean
  error: unknown
  /** The names of the fields, where an error may also be about something that has none. */
  fields?: string[]
  disabled?: boolean
  danger?: boolean
  children: ReactNode
}

/** A form in an open drawer: fields, what the server says about none of them, a button that cancels and one that acts. */
export function FormDrawer({ title, submit, close, onSubmit, isPending, error, fields, disabled, danger, children }: Props): ReactNode {
  const t = useTexts()
  const form = useFocusWrong(error)
  const general = generalError(error, t, fields)
  return (
    <Drawer open onOpenChange={(open) => !open && close()}>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{title}</Drawer.Title>
        </Drawer.Header>
        <form
          ref={form}
          className="flex flex-1 flex-col overflow-hidden"
          onSubmit={(event) => {
            event.preventDefault()
            // In React a drawer is inside the form that opens it, which would be submitted too.
            event.stopPropagation()
            onSubmit()
          }}
        >
          <Drawer.Body className="flex flex-col gap-y-4 overflow-y-auto">
            {general && (
              <Alert role="alert" variant="error">
                {general}
              </Alert>
            )}
            {children}
          </Drawer.Body>
          <Drawer.Footer>
            <Button size="small" variant="secondary" type="button" onClick={close}>
              {t("general.cancel")}
            </Button>
            <Button size="small" type="submit" variant={danger ? "danger" : "primary"} disabled={disabled} isLoading={isPending}>
              {submit}
            </Button>
          </Drawer.Footer>
        </form>
      </Drawer.Content>
    </Drawer>
  )
}
