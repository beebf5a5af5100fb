import { Button, Drawer, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { useTexts } from "../../lib/texts"
import { Nothing } from "../states"

/** What happened to the points of an order, in sentences. */
export function OrderExplanation({ sentences }: { sentences: string[] }): ReactNode {
  const t = useTexts()
  return (
    <Drawer>
      <Drawer.Trigger asChild>
        <Button size="small" variant="secondary">
          {t("order.explain")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("order.explainTitle")}</Drawer.Title>
        </Drawer.Header>
        <Drawer.Body className="divide-y overflow-y-auto p-0">
          {sentences.length === 0 && <Nothing>{t("order.nothingHappened")}</Nothing>}
          {sentences.map((sentence, index) => (
            <Text key={index} size="small" className="break-words px-6 py-4">
              {sentence}
            </Text>
          ))}
        </Drawer.Body>
      </Drawer.Content>
    </Drawer>
  )
}
