"use client"

import { de } from "dust-storefront-kit"
import { DustProvider } from "dust-storefront-kit/react"
import { useRouter } from "next/navigation"
import type { ReactNode } from "react"
import * as actions from "@/lib/dust-actions"
import { textsIn, type Language } from "@/lib/texts"
import { LanguageContext } from "./language"

interface PointsProps {
  language: Language
  currency: string
  customerId: string | null
  children: ReactNode
}

/** Gives the kit's components the shop's server actions, and all components below the language. */
export function Points({ language, currency, customerId, children }: PointsProps) {
  const router = useRouter()
  return (
    <LanguageContext value={language}>
      <DustProvider
        actions={actions}
        locale={textsIn(language).locale}
        messages={language === "de" ? de : undefined}
        currency={currency}
        customerId={customerId}
        onCartChange={() => router.refresh()}
      >
        {children}
      </DustProvider>
    </LanguageContext>
  )
}
