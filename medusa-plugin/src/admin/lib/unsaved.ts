import { usePrompt } from "@medusajs/ui"
import { useEffect } from "react"
import { useBlocker } from "react-router-dom"
import { useTexts } from "./texts"

/** While a form has changes that are not saved, ask before another page takes its place. */
export function useUnsavedWarning(unsaved: boolean): void {
  const t = useTexts()
  const prompt = usePrompt()
  const blocker = useBlocker(
    ({ currentLocation: now, nextLocation: next }) => unsaved && now.pathname !== next.pathname,
  )
  useEffect(() => {
    if (blocker.state !== "blocked") return
    void prompt({
      title: t("unsaved.title"),
      description: t("unsaved.description"),
      confirmText: t("unsaved.leave"),
      cancelText: t("unsaved.stay"),
    }).then((leaves) => (leaves ? blocker.proceed() : blocker.reset()))
    // One question for each attempt to leave.
  }, [blocker.state])
  useEffect(() => {
    if (!unsaved) return
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault()
    window.addEventListener("beforeunload", warn)
    return () => window.removeEventListener("beforeunload", warn)
  }, [unsaved])
}
