import Link from "next/link"
import { getTexts } from "@/lib/language"

interface PagesProps {
  /** The path of the list. */
  path: string
  page: number
  pages: number
}

/** Links to the page before and after this one. Nothing if there is one page only. */
export async function Pages({ path, page, pages }: PagesProps) {
  const { pages: t } = await getTexts()
  if (pages === 1) return null
  return (
    <nav className="pages" aria-label={t.label}>
      {page > 1 && <Link href={`${path}?page=${page - 1}`}>{t.previous}</Link>}
      <span>{t.of(page, pages)}</span>
      {page < pages && <Link href={`${path}?page=${page + 1}`}>{t.next}</Link>}
    </nav>
  )
}
