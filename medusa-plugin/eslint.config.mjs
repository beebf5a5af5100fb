import medusa from "@medusajs/eslint-plugin"
import typescript from "typescript-eslint"

const message = "Texts of the dashboard are in src/admin/i18n, in every language. Show them with `useTexts()`."
// Letters between tags; words in attributes, in expressions between tags, and in a toast.
const literalTexts = [
  "JSXText[value=/\\p{L}/u]",
  "JSXAttribute > Literal[value=/^\\p{Lu}/u]",
  "JSXElement > JSXExpressionContainer Literal[value=/^\\p{Lu}\\p{Ll}/u]",
  "JSXElement > JSXExpressionContainer TemplateElement[value.raw=/^\\p{Lu}\\p{Ll}/u]",
  "JSXAttribute > JSXExpressionContainer Property[key.name=/^(label|title|hint)$/] > Literal",
  "CallExpression[callee.object.name='toast'] > :matches(Literal, TemplateLiteral)",
]

export default typescript.config(
  ...typescript.configs.recommended,
  ...medusa.configs.recommended,
  {
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["src/admin/**/*.tsx"],
    rules: {
      "no-restricted-syntax": ["error", ...literalTexts.map((selector) => ({ selector, message }))],
    },
  },
)
