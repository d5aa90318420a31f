/**
 * A plain client for filling stores and for looking at samples of answers.
 *
 * Owns one keep-alive connection pool and the checks of what came back. Never used where the
 * client's own speed would count.
 */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import type { BareAnswer } from './bare.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const pool = new Agent({ keepAlive: true, maxSockets: 64 })

/** Sends a request and resolves with the whole answer. */
export function call(
  port: number,
  method: string,
  path: string,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, headers, agent: pool }
    const sent = request(options, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: pairsOf(response.rawHeaders),
          body: Buffer.concat(chunks),
        }),
      )
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

function pairsOf(raw: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (let at = 0; at < raw.length; at += 2) pairs[raw[at] ?? ''] = raw[at + 1] ?? ''
  return pairs
}

/** Sends a request that must succeed. */
export async function must(
  port: number,
  method: string,
  path: string,
  body: unknown = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const answer = await call(port, method, path, bytes, headers)
  assert.equal(answer.status, 200, `${method} ${path}: ${answer.body.toString()}`)
  return answer
}

/** The index that a read gave: the header that blocking clients live by. */
export function indexOf({ headers }: Answer): number {
  const index = Number(headers['X-Consul-Index'])
  assert.ok(index > 0, 'a read carries X-Consul-Index')
  return index
}

/** What a bare server needs to give the same answer; node adds the rest by itself. */
export function bareOf({ headers, body }: Answer): Omit<BareAnswer, 'folder'> {
  const own = Object.entries(headers).filter(([name]) => !ADDED_BY_NODE.has(name.toLowerCase()))
  return { headers: Object.fromEntries(own), bodyBase64: body.toString('base64') }
}

const ADDED_BY_NODE = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding'])
