import Link from "next/link"
import { getTexts } from "@/lib/language"

export default async function NotFound() {
  const t = await getTexts()
  return (
    <div className="empty">
      <h1>{t.notFound}</h1>
      <Link href="/products" className="button">
        {t.products.see}
      </Link>
    </div>
  )
}
