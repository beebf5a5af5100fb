import medusa from "@medusajs/eslint-plugin"
import typescript from "typescript-eslint"

export default typescript.config(
  ...typescript.configs.recommended,
  ...medusa.configs.recommended,
  {
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
)
