import type { Metadata } from "next"
import Link from "next/link"
import { Field, Form } from "@/components/form"
import { signUp } from "@/lib/actions"

export const metadata: Metadata = { title: "Sign up" }

export default async function SignUp({ searchParams }: { searchParams: Promise<{ next?: string }> }) {
  const { next = "" } = await searchParams
  return (
    <div className="panel narrow">
      <h1>Sign up</h1>
      <Form action={signUp} submit="Create the account">
        <input type="hidden" name="next" value={next} />
        <Field label="First name" name="first_name" autoComplete="given-name" />
        <Field label="Last name" name="last_name" autoComplete="family-name" />
        <Field label="E-mail" name="email" type="email" autoComplete="email" />
        <Field
          label="Password, at least 8 characters"
          name="password"
          type="password"
          minLength={8}
          autoComplete="new-password"
        />
      </Form>
      <p>
        You have an account? <Link href={next ? `/login?next=${encodeURIComponent(next)}` : "/login"}>Log in</Link>
      </p>
    </div>
  )
}
