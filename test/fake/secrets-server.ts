/**
 * A server of secrets that answers as told, and remembers what it was asked.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A request as it came; `body` is the JSON of it, where it is JSON. */
export interface SecretsAsk {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

interface Told {
  readonly status: number
  readonly body: string | object
  readonly headers: Record<string, string>
}

/** Its own words: what is answered to a request, by method and path below /v1/. */
export interface SecretsServer {
  readonly address: string
  readonly asks: SecretsAsk[]
  /** Answers to `GET sys/x`, from then on; several bodies are answered one after the other. */
  on(request: string, body: string | object, status?: number, headers?: Told['headers']): void
  /** `METHOD path?query` of every request, and forgets them. */
  taken(): string[]
}

/** Starts one on a free port, for as long as the test runs. What it was not told is a 404. */
export async function secretsServer(t: Test): Promise<SecretsServer> {
  const asks: SecretsAsk[] = []
  const told = new Map<string, Told[]>()
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    const text = await textOf(request)
    asks.push({ method, url, headers, body: parsed(text) })
    const path = new URL(url, 'http://x').pathname.replace(/^\/v1\//, '')
    const answers = told.get(`${method} ${path}`)
    const next = answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0]
    const answer = next ?? { status: 404, body: { errors: [] }, headers: {} }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    response.writeHead(answer.status, answer.headers).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asks,
    on(request, body, status = 200, headers = {}) {
      told.set(request, [...(told.get(request) ?? []), { status, body, headers }])
    },
    taken: () => asks.splice(0).map(({ method, url }) => `${method} ${url.replace(/^\/v1\//, '')}`),
  }
}

/** The envelope around data, as a server sends it. */
export function enveloped(data: object | null, more: object = {}): object {
  return {
    request_id: '0a1b2c3d-0000-4000-8000-000000000000',
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data,
    wrap_info: null,
    warnings: null,
    auth: null,
    mount_type: 'kv',
    ...more,
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
