import type { Metadata } from "next"
import Link from "next/link"
import { Field, Form } from "@/components/form"
import { logIn } from "@/lib/actions"
import { getTexts } from "@/lib/language"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).logIn.title }
}

type Props = { searchParams: Promise<{ next?: string; ended?: string }> }

export default async function LogIn({ searchParams }: Props) {
  const [t, { next = "", ended }] = await Promise.all([getTexts(), searchParams])
  return (
    <div className="panel narrow">
      <h1>{t.logIn.title}</h1>
      {ended && <p className="notice">{t.logIn.ended}</p>}
      <Form action={logIn} submit={t.logIn.title}>
        <input type="hidden" name="next" value={next} />
        <Field label={t.person.email} name="email" type="email" autoComplete="email" />
        <Field label={t.person.password} name="password" type="password" autoComplete="current-password" />
      </Form>
      <p>
        {t.logIn.noAccount} <Link href={next ? `/signup?next=${encodeURIComponent(next)}` : "/signup"}>{t.logIn.signUp}</Link>
      </p>
    </div>
  )
}
