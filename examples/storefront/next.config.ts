import type { NextConfig } from "next"

const config: NextConfig = {
  poweredByHeader: false,
  devIndicators: false,
  // `make demo` builds in a folder below the one with the packages.
  outputFileTracingRoot: import.meta.dirname,
}

export default config
