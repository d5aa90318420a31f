/**
 * A daemon that works for a while holds in the end what it held at the start: registrations,
 * checks, watchers, locks and questions come and go; memory, handles and timers are what they were.
 *
 * Handles, timers and waiters are told by the daemon's own metrics, as an operator would look at
 * them; what lives is counted after all garbage was collected (collector.ts).
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { Daemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { isLong, reached, untilBudget } from '../run/budget.ts'
import { startMeasured } from './living.ts'

/** Rounds until everything that is kept on purpose (caches, compiled code) is there. */
const WARM_UP_ROUNDS = 6
/** About ten minutes. */
const ROUNDS_GOAL = 1_500
const SERVICES = 30
const HTTP_CHECKS = 10
const WATCHERS = 400
const KEYS = 50
const QUESTIONS = 100
/** More than the ring of the feed may hold beyond its bound. */
const FEED_SLACK_CHANGES = 1_000
const GROWTH_MAX = 1.05

t.test('nothing grows while things come and go', async t => {
  const words = ['-hcl=limits { http_max_conns_per_client = 2000 }']
  const { daemon, livingBytes } = await startMeasured(t, { words })
  const target = await startTarget(t)
  const work = new Work(t, daemon, target)
  await work.fillFeed()
  for (let i = 0; i < WARM_UP_ROUNDS; i++) await work.round()
  const before = await figuresOf(daemon)
  const livingBefore = await livingBytes()
  await untilBudget('soak rounds', isLong ? ROUNDS_GOAL : Number.MAX_SAFE_INTEGER, () =>
    work.round(),
  )
  const counts = ['num_goroutines', 'timers', 'timeouts'] as const
  // Something short may have been under way before: there must not be more.
  await until('handles and timers are what they were', async () => {
    const now = await figuresOf(daemon)
    return counts.every(name => now[name] <= before[name])
  }).catch(async () => {
    t.match(await figuresOf(daemon), Object.fromEntries(counts.map(one => [one, before[one]])))
  })
  await until('nobody waits', async () => (await figuresOf(daemon)).waiting === 0)
  const livingAfter = await livingBytes()
  const growth = livingAfter / livingBefore
  t.comment(`living: ${livingBefore} before, ${livingAfter} after`)
  t.ok(growth <= GROWTH_MAX, `memory in use grew by the factor ${growth.toFixed(3)}`)
  for (const [what, count] of work.counts) reached(what, count)
  t.equal(await daemon.stop(), 0)
})

interface Figures {
  readonly num_goroutines: number
  readonly timers: number
  readonly timeouts: number
  readonly waiting: number
}

async function figuresOf(daemon: Daemon): Promise<Figures> {
  const { Gauges } = await daemon.read<{ Gauges: { Name: string; Value: number }[] }>(
    '/v1/agent/metrics',
  )
  const of = (name: string): number => {
    const found = Gauges.find(({ Name }) => Name.endsWith(`.${name}`))
    if (found === undefined) throw new Error(`no gauge ${name}`)
    return found.Value
  }
  return {
    num_goroutines: of('runtime.num_goroutines'),
    timers: of('runtime.timers'),
    timeouts: of('runtime.timeouts'),
    waiting: of('rpc.queries_blocking'),
  }
}

/** What HTTP checks ask. */
async function startTarget(t: Test): Promise<number> {
  const server = createServer((_, response) => response.end('well'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** One client with all that it does. */
class Work {
  readonly counts = new Map<string, number>()
  readonly #daemon: Daemon
  readonly #target: number
  #marks = 0
  readonly #agent = new Agent({ keepAlive: false, maxSockets: 1_000 })

  constructor(t: Test, daemon: Daemon, target: number) {
    this.#daemon = daemon
    this.#target = target
    t.teardown(() => this.#agent.destroy())
  }

  /**
   * So many changes are kept for those who follow the store: from then on each costs an old one of
   * the same kind. The writes of rounds, those of one kind at once.
   */
  async fillFeed(): Promise<void> {
    const end = (await this.#index()) + limits.feedBacklogChanges + FEED_SLACK_CHANGES
    while ((await this.#index()) < end) {
      await Promise.all(numbersBelow(SERVICES).map(i => this.#registerOne(i)))
      await Promise.all(numbersBelow(KEYS).map(i => this.#writeOne(i)))
      await this.#deleteKeys()
      await Promise.all(numbersBelow(SERVICES).map(i => this.#deregisterOne(i)))
    }
  }

  async round(): Promise<void> {
    await this.#register()
    await this.#write()
    await Promise.all([this.#ask(), this.#lock()])
    await this.#watch()
    await this.#deregister()
  }

  #count(what: string, by: number): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  async #put(url: string, body: string | object = ''): Promise<string> {
    const { status, text } = await this.#daemon.ask('PUT', url, body)
    if (status !== 200) throw new Error(`PUT ${url}: ${status} ${text}`)
    return text
  }

  /** The newest revision, as clients see it: that of a key which is written now. */
  async #index(): Promise<number> {
    await this.#put('/v1/kv/index', `${this.#marks++}`)
    const { headers } = await this.#daemon.ask('GET', '/v1/kv/index')
    return Number(headers['x-consul-index'])
  }

  async #register(): Promise<void> {
    for (const i of numbersBelow(SERVICES)) await this.#registerOne(i)
    this.#count('registrations', SERVICES)
  }

  async #registerOne(i: number): Promise<void> {
    const HTTP = `http://127.0.0.1:${this.#target}/`
    const Check = i < HTTP_CHECKS ? { HTTP, Interval: '1s' } : { TTL: '30s' }
    await this.#put('/v1/agent/service/register', { Name: `s${i}`, Port: 80 + i, Check })
    if (i >= HTTP_CHECKS) await this.#put(`/v1/agent/check/pass/service:s${i}`)
  }

  async #deregister(): Promise<void> {
    for (const i of numbersBelow(SERVICES)) await this.#deregisterOne(i)
  }

  async #deregisterOne(i: number): Promise<void> {
    await this.#put(`/v1/agent/service/deregister/s${i}`)
  }

  async #write(): Promise<void> {
    for (const i of numbersBelow(KEYS)) await this.#writeOne(i)
    await this.#deleteKeys()
    this.#count('writes of keys', KEYS)
  }

  async #writeOne(i: number): Promise<void> {
    await this.#put(`/v1/kv/soak/${i}`, `value ${i}`)
  }

  async #deleteKeys(): Promise<void> {
    await this.#daemon.ask('DELETE', '/v1/kv/soak/?recurse')
  }

  /** Half of the watchers are answered, the others leave. */
  async #watch(): Promise<void> {
    await this.#put('/v1/kv/watched', 'x')
    const { headers } = await this.#daemon.ask('GET', '/v1/kv/watched')
    const query = `?index=${headers['x-consul-index']}&wait=5m`
    const leaving: (() => void)[] = []
    const answered: Promise<unknown>[] = []
    for (let i = 0; i < WATCHERS; i++) {
      const url = i % 2 === 0 ? `/v1/kv/watched${query}` : `/v1/kv/nobody/${i}${query}`
      const asked = request({
        host: '127.0.0.1',
        port: this.#daemon.httpPort,
        path: url,
        agent: this.#agent,
      })
      asked.on('error', () => {})
      if (i % 2 === 0) {
        answered.push(once(asked, 'response').then(([answer]) => once(answer.resume(), 'end')))
      } else leaving.push(() => asked.destroy())
      asked.end()
    }
    await until('all wait', async () => {
      return (await figuresOf(this.#daemon)).waiting >= WATCHERS
    })
    for (const leave of leaving) leave()
    await this.#put('/v1/kv/watched', 'y')
    await Promise.all(answered)
    this.#count('watchers', WATCHERS)
  }

  async #lock(): Promise<void> {
    const { ID } = JSON.parse(await this.#put('/v1/session/create', { TTL: '60s' }))
    await this.#put(`/v1/kv/lock?acquire=${ID}`, 'held')
    await this.#put(`/v1/session/renew/${ID}`)
    await this.#put(`/v1/session/destroy/${ID}`)
    await this.#daemon.ask('DELETE', '/v1/kv/lock')
    this.#count('sessions', 1)
  }

  /** Questions for services over UDP, the next when the last was answered. */
  async #ask(): Promise<void> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    for (let i = 0; i < QUESTIONS; i++) {
      const answered = once(socket, 'message')
      socket.send(questionFor(`s${i % SERVICES}.service.consul`), this.#daemon.dnsPort, '127.0.0.1')
      await answered
    }
    socket.close()
    this.#count('DNS questions', QUESTIONS)
  }
}

const numbersBelow = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** A question for the addresses of a name. */
function questionFor(name: string): Buffer {
  const header = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const labels = name
    .split('.')
    .map(label => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])])
}
