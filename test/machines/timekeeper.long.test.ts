/**
 * The timekeeper's role moves between real processes while clients read and write: its holder
 * stands still, is killed, or is cut off, and comes back. No session ends early, and none twice.
 *
 * The old holder still has a deadline for a session that the new one knows to be renewed, so that
 * only the fence keeps it from ending that one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../clients/process.ts'
import { untilBudget } from '../run/budget.ts'
import { agree, healed } from './agreement.ts'
import { type ClusterServer, startCluster } from './cluster.ts'
import { noFaults, pause } from './faults.ts'
import { createNetwork, type Network } from './network.ts'
import { Workload } from './workload.ts'

const MOVES = 20
const TTL_MS = 3_000
const RENEW_PAUSE_MS = 200

/** What takes the role from its holder; each gives how the holder comes back. */
type Way = (network: Network, holder: ClusterServer, rest: ClusterServer[]) => Promise<() => void>

const ways: Readonly<Record<string, Way>> = {
  'stands still': async (_network, holder) => {
    const paused = pause([holder.agentPid])
    return () => paused.resume()
  },
  'is killed': async (_network, holder) => {
    await holder.killAgent()
    return () => holder.startAgent()
  },
  'is cut off': async (network, holder, rest) => {
    const machines = rest.map(({ machine }) => machine)
    network.part([holder.machine], machines)
    return () => network.heal()
  },
}

t.test('the role moves twenty times', { skip: noFaults }, async t => {
  const network = createNetwork(t, 3)
  const words = [`-hcl=session_ttl_min="${TTL_MS}ms"`]
  const servers = await startCluster(t, network, () => ({ words }))
  const workload = new Workload(servers, MOVES)
  workload.start()
  t.teardown(() => workload.end())
  const keeper = await newSession(servers[0]!, '')
  const taken = new Map<string, number>()
  const names = Object.keys(ways)
  await untilBudget('moves of the timekeeper between real processes', MOVES, async move => {
    const holder = await holderOf(servers, servers)
    const rest = servers.filter(server => server !== holder)
    const how = names[move % names.length]!
    const session = new Renewed(await newSession(rest[0]!, `${TTL_MS}ms`), rest)
    const key = `moves/${move}`
    t.equal((await rest[0]!.ask('PUT', `/v1/kv/${key}?acquire=${session.id}`)).text, 'true')
    const back = await ways[how]!(network, holder, rest)
    const next = await holderOf(rest, rest)
    t.not(next, holder, `${holder.machine.name} ${how}, ${next.machine.name} keeps the time`)
    await session.isRenewed()
    back()
    await healed(holder)
    await session.isRenewed()
    await endsOnce(t, session, rest[1]!)
    const acquired = await rest[1]!.ask('PUT', `/v1/kv/${key}?acquire=${keeper}`)
    t.equal(acquired.text, 'true', 'its lock is free')
    taken.set(key, (await entry(rest[0]!, key)).ModifyIndex)
  })
  for (const [key, index] of taken) {
    const { Session, ModifyIndex } = await entry(servers[0]!, key)
    t.same([Session, ModifyIndex], [keeper, index], `${key} was not released a second time`)
  }
  t.same(await workload.stop(), [], 'what clients were told holds together')
  t.ok(workload.answered > 0, `${workload.answered} requests were answered`)
  t.ok(await agree(servers), 'all servers agree')
})

/** Who of `candidates` keeps the time, as `asked` say it. */
function holderOf(
  candidates: readonly ClusterServer[],
  asked: readonly ClusterServer[],
): Promise<ClusterServer> {
  return until('somebody keeps the time', async () => {
    const said = await Promise.all(asked.map(server => server.ask('GET', '/v1/status/leader')))
    const [first, ...others] = said.map(({ text }) => text)
    if (others.some(text => text !== first)) return undefined
    return candidates.find(({ machine }) => first === `"${machine.address}:8300"`)
  })
}

/** A session that hangs on no check: else it would end with the server that was asked for it. */
async function newSession(server: ClusterServer, ttl: string): Promise<string> {
  const common = { LockDelay: '0s', Behavior: 'release', NodeChecks: [] }
  const body = { ...(ttl === '' ? {} : { TTL: ttl }), ...common }
  const { text } = await server.ask('PUT', '/v1/session/create', body)
  return JSON.parse(text).ID
}

/** A session that is renewed on several servers in turn, until it is let go. */
class Renewed {
  readonly id: string
  /** When the last renewal that was acknowledged was asked for, at the latest. */
  renewedMs = performance.now()
  /** Set when it was gone though it had been renewed in time. */
  early = ''
  #acknowledged = 0
  #isOver = false
  readonly #running: Promise<void>

  constructor(id: string, servers: readonly ClusterServer[]) {
    this.id = id
    this.#running = this.#run(servers)
  }

  async #run(servers: readonly ClusterServer[]): Promise<void> {
    for (let at = 0; !this.#isOver; at++) {
      const askedMs = performance.now()
      const { status } = await servers[at % servers.length]!.ask(
        'PUT',
        `/v1/session/renew/${this.id}`,
      ).catch(() => ({ status: 0 }))
      const silentMs = performance.now() - this.renewedMs
      if (status === 404 && silentMs < TTL_MS) this.early ||= `${silentMs} ms after a renewal`
      if (status === 200) {
        this.renewedMs = askedMs
        this.#acknowledged++
      }
      await sleep(RENEW_PAUSE_MS)
    }
  }

  /** Resolves when one more renewal was acknowledged. */
  async isRenewed(): Promise<void> {
    const before = this.#acknowledged
    await until('a renewal is acknowledged', () => this.#acknowledged > before)
  }

  async letGo(): Promise<void> {
    this.#isOver = true
    await this.#running
  }
}

async function endsOnce(t: Test, session: Renewed, server: ClusterServer): Promise<void> {
  await session.letGo()
  await until('it ends', async () => {
    const { status, text } = await server.ask('GET', `/v1/session/info/${session.id}`)
    return status === 200 && text === '[]'
  })
  t.equal(session.early, '', 'not while it was renewed')
  t.ok(performance.now() - session.renewedMs >= TTL_MS, 'not before its time')
}

async function entry(
  server: ClusterServer,
  key: string,
): Promise<{ Session?: string; ModifyIndex: number }> {
  return JSON.parse((await server.ask('GET', `/v1/kv/${key}`)).text)[0]
}
