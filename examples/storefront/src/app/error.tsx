"use client"

import { useTexts } from "@/components/language"

export default function ErrorPage({ reset }: { reset: () => void }) {
  const { failed: t } = useTexts()
  return (
    <div className="empty">
      <h1>{t.title}</h1>
      <p>{t.text}</p>
      <button className="button" onClick={reset}>
        {t.again}
      </button>
    </div>
  )
}
