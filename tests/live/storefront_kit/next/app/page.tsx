import { DustProvider, NavBalance } from "dust-storefront-kit/react"
import { balance, order, programme, quote, redeem } from "../dust"

export default async function Page() {
  const [rules, own] = await Promise.all([programme(), balance()])
  return (
    <DustProvider actions={{ balance, quote, redeem }} programme={rules.data} initial={{ balance: own.data }} currency="eur">
      <NavBalance />
      {own.error && <p>{own.error.message}</p>}
      <form action={async () => { "use server"; await order() }} />
    </DustProvider>
  )
}
