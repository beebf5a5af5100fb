import { dirname } from "node:path"
import type { NextConfig } from "next"

// `make demo` builds in a folder below the one with the packages.
const root = dirname(import.meta.dirname)

const config: NextConfig = {
  poweredByHeader: false,
  devIndicators: false,
  outputFileTracingRoot: root,
  turbopack: { root },
}

export default config
