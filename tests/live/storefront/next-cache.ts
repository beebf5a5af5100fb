/** In place of Next's, which needs a running server. */
export function revalidateTag(tag: string): void {
  if (!tag) throw new Error("a tag is needed")
}
