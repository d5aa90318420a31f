/**
 * One address before the secrets of several servers: each request goes to the next one.
 *
 * Owns who is next, and what only the first is asked: what is its own and not the cluster's, as the
 * shares that were entered there. Others take their turn once all are unsealed; nothing helps them
 * to catch up, since every answer must know of what was answered before it.
 */
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { Test } from 'tap'
import { HttpListeners } from '../../src/base/io/http-listener.ts'
import { boundsOfTests } from '../http/harness.ts'
import { until } from './process.ts'
import { askPort } from './running.ts'

/** What is of one server alone: its seal, and shares that are entered step by step. */
const OF_ONE = new RegExp(
  '^/v1/sys/(init|unseal|seal|audit|health|leader|ha-status|host-info|in-flight|generate-root' +
    '|rekey|rotate/root)',
)
/** After these all servers are to be of one mind again before anybody is asked. */
const OF_THE_SEAL = /^\/v1\/sys\/(unseal|seal)$/

interface Spread {
  readonly port: number
  /** How many requests each server had. */
  counts(): readonly number[]
}

/**
 * Spreads requests over the servers with these ports until the test ends; what is not of one server
 * alone goes to an agent of theirs instead, where there is one.
 */
export async function spreadSecrets(
  t: Test,
  ports: readonly number[],
  agent?: number,
): Promise<Spread> {
  const counts = ports.map(() => 0)
  let turn = 0
  const relay = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/' } = asked
    if (!OF_ONE.test(url)) turn = (turn + 1) % ports.length
    const at = OF_ONE.test(url) ? 0 : turn
    counts[at]!++
    const sent = request({
      ...{
        host: '127.0.0.1',
        port: OF_ONE.test(url) ? ports[0] : (agent ?? ports[at]),
        method,
        path: url,
        agent: false,
      },
      headers: [...headersOf(asked), 'Connection', 'close'],
    })
    sent.on('response', async given => {
      asked.unpipe(sent).resume()
      if (OF_THE_SEAL.test(url)) await alike(ports)
      answer.writeHead(given.statusCode ?? 0, given.statusMessage ?? '', headersOf(given))
      pipeline(given, answer, () => {})
    })
    sent.on('error', () => {
      if (!answer.headersSent) answer.destroy()
    })
    answer.on('close', () => sent.destroy())
    asked.pipe(sent)
  }
  const bounds = { ...boundsOfTests, customVerbs: ['LIST', 'SCAN'] }
  const listeners = new HttpListeners(bounds, (asked, answer) => void relay(asked, answer))
  t.teardown(async () => {
    listeners.cut()
    await listeners.close()
  })
  const { port } = await listeners.listen('127.0.0.1', 0)
  return { port, counts: () => counts }
}

/** Waits until all servers say of their seal what the first says. */
async function alike([first, ...others]: readonly number[]): Promise<void> {
  const sealed = async (port: number): Promise<unknown> => {
    const { text } = await askPort(port, 'GET', '/v1/sys/seal-status')
    return (JSON.parse(text) as { sealed: boolean }).sealed
  }
  const wanted = await sealed(first!)
  await until('all servers are sealed or unsealed alike', async () => {
    for (const port of others) if ((await sealed(port)) !== wanted) return false
    return true
  })
}

/** Names and values in turn, as they came, but those of one connection. */
function headersOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter(
    (_, at) => !['connection', 'keep-alive'].includes(rawHeaders[at - (at % 2)]!.toLowerCase()),
  )
}
