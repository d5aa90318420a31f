/**
 * Somebody else: a few connections that ask at a steady pace and note how long each answer took.
 *
 * Owns the latencies of requests that a bench's main load must not hurt. Runs in a process of its
 * own and ahead of the load's client, with which it shares a core: what is measured is how long the
 * server took, not how long an answer lay there until its reader had its turn.
 */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { Agent, type RequestOptions, request } from 'node:http'
import { setPriority } from 'node:os'
import { answerParent } from './answers.ts'

export interface Probe {
  readonly port: number
  /** `DNS` asks for the A records of the name that `path` is, over UDP. */
  readonly method: 'GET' | 'PUT' | 'DNS'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly connections: number
  /** The pause between an answer and the next request of a connection. */
  readonly pauseMs: number
}

/** When a request began, by the monotonic clock that all processes share, and how long it took. */
export type Latency = readonly [fromMs: number, tookMs: number]

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

let latencies: Latency[] = []
let running: Promise<unknown> = Promise.resolve()
let isStopped = true
let sent = 0

function start(probe: Probe): void {
  latencies = []
  isStopped = false
  running = Promise.all(Array.from({ length: probe.connections }, () => keepAsking(probe)))
}

async function stop(): Promise<readonly Latency[]> {
  isStopped = true
  await running
  return latencies
}

async function keepAsking(probe: Probe): Promise<void> {
  const { port, method, path, pauseMs, headers = {} } = probe
  if (method === 'DNS') {
    await keepAskingDns(probe)
    return
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!isStopped) {
    const fromMs = nowMs()
    sent++
    await ask(
      { host: '127.0.0.1', port, method, path, agent, headers },
      method === 'PUT' ? `${sent}` : '',
    )
    latencies.push([fromMs, nowMs() - fromMs])
    if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
  agent.destroy()
}

async function keepAskingDns({ port, path, pauseMs }: Probe): Promise<void> {
  const socket = createSocket('udp4')
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const labels = path.split('.').map(label => String.fromCharCode(label.length) + label)
  const query = Buffer.from(`${DNS_HEAD}${labels.join('')}\0\0\x01\0\x01`, 'latin1')
  while (!isStopped) {
    const fromMs = nowMs()
    await askDns(socket, query)
    latencies.push([fromMs, nowMs() - fromMs])
    if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
  socket.close()
}

/** Id 1, recursion desired, one question. */
const DNS_HEAD = '\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00'
const RCODE_AT = 3
const RCODE_MASK = 0x0f
const DNS_TIMEOUT_MS = 5_000

async function askDns(socket: Socket, query: Buffer): Promise<void> {
  socket.send(query)
  const signal = AbortSignal.timeout(DNS_TIMEOUT_MS)
  const [answer] = (await once(socket, 'message', { signal })) as [Buffer]
  assert.equal(answer[RCODE_AT]! & RCODE_MASK, 0)
}

function ask(options: RequestOptions, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(options, response => {
      assert.equal(response.statusCode, 200)
      response.resume()
      response.once('end', resolve)
    })
    asked.once('error', reject)
    asked.end(body)
  })
}

const AHEAD = -15
try {
  setPriority(AHEAD)
} catch {
  // Only root may; the figure then holds the wait for the core too.
}

answerParent({ start, stop })
