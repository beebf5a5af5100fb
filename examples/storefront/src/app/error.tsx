"use client"

import { useTexts } from "@/components/language"

/** In place of a page that fails. `reset` would render the same failed answer of the server again. */
export default function ErrorPage() {
  const { failed: t } = useTexts()
  return (
    <div className="empty">
      <h1>{t.title}</h1>
      <p>{t.text}</p>
      <button className="button" onClick={() => window.location.reload()}>
        {t.again}
      </button>
    </div>
  )
}
