/** In place of Next's: remembers what would be rendered anew. */
export const revalidated: string[] = []

export function revalidateTag(tag: string): void {
  revalidated.push(tag)
}

declare global {
  /** What Next adds to every `fetch`. */
  interface RequestInit {
    next?: { revalidate?: number }
  }
}
