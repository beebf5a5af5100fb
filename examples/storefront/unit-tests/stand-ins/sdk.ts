/** Medusa's JS SDK: a test gives it the calls that it needs. */
export class FetchError extends Error {
  constructor(
    message: string,
    readonly statusText?: string,
    readonly status?: number,
  ) {
    super(message)
  }
}

export const sdk: { auth: Record<string, unknown>; store: Record<string, unknown> } = { auth: {}, store: {} }

export default class Medusa {
  auth = sdk.auth
  store = sdk.store
}
