import type { Metadata } from "next"
import Link from "next/link"
import { Field, Form } from "@/components/form"
import { signUp } from "@/lib/actions"
import { getTexts } from "@/lib/language"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).signUp.title }
}

export default async function SignUp({ searchParams }: { searchParams: Promise<{ next?: string }> }) {
  const [t, { next = "" }] = await Promise.all([getTexts(), searchParams])
  return (
    <div className="panel narrow">
      <h1>{t.signUp.title}</h1>
      <Form action={signUp} submit={t.signUp.create}>
        <input type="hidden" name="next" value={next} />
        <Field label={t.person.firstName} name="first_name" autoComplete="given-name" />
        <Field label={t.person.lastName} name="last_name" autoComplete="family-name" />
        <Field label={t.person.email} name="email" type="email" autoComplete="email" />
        <Field
          label={t.person.newPassword}
          name="password"
          type="password"
          minLength={8}
          autoComplete="new-password"
        />
      </Form>
      <p>
        {t.signUp.hasAccount} <Link href={next ? `/login?next=${encodeURIComponent(next)}` : "/login"}>{t.signUp.logIn}</Link>
      </p>
    </div>
  )
}
