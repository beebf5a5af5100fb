import type { DustError, DustResult } from "../types.js"

/** What is known of one resource. An error keeps the last data, so that a page shows it while Dust is down. */
export interface Entry<T> {
  readonly data?: T
  readonly error?: DustError
  readonly loading: boolean
}

export type Load<T> = () => Promise<DustResult<T>>
export type Store = ReturnType<typeof createStore>

/** The points that can be spent now. */
export const AVAILABLE = "available"

/** The server's clock minus this device's, in milliseconds. */
export const CLOCK = "clock"

/** Id of the running action. */
export const BUSY = "busy"

/** A resource that nothing has asked for yet. */
const UNKNOWN: Entry<never> = { loading: true }
/** Several components that appear together share one request. */
const FRESH_MS = 2_000
/** Actions have time-outs of their own. These are for actions without, and for those that wait for each other in Next.js. */
const READ_MS = 15_000
/** A difference that a slow network explains. */
const MAX_DELAY_MS = 60_000
/** A page that is rendered again may replace the component that shows a value. */
const LINGER_MS = 2_000
const WRITE_MS = 45_000

/** The result of a call that got no answer. */
export const UNREACHABLE: { error: DustError } = { error: { code: "unreachable", message: "" } }

/** The result of an action. A call that throws or never ends is an error too. */
export async function settled<T>(action: Load<T>, ms = WRITE_MS): Promise<DustResult<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<DustResult<T>>((resolve) => {
    timer = setTimeout(() => resolve({ error: { code: "timeout", message: "" } }), ms)
  })
  try {
    return await Promise.race([action(), late])
  } catch {
    return UNREACHABLE
  } finally {
    clearTimeout(timer)
  }
}

/**
 * All data of one shopper, shared by all components below a provider. Each load has a number: an answer is dropped when
 * a newer load of the same resource has begun.
 */
export function createStore(seed: Record<string, unknown> = {}) {
  const entries = new Map<string, Entry<unknown>>()
  const listeners = new Set<() => void>()
  const watched = new Map<string, { load: Load<unknown>; users: number }>()
  const newestRun = new Map<string, number>()
  const running = new Map<string, Promise<void>>()
  const loadedAt = new Map<string, number>()
  const versions = new Map<string, unknown>()
  const shown = new Map<string, number>()
  const forgotten = new Set<string>()
  let runs = 0
  let availableRun = 0

  /** Balance and quote both say what can be spent. Every component shows the newer of the two. */
  function noteAvailable(run: number, data: unknown): void {
    if (!data || typeof data !== "object" || !("available" in data) || run < availableRun) return
    availableRun = run
    set(AVAILABLE, { data: data.available, loading: false })
  }

  /** Some answers say what time it is: the clock of a phone may be hours wrong. */
  function noteClock(data: unknown): void {
    if (!data || typeof data !== "object" || !("now" in data)) return
    const ahead = Date.parse(String(data.now)) - Date.now()
    set(CLOCK, { data: Math.abs(ahead) > MAX_DELAY_MS ? ahead : 0, loading: false })
  }

  function set(key: string, entry: Entry<unknown>): void {
    entries.set(key, entry)
    for (const listener of listeners) listener()
  }

  function get<T>(key: string): Entry<T> {
    return (entries.get(key) as Entry<T> | undefined) ?? UNKNOWN
  }

  function load(key: string, action: Load<unknown>): Promise<void> {
    const run = ++runs
    newestRun.set(key, run)
    const done = settled(action, READ_MS).then(({ data, error }) => {
      // A newer load has begun: callers that wait for this one get its data.
      if (newestRun.get(key) !== run) return running.get(key)
      running.delete(key)
      loadedAt.set(key, Date.now())
      if (!error) {
        set(key, { data, loading: false })
        noteClock(data)
        return noteAvailable(run, data)
      }
      // An expired session: what it showed is not this visitor's any more.
      const last = error.code === "not_authenticated" ? undefined : get(key).data
      set(key, { data: last, error, loading: false })
      if (error.code === "not_authenticated") set(AVAILABLE, { loading: false })
    })
    running.set(key, done)
    return done
  }

  function put(key: string, data: unknown): void {
    loadedAt.set(key, Date.now())
    set(key, { data, loading: false })
    noteAvailable(++runs, data)
    // What a page brings along may be older than what was loaded since.
    if (!entries.has(CLOCK)) noteClock(data)
  }

  /** Load unless a load is running or has just ended. */
  function ensure(key: string, action: Load<unknown>): void {
    const age = Date.now() - (loadedAt.get(key) ?? -Infinity)
    if (!running.has(key) && age > FRESH_MS) void load(key, action)
  }

  for (const [key, data] of Object.entries(seed)) if (data !== undefined) put(key, data)
  const first = new Map(entries)

  return {
    get,
    /** As it was before any effect: what the server rendered. */
    getFirst: <T>(key: string): Entry<T> => (first.get(key) as Entry<T> | undefined) ?? UNKNOWN,
    put,
    /** Forget a resource: the next component that shows it loads it anew. */
    forget(key: string): void {
      newestRun.set(key, ++runs)
      running.delete(key)
      loadedAt.delete(key)
      versions.delete(key)
      forgotten.add(key)
      set(key, UNKNOWN)
    },
    /** Whether a page may bring along what has been forgotten, such as the cart's page on the way back from the order. */
    wasForgotten: (key: string): boolean => forgotten.has(key),
    load,
    ensure,
    /** Whether a component knows of a newer version than the last one. */
    hasChanged(key: string, version: unknown): boolean {
      const last = versions.get(key)
      if (version !== undefined) versions.set(key, version)
      return version !== undefined && last !== undefined && last !== version
    },
    subscribe(listener: () => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    /** Keep a resource up to date while a component shows it. */
    watch(key: string, action: Load<unknown>): () => void {
      watched.set(key, { load: action, users: (watched.get(key)?.users ?? 0) + 1 })
      return () => {
        const entry = watched.get(key)
        if (entry && entry.users > 1) watched.set(key, { ...entry, users: entry.users - 1 })
        else watched.delete(key)
      }
    },
    /** Forget a value soon after the last component that shows it is gone. */
    keepWhileShown(key: string): () => void {
      shown.set(key, (shown.get(key) ?? 0) + 1)
      return () => {
        shown.set(key, (shown.get(key) ?? 1) - 1)
        setTimeout(() => shown.get(key) || set(key, UNKNOWN), LINGER_MS)
      }
    },
    /** Reload everything that is shown. */
    async refresh(): Promise<void> {
      await Promise.all([...watched].map(([key, { load: action }]) => load(key, action)))
    },
  }
}

/** Collect items that are asked for at the same time, and answer them with one call for up to `size`. */
export function createBatch<Item, T>(size: number, load: (items: Item[]) => Promise<DustResult<T[]>>) {
  let waiting: { item: Item; resolve: (result: DustResult<T>) => void }[] = []

  async function send(): Promise<void> {
    const all = waiting
    waiting = []
    for (let start = 0; start < all.length; start += size) {
      const part = all.slice(start, start + size)
      void settled(() => load(part.map(({ item }) => item)), READ_MS).then(({ data, error }) => {
        part.forEach(({ resolve }, index) => resolve(error ? { error } : { data: data[index] as T }))
      })
    }
  }

  return (item: Item): Promise<DustResult<T>> =>
    new Promise((resolve) => {
      if (!waiting.length) setTimeout(() => void send(), 0)
      waiting.push({ item, resolve })
    })
}
