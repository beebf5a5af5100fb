/** A JSON document that a form edits, field by field. Fields are named as the bridge names them: `earn.rates.eur`. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

export function valueAt(document: Json, field: string): Json | undefined {
  return field.split(".").reduce<Json | undefined>((value, step) => (value as Record<string, Json> | null)?.[step], document)
}

/** The document with another value there, everything around it as it was. `undefined` takes the key out. */
export function withValueAt(document: Json, field: string, value: Json | undefined): Json {
  const [step, ...rest] = field.split(".")
  const inner = rest.length
    ? withValueAt((document as Record<string, Json>)[step], rest.join("."), value)
    : value
  if (Array.isArray(document)) {
    return document.flatMap((entry, index) => (index !== Number(step) ? [entry] : inner === undefined ? [] : [inner]))
  }
  const { [step]: _, ...others } = document as Record<string, Json>
  return inner === undefined ? others : { ...(document as Record<string, Json>), [step]: inner }
}

/** An id that reads like the name: `Free shipping` as `free-shipping`. Empty if the name has no Latin letters or digits. */
export function idFrom(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{Diacritic}/gu, "").replace(/ß/g, "ss").toLowerCase()
  return plain.replace(/[^a-z0-9]+/g, "-").slice(0, 63).replace(/^-|-$/g, "")
}
