import type { Metadata } from "next"
import Link from "next/link"
import { Field, Form } from "@/components/form"
import { logIn } from "@/lib/actions"

export const metadata: Metadata = { title: "Log in" }

type Props = { searchParams: Promise<{ next?: string; ended?: string }> }

export default async function LogIn({ searchParams }: Props) {
  const { next = "", ended } = await searchParams
  return (
    <div className="panel narrow">
      <h1>Log in</h1>
      {ended && <p className="notice">Your session has ended. Log in again, and your cart is still there.</p>}
      <Form action={logIn} submit="Log in">
        <input type="hidden" name="next" value={next} />
        <Field label="E-mail" name="email" type="email" autoComplete="email" />
        <Field label="Password" name="password" type="password" autoComplete="current-password" />
      </Form>
      <p>
        No account yet? <Link href={next ? `/signup?next=${encodeURIComponent(next)}` : "/signup"}>Sign up</Link>
      </p>
    </div>
  )
}
