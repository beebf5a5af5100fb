"use client"

import { languageOf, textsIn } from "@/lib/texts"
import "./base.css"
import "./shop.css"

/** In place of all pages while Medusa does not answer the layout, which knows the language. Only browsers render it. */
export default function GlobalError() {
  const { language, failed } = textsIn(languageOf(typeof navigator === "undefined" ? null : navigator.language))
  return (
    <html lang={language}>
      <body>
        <title>Quayside</title>
        <main className="empty">
          <h1>{failed.title}</h1>
          <p>{failed.text}</p>
          <button className="button" onClick={() => window.location.reload()}>
            {failed.again}
          </button>
        </main>
      </body>
    </html>
  )
}
