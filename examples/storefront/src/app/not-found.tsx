import Link from "next/link"

export default function NotFound() {
  return (
    <div className="empty">
      <h1>This page does not exist</h1>
      <Link href="/products" className="button">
        See what we make
      </Link>
    </div>
  )
}
