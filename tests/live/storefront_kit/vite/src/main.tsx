import { page } from "#page"
import { createDustActions, createDustClient } from "dust-storefront-kit"
import { DustProvider, NavBalance } from "dust-storefront-kit/react"
import "dust-storefront-kit/styles.css"
import { createRoot } from "react-dom/client"

const client = createDustClient({ baseUrl: location.origin, token: () => "token-of-a-customer" })
const actions = createDustActions(client, () => undefined)

createRoot(document.getElementById("root")!).render(
  <DustProvider actions={actions} currency="eur">
    <NavBalance />
    {page}
  </DustProvider>,
)
