import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import express from "express"
import { afterEach, describe, expect, it, vi } from "vitest"
import { forwardAsAnybody, forwardAsOperator } from "../src/api/forward"

type Answer = (req: IncomingMessage, res: ServerResponse) => void

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(server: Server): Promise<string> {
  servers.push(server)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A shop whose plugin forwards requests to Dust. Dust answers each of them with `answer`. */
async function shopWith(answer: Answer): Promise<string> {
  const bridge = await listen(createServer(answer))
  const services = { dust: { bridge: { bridge, token: "t".repeat(32) } }, logger: { warn: vi.fn() } }
  const app = express()
  app.use(express.json(), (req, _res, next) => {
    Object.assign(req, { scope: { resolve: (name: string) => services[name as keyof typeof services] } })
    next()
  })
  app.all("/store/*", (req, res) => void forwardAsAnybody(req as never, res as never))
  app.all("/admin/*", (req, res) => void forwardAsOperator(req as never, res as never))
  return listen(createServer(app))
}

const PUBLIC = { "content-type": "application/json", "cache-control": "public, max-age=60", etag: '"1"' }

describe("an answer of Dust", () => {
  it("that ends in the middle is an error that nothing keeps", async () => {
    const shop = await shopWith((_req, res) => {
      res.writeHead(200, { ...PUBLIC, "content-length": "100", "content-disposition": "attachment" })
      res.write('{"products"')
      setTimeout(() => res.destroy(), 20)
    })

    const answer = await fetch(`${shop}/store/dust/products`)

    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: "bridge_unavailable" })
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("etag")).not.toBe('"1"')
    expect(answer.headers.get("content-disposition")).toBeNull()
    expect(answer.headers.get("retry-after")).toBe("5")
  })

  it.each([
    [502, 503, "bridge_unavailable"],
    [503, 503, "bridge_unavailable"],
    [504, 503, "bridge_unavailable"],
    [500, 503, "bridge_unavailable"],
    [404, 503, "bridge_unavailable"],
    [200, 503, "bridge_unavailable"],
    [429, 429, "too_many_requests"],
    [413, 413, "too_large"],
  ])("that is a proxy's page with status %i is a problem", async (status, shown, code) => {
    const shop = await shopWith((_req, res) => {
      res.writeHead(status, { "content-type": "text/html", "retry-after": "7", "cache-control": "max-age=60" }).end("<h1>nginx</h1>")
    })

    const answer = await fetch(`${shop}/store/dust/balance`)

    expect(answer.status).toBe(shown)
    expect(answer.headers.get("content-type")).toContain("application/problem+json")
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("retry-after")).toBe(shown === 503 ? "5" : "7")
    expect(await answer.json()).toMatchObject({ status: shown, code, message: expect.stringMatching(/\.$/) })
  })

  it("that is a redirect is an error, and nothing follows it", async () => {
    const asked: unknown[] = []
    const shop = await shopWith((req, res) => {
      asked.push(req.url)
      res.writeHead(302, { location: "/elsewhere" }).end()
    })

    expect((await fetch(`${shop}/store/dust/balance`)).status).toBe(503)
    expect(asked).toEqual(["/store/dust/balance"])
  })

  it("without a body is passed on as it is", async () => {
    const shop = await shopWith((_req, res) => void res.writeHead(204).end())

    const answer = await fetch(`${shop}/admin/dust/programme/drafts/1`, { method: "DELETE" })

    expect([answer.status, await answer.text()]).toEqual([204, ""])
  })

  it("that says nothing has changed is passed on as it is", async () => {
    const shop = await shopWith((_req, res) => void res.writeHead(304, { etag: '"1"' }).end())

    const answer = await fetch(`${shop}/store/dust/products`, { headers: { "if-none-match": '"1"' } })

    expect([answer.status, answer.headers.get("etag")]).toEqual([304, '"1"'])
  })

  it("after early hints is the one that counts", async () => {
    const shop = await shopWith((_req, res) => {
      res.writeEarlyHints({ link: "</style.css>; rel=preload" })
      res.writeHead(200, PUBLIC).end('{"products":{}}')
    })

    const answer = await fetch(`${shop}/store/dust/products`)

    expect([answer.status, await answer.json(), answer.headers.get("cache-control")]).toEqual([200, { products: {} }, "public, max-age=60"])
  })

  it.each([
    [200, "application/json"],
    [404, "application/problem+json"],
  ])("to a HEAD has the status and headers of the GET: %i", async (status, type) => {
    const asked: unknown[] = []
    const shop = await shopWith((req, res) => {
      asked.push(req.method)
      const allowed = req.method === "GET"
      res.writeHead(allowed ? status : 405, { "content-type": type, etag: '"1"' }).end('{"detail":"Yes."}')
    })

    const answer = await fetch(`${shop}/store/dust/products`, { method: "HEAD" })

    expect([answer.status, answer.headers.get("etag"), await answer.text()]).toEqual([status, '"1"', ""])
    expect(answer.headers.get("content-type")).toContain(type)
    expect(asked).toEqual(["GET"])
  })

  it.each(["text/csv; charset=utf-8", "application/problem+json", "application/json"])("as %s keeps its type", async (type) => {
    const shop = await shopWith((_req, res) => void res.writeHead(200, { "content-type": type }).end('{"detail":"Yes."}'))

    expect((await fetch(`${shop}/admin/dust/reports/x`)).headers.get("content-type")).toContain(type.split(";")[0])
  })

  it("that is a broken problem is a problem", async () => {
    const shop = await shopWith((_req, res) => {
      res.writeHead(409, { "content-type": "application/problem+json", "cache-control": "max-age=60" }).end("null")
    })

    const answer = await fetch(`${shop}/store/dust/balance`)

    expect([answer.status, answer.headers.get("cache-control")]).toEqual([503, "no-store"])
  })
})
