import { useEffect, useRef, type RefObject } from "react"

/** The ref of a form: after an error, the first field that the server found wrong gets the focus. */
export function useFocusWrong(error: unknown): RefObject<HTMLFormElement> {
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus()
  }, [error])
  return form
}
