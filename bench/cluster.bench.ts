/**
 * Three servers on three members of etcd: how soon a registration on one is known to who waits on
 * another, and how long writes pause when the timekeeper or etcd's leader is killed.
 *
 * All processes share the cores, the clients too: there is no machine between them, but no spare
 * processor either. Goals are absolute.
 */
import assert from 'node:assert/strict'
import { instanceBody, serviceName } from './support/catalog.ts'
import { startNode } from './support/child.ts'
import { call, indexOf, must } from './support/client.ts'
import {
  leaderOf,
  leadingMember,
  type NamedServer,
  startCluster,
  type TestCluster,
  until,
} from './support/cluster.ts'
import { bothSettings } from './support/cores.ts'
import { isQuick, percentile, sleep } from './support/rounds.ts'
import { printRow, say, time } from './support/row.ts'
import type { Wake } from './support/sockets.ts'

const WATCHERS = 1_000
const ROUNDS = isQuick ? 20 : 200
const P50_MS = 10
const P99_MS = 50
const PAUSE_MS = 3_000
/** Writers at a time, each waiting for its answer. */
const WRITERS = 32
const SETTLE_MS = 500
const WARM_MS = 2_000
const sockets = new URL('./support/sockets.ts', import.meta.url).pathname

const cores = bothSettings.at(-1)!
const cluster = await startCluster(cores.server)
await measureWakes(cluster)
await measureKills(cluster)
await cluster.stop()

// --- who waits on another server

async function measureWakes({ servers }: TestCluster): Promise<void> {
  const [writer, reader] = servers as [NamedServer, NamedServer]
  for (let at = 0; at < WATCHERS; at++) await register(writer, at, 'r1')
  const others = await startNode(cores.client, ['--no-warnings', sockets])
  await others.ask('open', { port: reader.port, count: WATCHERS })
  // They wait on services of which none changes.
  const idle = serviceName(WATCHERS)
  await register(writer, WATCHERS, 'r1')
  const idleIndex = indexOf(await must(reader.port, 'GET', `/v1/health/service/${idle}`))
  await others.ask('send', requestText(`/v1/health/service/${idle}?index=${idleIndex}&wait=9m`))
  await sleep(SETTLE_MS)
  const took: number[] = []
  for (let round = -1; round < ROUNDS; round++) {
    const at = (round + WATCHERS) % WATCHERS
    const ms = await wakeOne(writer, reader, at, `r${round + 10}`)
    if (round >= 0) took.push(ms)
  }
  row('register on one server until a blocking query on another returns, 1,000 others wait', took)
  // And now all of them wait for the same one.
  const all: number[] = []
  for (let round = -1; round < Math.min(ROUNDS, 20); round++) {
    const wake = await wakeAll(writer, reader, others, round)
    if (round >= 0) all.push(...wake.allMs)
  }
  row('the same, all 1,000 watchers wait for that service', all)
  await others.stop()
}

async function register(server: NamedServer, at: number, release: string): Promise<void> {
  const body = instanceBody(at, at % 10, serviceName(at), release)
  await must(server.port, 'PUT', '/v1/catalog/register', { ...body, SkipNodeUpdate: false })
}

async function wakeOne(
  writer: NamedServer,
  reader: NamedServer,
  at: number,
  release: string,
): Promise<number> {
  const path = `/v1/health/service/${serviceName(at)}`
  const index = indexOf(await must(reader.port, 'GET', path))
  const waiting = must(reader.port, 'GET', `${path}?index=${index}&wait=1m`).then(answer => ({
    answer,
    atMs: performance.now(),
  }))
  // Until it blocks.
  await sleep(20)
  const fromMs = performance.now()
  await register(writer, at, release)
  const { answer, atMs } = await waiting
  assert.ok(answer.body.includes(`"release":"${release}"`), 'the answer is of the change')
  return atMs - fromMs
}

async function wakeAll(
  writer: NamedServer,
  reader: NamedServer,
  others: Awaited<ReturnType<typeof startNode>>,
  round: number,
): Promise<Wake> {
  const name = serviceName(WATCHERS)
  if (round === -1) {
    // Those that wait since before are answered first.
    const idle = await others.ask<Wake>('wake', triggerOf(writer, 'first'))
    assert.equal(idle.allMs.length, WATCHERS)
  }
  const index = indexOf(await must(reader.port, 'GET', `/v1/health/service/${name}`))
  await others.ask('send', requestText(`/v1/health/service/${name}?index=${index}&wait=9m`))
  await sleep(SETTLE_MS)
  const wake = await others.ask<Wake>('wake', triggerOf(writer, `again-${round}`))
  for (const sample of wake.samples) assert.ok(sample.includes(`"release":"again-${round}"`))
  return wake
}

function triggerOf(writer: NamedServer, release: string) {
  const body = JSON.stringify(instanceBody(WATCHERS, 0, serviceName(WATCHERS), release))
  return { port: writer.port, trigger: requestText('/v1/catalog/register', 'PUT', body) }
}

function requestText(target: string, method = 'GET', body = ''): string {
  const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  return `${method} ${target} HTTP/1.1\r\nHost: bench\r\n${length}\r\n${body}`
}

function row(figure: string, took: readonly number[]): void {
  const p50 = percentile(took, 0.5)
  const p99 = percentile(took, 0.99)
  const ours = `p50 ${time(p50)}, p99 ${time(p99)}`
  printRow({
    ...{ figure, ours, limit: 'absolute', peer: '–' },
    goal: `p50 under ${P50_MS} ms, p99 under ${P99_MS} ms`,
    met: p50 < P50_MS && p99 < P99_MS,
    note: `${took.length} answers, longest ${time(Math.max(...took))}; 3 servers, 3 members`,
  })
  say(`${figure}: ${ours}`)
}

// --- killed under load

async function measureKills(running: TestCluster): Promise<void> {
  const { members } = running
  const member = await leadingMember(members)
  await killed("etcd's leader killed under load", running.servers, () => member.stop('SIGKILL'))
  const holder = await leaderOf(running.servers[0]!)
  const rest = running.servers.filter(({ name }) => name !== holder)
  const victim = running.servers.find(({ name }) => name === holder)!
  const session = await must(rest[0]!.port, 'PUT', '/v1/session/create', { TTL: '30s' })
  const { ID } = JSON.parse(session.body.toString())
  const renewals: number[] = []
  await killed('the timekeeper killed under load', rest, async () => {
    await victim.stop('SIGKILL')
    const fromMs = performance.now()
    await Promise.any(rest.map(({ port }) => until(() => isRenewed(port, ID))))
    renewals.push(performance.now() - fromMs)
    await until(async () => ![holder, ''].includes(await leaderOf(rest[0]!)))
  })
  say(`a renewal of a session was acknowledged ${time(renewals[0]!)} after the kill`)
}

async function isRenewed(port: number, session: string): Promise<boolean> {
  return (await call(port, 'PUT', `/v1/session/renew/${session}`)).status === 200
}

/** Writes to all servers in turn, kills, writes on; then reads back what was acknowledged. */
async function killed(
  figure: string,
  servers: readonly NamedServer[],
  kill: () => Promise<void>,
): Promise<void> {
  const acknowledged = new Map<string, string>()
  const times: number[] = []
  let isOver = false
  let failed = 0
  const write = async (writer: number): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const { port } = servers[(writer + n) % servers.length]!
      const [key, value] = [`${figure.slice(0, 3)}-${writer}`, `${n}`]
      const answer = await call(port, 'PUT', `/v1/kv/${key}`, value).catch(() => undefined)
      if (answer?.status === 200) {
        acknowledged.set(key, value)
        times.push(performance.now())
      } else {
        failed++
        // What was not acknowledged may have been written.
        acknowledged.delete(key)
      }
    }
  }
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer))
  await sleep(WARM_MS)
  const killedMs = performance.now()
  await kill()
  await sleep(PAUSE_MS + WARM_MS)
  isOver = true
  await Promise.all(writers)
  const after = times.filter(at => at >= killedMs - 100).sort((a, b) => a - b)
  const gaps = after.map((at, i) => at - (after[i - 1] ?? at))
  const pauseMs = Math.max(...gaps)
  let lost = 0
  for (const [key, value] of acknowledged) {
    const { body } = await must(servers[0]!.port, 'GET', `/v1/kv/${key}?raw&consistent`)
    if (body.toString() !== value) lost++
  }
  printRow({
    ...{ figure, ours: `longest pause ${time(pauseMs)}, ${lost} lost`, peer: '–' },
    ...{ limit: 'absolute', goal: `under ${PAUSE_MS / 1_000} s, none lost` },
    met: pauseMs < PAUSE_MS && lost === 0,
    note: `${times.length} writes acknowledged, ${failed} answered that they were not`,
  })
  say(`${figure}: longest pause ${time(pauseMs)}, ${lost} lost, ${failed} failed`)
  assert.equal(lost, 0, 'an acknowledged write is there')
}
