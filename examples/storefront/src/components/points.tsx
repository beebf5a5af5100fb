"use client"

import { DustProvider } from "dust-storefront-kit/react"
import { useRouter } from "next/navigation"
import type { ReactNode } from "react"
import * as actions from "@/lib/dust-actions"

interface PointsProps {
  currency: string
  customerId: string | null
  children: ReactNode
}

/** Gives the kit's components the shop's server actions. */
export function Points({ currency, customerId, children }: PointsProps) {
  const router = useRouter()
  return (
    <DustProvider
      actions={actions}
      locale="en-IE"
      currency={currency}
      customerId={customerId}
      onCartChange={() => router.refresh()}
    >
      {children}
    </DustProvider>
  )
}
