import "server-only"
import { headers } from "next/headers"
import { cache } from "react"
import { languageOf, textsIn } from "./texts"

/** Texts in the language of this request's browser. */
export const getTexts = cache(async () => textsIn(languageOf((await headers()).get("accept-language"))))
