import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The shop's own code, with stand-ins for what belongs to a server. */
export default defineConfig({
  test: { root: file("."), include: ["**/*.test.ts"] },
  resolve: {
    alias: [
      { find: "server-only", replacement: file("stand-ins/empty.ts") },
      { find: "@medusajs/js-sdk", replacement: file("stand-ins/sdk.ts") },
      { find: "dust-storefront-kit/next", replacement: file("../../../storefront-kit/src/next.ts") },
      { find: "dust-storefront-kit", replacement: file("../../../storefront-kit/src/index.ts") },
      { find: /^@\//, replacement: file("../src/") },
    ],
  },
})
