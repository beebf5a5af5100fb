import { createElement } from "react"
import { renderToStaticMarkup } from "react-dom/server"
import { expect, test } from "vitest"
import { AutoForm } from "../src/components/auto-form"

test("a choice that scripts would send has a button and an address without them", () => {
  // As Next.js marks a server action.
  const action = Object.assign(async () => ({}), {
    bind: () => action,
    $$FORM_ACTION: () => ({ name: "$ACTION_1", method: "POST", encType: "multipart/form-data", data: null }),
  })
  const html = renderToStaticMarkup(createElement(AutoForm, { action, submit: "Choose", children: "Delivery" }))

  expect(html).toMatch(/^<form[^>]*method="POST"/)
  expect(html).toContain('name="$ACTION_1"')
  expect(html).toMatch(/<noscript><button type="submit"[^>]*>Choose<\/button><\/noscript>/)
})
