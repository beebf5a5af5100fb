import { randomBytes } from "node:crypto"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Breaker } from "../src/modules/dust/delivery/breaker"
import { Courier } from "../src/modules/dust/delivery/courier"
import type { OutgoingEvent } from "../src/modules/dust/service"

const snapshots = vi.fn(async ({ data }: OutgoingEvent) => data)

describe("Breaker", () => {
  it("waits longer after each failure, and counts those of one moment once", () => {
    let now = 0
    const breaker = new Breaker(() => now)
    expect(breaker.fail()).toBe(true)
    expect([breaker.fail(), breaker.fail()]).toEqual([false, false])
    expect(breaker.mayTry).toBe(false)
    now += 1_000
    expect(breaker.mayTry).toBe(true)
    breaker.fail()
    now += 999
    expect(breaker.mayTry).toBe(false)
    now += 1_001
    expect(breaker.mayTry).toBe(true)
    expect(breaker.close()).toBeCloseTo(3)
    expect(breaker.isOpen).toBe(false)
    expect(breaker.close()).toBeUndefined()
  })
})

/** An outbox in memory, with the methods that the courier calls. */
class Outbox {
  events = new Map<string, OutgoingEvent & { state: string; due: number; error?: string }>()
  claims = 0

  add(count: number): void {
    for (let n = 0; n < count; n++) {
      const id = `msg_${this.events.size}`
      const data = { id }
      this.events.set(id, { id, type: "order.placed", data, occurred_at: new Date(), attempts: 0, state: "waiting", due: 0 })
    }
  }

  async claim(limit: number): Promise<OutgoingEvent[]> {
    this.claims += 1
    const due = [...this.events.values()].filter((event) => event.state === "waiting" && event.due <= Date.now())
    const claimed = due.sort((a, b) => a.attempts - b.attempts).slice(0, limit)
    for (const event of claimed) Object.assign(event, { attempts: event.attempts + 1, due: Date.now() + 30_000 })
    return claimed.map((event) => ({ ...event }))
  }

  async markDelivered(id: string): Promise<void> {
    Object.assign(this.events.get(id)!, { state: "delivered" })
  }

  async reschedule({ id }: OutgoingEvent, seconds: number, error: string): Promise<void> {
    Object.assign(this.events.get(id)!, { due: Date.now() + 1000 * seconds, error })
  }

  async reject({ id }: OutgoingEvent, error: string): Promise<void> {
    Object.assign(this.events.get(id)!, { state: "rejected", error })
  }

  count(state: string): number {
    return [...this.events.values()].filter((event) => event.state === state).length
  }
}

describe("Courier", () => {
  const outbox = new Outbox()
  const logger = { info: vi.fn(), warn: vi.fn() }
  let answer: (url: string, body?: string) => Response | Error
  let asked: string[] = []
  let courier: Courier

  beforeEach(() => {
    vi.useFakeTimers()
    snapshots.mockReset()
    snapshots.mockImplementation(async ({ data }) => data)
    logger.info.mockReset()
    logger.warn.mockReset()
    outbox.events.clear()
    outbox.claims = 0
    asked = []
    vi.stubGlobal("fetch", async (url: string, { body }: { body?: string } = {}) => {
      asked.push(url)
      const given = answer(url, body)
      if (given instanceof Error) throw given
      return given
    })
    const destination = { bridge: "http://bridge", key: randomBytes(32) }
    courier = new Courier(outbox as never, snapshots, destination, logger as never)
  })

  afterEach(async () => {
    await courier.stop()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it("asks one question a minute while the bridge is away for a day, and reads no order", async () => {
    answer = () => new Error("connect ECONNREFUSED")
    outbox.add(6_000)
    courier.start()
    await vi.advanceTimersByTimeAsync(60_000)
    const [read, claimed] = [snapshots.mock.calls.length, outbox.claims]
    asked = []
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(snapshots.mock.calls.length).toBe(read)
    expect(outbox.claims).toBe(claimed)
    expect(read).toBeLessThanOrEqual(4)
    // Between half a minute and a minute.
    expect(asked.length).toBeLessThan(86_400 / 29)
    expect(new Set(asked)).toEqual(new Set(["http://bridge/health/live"]))
    expect(logger.warn).toHaveBeenCalledTimes(1)
    expect(logger.warn.mock.calls[0][0]).toContain("the bridge is unavailable")

    answer = () => new Response("{}", { status: 202 })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(outbox.count("delivered")).toBe(6_000)
    expect(logger.info).toHaveBeenCalledTimes(1)
    expect(logger.info.mock.calls[0][0]).toContain("available again")
    // A day of fake time takes seconds of real time on a busy machine.
  }, 60_000)

  it("sends events again soon after the clock was set back", async () => {
    answer = () => new Error("connect ECONNREFUSED")
    courier.start()
    outbox.add(1)
    await vi.advanceTimersByTimeAsync(5_000)
    vi.setSystemTime(Date.now() - 86_400_000)
    answer = () => new Response("{}", { status: 202 })
    // Postgres' clock goes on.
    for (const event of outbox.events.values()) event.due = 0
    await vi.advanceTimersByTimeAsync(120_000)
    expect(outbox.count("delivered")).toBe(1)
  })

  it("delivers the others while the bridge fails at one event", async () => {
    outbox.add(20)
    answer = (_, body) => new Response("{}", { status: body?.includes('"msg_3"') ? 500 : 202 })
    courier.start()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(outbox.count("delivered")).toBe(19)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(logger.warn).toHaveBeenCalledTimes(1)
  })

  it.each([
    ["a firewall refuses it", () => new Response("Blocked", { status: 403 })],
    ["it is never answered", () => new Error("The operation was aborted due to timeout")],
  ])("delivers each new event within seconds while one finds no way to the bridge: %s", async (_, refusal) => {
    outbox.add(5)
    answer = (url, body) => (body?.includes('"msg_0"') ? refusal() : new Response("{}", { status: url.endsWith("live") ? 200 : 202 }))
    courier.start()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(outbox.count("delivered")).toBe(4)
    for (let hour = 0; hour < 3; hour++) {
      outbox.add(1)
      courier.wake()
      await vi.advanceTimersByTimeAsync(3_000)
      expect(outbox.count("delivered")).toBe(5 + hour)
      await vi.advanceTimersByTimeAsync(3_600_000)
    }
    expect(logger.warn.mock.calls.length + logger.info.mock.calls.length).toBeLessThanOrEqual(3)
    expect(outbox.events.get("msg_0")!.state).toBe("waiting")
    answer = () => new Response("{}", { status: 202 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(outbox.count("delivered")).toBe(8)
  })

  it("does not take an order that cannot be read for a bridge that is away", async () => {
    outbox.add(3)
    snapshots.mockImplementation(async ({ id, data }) => {
      if (id === "msg_0") throw new Error("Medusa's database failed")
      return data
    })
    answer = () => new Response("{}", { status: 202 })
    courier.start()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(outbox.count("delivered")).toBe(2)
    expect(outbox.events.get("msg_0")!.error).toContain("Medusa's database failed")
    expect(logger.warn).toHaveBeenCalledTimes(1)
    expect(logger.warn.mock.calls[0][0]).toContain("msg_0 fails")
  })

  it("keeps an event that a web page answers: a proxy that shows one for a bridge that is away", async () => {
    outbox.add(1)
    answer = () => new Response("<h1>Back soon</h1>", { status: 200, headers: { "content-type": "text/html; charset=utf-8" } })
    courier.start()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(outbox.count("delivered")).toBe(0)
    expect(outbox.events.get("msg_0")!.error).toContain("Back soon")
    answer = () => new Response(null, { status: 202 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(outbox.count("delivered")).toBe(1)
  })

  it("writes one line when its table cannot be read, and one when it can be again", async () => {
    outbox.add(3)
    answer = () => new Response("{}", { status: 202 })
    const claim = vi.spyOn(outbox, "claim").mockRejectedValue(new Error("connect ECONNREFUSED"))
    courier.start()
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(claim.mock.calls.length).toBeGreaterThan(1_000)
    claim.mockRestore()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(outbox.count("delivered")).toBe(3)
    expect(logger.warn.mock.calls.map(([line]) => line)).toEqual(["dust: the outbox cannot be read: connect ECONNREFUSED"])
    expect(logger.info.mock.calls.map(([line]) => line)).toEqual(["dust: the outbox can be read again"])
  })

  it("tries at once when an operator sends an event again", async () => {
    outbox.add(1)
    answer = () => new Response("{}", { status: 401 })
    courier.start()
    await vi.advanceTimersByTimeAsync(200_000)
    answer = () => new Response("{}", { status: 202 })
    courier.sendNow()
    await vi.advanceTimersByTimeAsync(100)
    expect(outbox.count("delivered")).toBe(1)
  })
})
