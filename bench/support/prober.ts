/**
 * Somebody else: a few connections that ask at a steady pace and note how long each answer took.
 *
 * Owns the latencies of requests that a bench's main load must not hurt. Runs in a process of its
 * own and ahead of the load's client, with which it shares a core: what is measured is how long the
 * server took, not how long an answer lay there until its reader had its turn.
 */
import assert from 'node:assert/strict'
import { Agent, type RequestOptions, request } from 'node:http'
import { setPriority } from 'node:os'
import { answerParent } from './answers.ts'

export interface Probe {
  readonly port: number
  readonly method: 'GET' | 'PUT'
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

async function keepAsking({ port, method, path, pauseMs, headers = {} }: Probe): Promise<void> {
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
