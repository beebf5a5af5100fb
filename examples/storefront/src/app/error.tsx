"use client"

export default function ErrorPage({ reset }: { reset: () => void }) {
  return (
    <div className="empty">
      <h1>The shop does not answer right now</h1>
      <p>Please try again in a minute. Your cart is still there.</p>
      <button className="button" onClick={reset}>
        Try again
      </button>
    </div>
  )
}
