import { defineWidgetConfig } from "@medusajs/admin-sdk"
import type { AdminProduct, DetailWidgetProps } from "@medusajs/framework/types"
import { Alert, Button, Container, Heading, StatusBadge, Text, toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustProductSettings } from "../../types"
import { TextField } from "../components/field"
import { Loaded } from "../components/states"
import { SwitchField } from "../components/switch-field"
import { DustError, dust, errorAt, generalError } from "../lib/dust"
import { useFocusWrong } from "../lib/focus-wrong"
import { noted } from "../lib/explanation"
import { wholeNumber } from "../lib/numbers"
import { useTexts } from "../lib/texts"

type Settings = DustProductSettings | null

const ProductDust = ({ data: product }: DetailWidgetProps<AdminProduct>): ReactNode => {
  const t = useTexts()
  const query = useQuery({
    queryKey: ["dust", "product", product.id],
    queryFn: () => withoutSettings(dust<DustProductSettings>(`/products/${product.id}`)),
    // The copy in Medusa's metadata follows within seconds.
    refetchInterval: ({ state }) => (state.data && !state.data.mirrored ? 2000 : false),
  })
  return (
    <Container className="divide-y p-0">
      <div className="flex items-center justify-between px-6 py-4">
        <Heading level="h2">{t("general.dust")}</Heading>
        {query.data && <Badge settings={query.data} />}
      </div>
      <Loaded query={query}>
        {(settings) => <Form key={settings?.updated_at ?? "none"} productId={product.id} settings={settings} />}
      </Loaded>
    </Container>
  )
}

function Badge({ settings }: { settings: DustProductSettings }): ReactNode {
  const t = useTexts()
  return (
    <StatusBadge color={settings.dust_only ? "purple" : "green"}>{t(settings.dust_only ? "product.only" : "product.either")}</StatusBadge>
  )
}

function Form({ productId, settings }: { productId: string; settings: Settings }): ReactNode {
  const t = useTexts()
  const [price, setPrice] = useState(settings?.dust_price?.toString() ?? "")
  const [dustOnly, setDustOnly] = useState(settings?.dust_only ?? false)
  const client = useQueryClient()
  const save = useMutation({
    mutationFn: () => writeSettings(productId, price, dustOnly, settings),
    onSuccess: (written) => {
      client.setQueryData(["dust", "product", productId], written)
      if (written?.warning) toast.warning(t("product.saved"), { description: noted(written.warning, t) })
      else toast.success(t(written ? "product.saved" : "product.removed"))
    },
  })
  const form = useFocusWrong(save.error)
  const unchanged = price === (settings?.dust_price?.toString() ?? "") && dustOnly === (settings?.dust_only ?? false)
  return (
    <form
      ref={form}
      className="flex flex-col gap-y-4 px-6 py-4"
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      {generalError(save.error, t) && <Alert role="alert" variant="error">{generalError(save.error, t)}</Alert>}
      <TextField
        label={t("product.price")}
        placeholder={t("product.pricePlaceholder")}
        inputMode="numeric"
        hint={t("product.priceHint")}
        error={errorAt(save.error, "dust_price")}
        value={price}
        onChange={setPrice}
      />
      <SwitchField
        label={t("product.onlyLabel")}
        hint={t("product.onlyHint")}
        checked={dustOnly}
        onChange={setDustOnly}
      />
      {settings?.mirror_error && <Alert variant="warning">{t("product.mirrorError", { reason: noted(settings.mirror_error, t) })}</Alert>}
      <div className="flex items-center justify-between">
        <Text size="xsmall" className="text-ui-fg-muted">
          {settings && !settings.mirrored && !settings.mirror_error ? t("product.onItsWay") : ""}
        </Text>
        <Button size="small" type="submit" disabled={unchanged} isLoading={save.isPending}>
          {t("product.save")}
        </Button>
      </div>
    </form>
  )
}

/** Without a price and open to money it is a product like any other, and has no settings. */
async function writeSettings(productId: string, price: string, dustOnly: boolean, before: Settings): Promise<Settings> {
  const path = `/products/${productId}`
  if (price.trim() || dustOnly) {
    const dustPrice = price.trim() ? wholeNumber(price) : null
    return dust<DustProductSettings>(path, "PUT", { dust_only: dustOnly, dust_price: dustPrice })
  }
  if (before) await withoutSettings(dust(path, "DELETE"))
  return null
}

/** The answer; null for a product that has no settings, or none any more. */
async function withoutSettings<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof DustError && error.problem.code === "unknown_product") return null
    throw error
  }
}

export const config = defineWidgetConfig({ zone: "product.details.side.before", id: "dust-product" })

export default ProductDust
