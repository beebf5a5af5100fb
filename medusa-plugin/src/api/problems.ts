import type { Problem } from "../types"

export type { Problem }

/** An error answer of our own, in the shape of the bridge's. */
export function problem(status: number, code: string, detail: string): Problem {
  return { type: "about:blank", title: code, status, code, detail, message: detail }
}

/** A problem of the bridge with its sentence under `message` too, which is where Medusa's JS SDK looks for one. */
export function readable(document: string): string {
  const problem = JSON.parse(document) as Problem
  return JSON.stringify({ ...problem, message: problem.detail })
}
