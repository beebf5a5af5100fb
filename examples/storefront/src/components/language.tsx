"use client"

import { createContext, useContext, useMemo } from "react"
import { textsIn, type Language, type Texts } from "@/lib/texts"

/** The server chooses the language. Only its name travels to the browser: functions cannot. */
export const LanguageContext = createContext<Language>("en")

export function useTexts(): Texts {
  const language = useContext(LanguageContext)
  return useMemo(() => textsIn(language), [language])
}
