import type { MedusaContainer } from "@medusajs/framework/types"
import localProvider from "@medusajs/medusa/notification-local"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import sendAlerts, { config } from "../src/jobs/send-alerts"

const FAILED = {
  code: "events_failed",
  severity: "warning",
  since: "2026-11-26T12:00:00Z",
  count: 3,
  message: "3 events failed.",
  action: "Open Dust, Events.",
}

/** The table of alerts in memory, with the two methods that the job calls. */
class Dust {
  bridge = { bridge: "http://dust", token: "the token" }
  alertEmail?: string
  rows = new Map<string, { code: string; message: string; since: number; notified: boolean }>()
  now = 0

  async openAlert(code: string, message: string, quietSeconds: number): Promise<boolean> {
    if (!this.rows.has(code)) this.rows.set(code, { code, message, since: this.now, notified: false })
    const row = this.rows.get(code)!
    if (row.notified || this.now - row.since < quietSeconds) return false
    return (row.notified = true)
  }

  async endOtherAlerts(open: string[]): Promise<unknown[]> {
    const ended = [...this.rows.values()].filter(({ code }) => !open.includes(code))
    for (const { code } of ended) this.rows.delete(code)
    return ended
  }
}

let dust: Dust
const createNotifications = vi.fn()
const warn = vi.fn()
const ask = vi.fn()

async function run(...alerts: (typeof FAILED)[]): Promise<void> {
  ask.mockResolvedValue(Response.json({ alerts }))
  await runAs()
}

async function runAs(): Promise<void> {
  const services: Record<string, unknown> = { dust, notification: { createNotifications }, logger: { warn } }
  await sendAlerts({ resolve: (name: string) => services[name] } as unknown as MedusaContainer)
}

const sent = (): unknown[] => createNotifications.mock.calls.map(([notification]) => notification)

beforeEach(() => {
  dust = new Dust()
  vi.resetAllMocks()
  vi.stubGlobal("fetch", ask)
})
afterEach(() => vi.unstubAllGlobals())

describe("alerts", () => {
  it("are asked for every five minutes, with the token of the bridge", async () => {
    await run()
    expect(ask).toHaveBeenCalledExactlyOnceWith(
      "http://dust/admin/dust/alerts",
      expect.objectContaining({ headers: { authorization: "Bearer the token" } }),
    )
    expect(sent()).toEqual([])
    expect(config.schedule).toBe("*/5 * * * *")
  })

  it("are shown once in the dashboard, and once more when they have ended", async () => {
    await run(FAILED)
    expect(sent()).toEqual([
      expect.objectContaining({
        to: "",
        channel: "feed",
        resource_id: "events_failed",
        data: { title: "Dust", description: "3 events failed. Open Dust, Events." },
      }),
    ])
    await run({ ...FAILED, count: 4, message: "4 events failed." })
    expect(createNotifications).toHaveBeenCalledOnce()
    await run()
    expect(sent()[1]).toMatchObject({ channel: "feed", data: { title: "Dust: solved", description: "3 events failed." } })
    await run()
    expect(createNotifications).toHaveBeenCalledTimes(2)
    await run(FAILED)
    expect(createNotifications).toHaveBeenCalledTimes(3)
  })

  it("go by e-mail too when an address is set", async () => {
    dust.alertEmail = "merchant@example.com"
    await run(FAILED)
    await run()
    const { code, severity, since, message, action } = FAILED
    const mails = sent().filter((each) => (each as { channel: string }).channel === "email")
    expect(mails).toEqual([
      expect.objectContaining({
        to: "merchant@example.com",
        template: "dust-alert",
        data: { state: "open", code, severity, since, message, action },
      }),
      expect.objectContaining({ data: { state: "solved", code, severity: null, since: null, message, action: null } }),
    ])
  })

  it("go by e-mail through the local provider that Medusa has for trying out", async () => {
    dust.alertEmail = "merchant@example.com"
    const info = vi.fn()
    const [Local] = localProvider.services
    const local = new Local({ logger: { info } }, { channels: ["feed", "email"] })
    createNotifications.mockImplementation((notification) => local.send(notification))
    await run(FAILED)
    expect(warn).not.toHaveBeenCalled()
    const [, [mail]] = info.mock.calls
    expect(mail).toMatch(/to: 'merchant@example.com' on the channel: 'email' with template: 'dust-alert'/)
    expect(mail).toContain(FAILED.action)
  })

  it("that a shop cannot send are a line in its log, and the other channel gets them", async () => {
    dust.alertEmail = "merchant@example.com"
    createNotifications.mockRejectedValueOnce(new Error("Could not find a notification provider"))
    await run(FAILED)
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      "dust: the alert events_failed was not sent by feed: Could not find a notification provider",
    )
    expect(sent()).toHaveLength(2)
    await run(FAILED)
    expect(sent()).toHaveLength(2)
  })
})

describe("a bridge that is away", () => {
  const refused = (): void => void ask.mockRejectedValue(new Error("ECONNREFUSED"))

  it("is one alert after ten minutes, and ends when it answers", async () => {
    refused()
    for (const minutes of [0, 5]) {
      dust.now = minutes * 60
      await runAs()
    }
    expect(sent()).toEqual([])
    for (const minutes of [10, 15]) {
      dust.now = minutes * 60
      await runAs()
    }
    expect(sent()).toEqual([expect.objectContaining({ resource_id: "bridge_away" })])
    await run()
    expect(sent()[1]).toMatchObject({ resource_id: "bridge_away", data: { title: "Dust: solved" } })
  })

  it("for a moment is none", async () => {
    refused()
    await runAs()
    await run()
    expect(sent()).toEqual([])
  })

  it("ends no other alert", async () => {
    await run(FAILED)
    ask.mockResolvedValue(new Response("{}", { status: 401 }))
    await runAs()
    await run(FAILED)
    expect(createNotifications).toHaveBeenCalledOnce()
  })
})
