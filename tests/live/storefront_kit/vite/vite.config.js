// The kit in a file of its own: its size is measured, page by page.
const chunkOf = (id) => {
  if (/node_modules\/(react|react-dom|scheduler)\//.test(id)) return "react"
  if (/node_modules\/dust-storefront-kit\//.test(id)) return "kit"
}

export default {
  resolve: { alias: { "#page": `/src/pages/${process.env.PAGE}.tsx` } },
  build: { rollupOptions: { output: { manualChunks: chunkOf } } },
}
