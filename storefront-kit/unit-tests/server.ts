import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach } from "vitest"
import { REDEMPTION } from "./samples.js"

export interface Received {
  method: string
  /** Path and query. */
  url: string
  headers: IncomingHttpHeaders
  body: unknown
}

export interface Reply {
  status?: number
  json: unknown
  type?: string
}

/** Undefined: the request is never answered. */
type Answer = (request: Received) => Reply | undefined

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** Start an HTTP server on a free port that answers with `answer`. It stops when the test ends. */
export async function startServer(answer: Answer): Promise<{ url: string; requests: Received[]; stop: () => void }> {
  const requests: Received[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { method = "", url = "", headers } = incoming
    const request = { method, url, headers, body: text ? JSON.parse(text) : undefined }
    requests.push(request)
    const reply = answer(request)
    if (!reply) return
    response.writeHead(reply.status ?? 200, { "content-type": reply.type ?? "application/json" })
    response.end(typeof reply.json === "string" ? reply.json : JSON.stringify(reply.json))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  stops.push(stop)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, stop }
}

/** A problem document as the plugin returns it. */
export function problem(status: number, code: string, message: string, more: object = {}): Reply {
  const json = { type: "about:blank", title: code, status, code, detail: message, message, ...more }
  return { status, json, type: "application/problem+json" }
}

export function redemption(state: string, more: object = {}): Reply {
  return { json: { redemption: { ...REDEMPTION, id: "red_1", state, dust: 300, ...more } } }
}
