/**
 * The secrets: writing and reading them, tokens and logins, with 32 connections; what the audit
 * journal costs, what a stalled device costs, and what the other half of the server notices.
 *
 * Every write is durable when it is answered. Beside ours stand bare fastify with the same bytes
 * (reads), a bare route that awaits a synced batch (writes), and OpenBao's figures, of its binary
 * where BAO_BIN names one and else as they were recorded.
 */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { recordedBao } from './peers.ts'
import { freePort } from './support/child.ts'
import { bareOf, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { p99During } from './support/others.ts'
import type { Probe } from './support/prober.ts'
import { inTurn, isQuick, roundSeconds, type Series, sleep } from './support/rounds.ts'
import { megabytes, printRow, rate, rateRow, say, time } from './support/row.ts'
import {
  json,
  type Opened as OpenServer,
  type Ours,
  open,
  postTo,
  startOurs,
  startPeerOf,
  tokenFor,
  until,
} from './support/secrets.ts'
import { makeFolder, startAgent, startBare } from './support/servers.ts'
import { connections, type Load, perSecond, runWrk } from './support/wrk.ts'

const SECRETS = 1_000
const WRITES = 200_000
const PADDING = 'x'.repeat(48)
const IDLE_GOAL_BYTES = 130e6
const SETTLE_MS = isQuick ? 5_000 : 60_000

/** A server whose secrets are open, and what is sent to it. */
interface Opened {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly roleId: string
  readonly secretId: string
  /** From the start of the process to the first secret that was written. */
  readonly firstWriteMs: number
}

/** Writes what the loads need. */
async function fill(on: OpenServer, startedMs: number): Promise<Opened> {
  const { port, asRoot } = on
  const post = postTo(on)
  await post('sys/mounts/bench', { type: 'kv', options: { version: '2' } })
  await until(() => post('bench/data/0', { data: { value: PADDING } }))
  const firstWriteMs = performance.now() - startedMs
  const headers = await tokenFor(on, ['bench/*', 'auth/token/*'])
  await post('sys/auth/approle', { type: 'approle' })
  await post('auth/approle/role/bench', { token_policies: 'bench', token_ttl: '1h' })
  const path = '/v1/auth/approle/role/bench/role-id'
  const { data: role } = await json(port, 'GET', path, undefined, asRoot)
  const { data: secret } = await post('auth/approle/role/bench/secret-id')
  for (let at = 0; at < SECRETS; at++) {
    await post(`bench/data/${at}`, { data: { value: `${at}-${PADDING}` } })
  }
  return { port, firstWriteMs, headers, roleId: role.role_id, secretId: secret.secret_id }
}

const startOpen = (cores: string, more: readonly string[] = []): Promise<Ours<Opened>> =>
  startOurs(cores, fill, more)

interface Figure {
  readonly name: string
  readonly load: (on: Opened) => Load
  /** A bare server of this kind is the limit. */
  readonly bare: 'get' | 'put'
  /** The share of it that is to be met; 0 for none. */
  readonly share: number
  readonly peer: { readonly perSecond: number; readonly times: number }
}

const write = (on: Opened, lua: string): Load => ({
  ...{ port: on.port, headers: on.headers },
  requests: { count: WRITES, lua },
})

const figures: readonly Figure[] = [
  {
    name: 'kv2 write',
    load: on =>
      write(
        on,
        `
  local value = string.format("%d-%d-%s", round, i, "${PADDING}")
  local body = '{"data":{"value":"' .. value .. '"}}'
  return wrk.format("PUT", "/v1/bench/data/" .. (i % ${SECRETS}), nil, body)`,
      ),
    bare: 'put',
    share: 0,
    peer: { perSecond: recordedBao.kvWrite, times: 6 },
  },
  {
    name: 'kv2 read',
    load: on => ({
      ...{ port: on.port, headers: on.headers },
      requests: {
        count: SECRETS,
        lua: 'return wrk.format("GET", "/v1/bench/data/" .. i)',
        again: true,
      },
    }),
    bare: 'get',
    share: 0.6,
    peer: { perSecond: recordedBao.kvRead, times: 3 },
  },
  {
    name: 'token create',
    load: on => write(on, `return wrk.format("PUT", "/v1/auth/token/create", nil, '{"ttl":"1h"}')`),
    bare: 'put',
    share: 0,
    peer: { perSecond: recordedBao.tokenCreate, times: 6 },
  },
  {
    name: 'approle login',
    load: on =>
      write(
        on,
        `
  local body = '{"role_id":"${on.roleId}","secret_id":"${on.secretId}"}'
  return wrk.format("PUT", "/v1/auth/approle/login", nil, body)`,
      ),
    bare: 'put',
    share: 0,
    peer: { perSecond: recordedBao.approleLogin, times: 6 },
  },
]

async function compareRates(cores: Cores): Promise<void> {
  const ours = await startOpen(cores.server)
  const bao = await startPeerOf(cores.server, fill)
  printFirst(ours, cores)
  const read = await must(ours.port, 'GET', '/v1/bench/data/7', undefined, ours.headers)
  const answer = bareOf(read)
  for (const { name, load, bare: kind, share, peer } of figures) {
    const bare = await startBare(cores.server, kind, answer)
    const bareLoad = { ...load(ours), port: bare.port }
    const rates = await inTurn({
      ours: perSecond(cores, load(ours)),
      bare: perSecond(cores, bareLoad),
    })
    const theirs = bao && (await inTurn({ bao: perSecond(cores, load(bao)) })).bao.max
    await bare.stop()
    printRates(`${name}, ${connections} connections (${cores.name})`, rates, {
      kind,
      share,
      peer,
      theirs,
    })
  }
  await ours.server.stop()
  await bao?.server.stop()
}

function printRates(
  figure: string,
  rates: { readonly ours: Series; readonly bare: Series },
  given: Pick<Figure, 'share' | 'peer'> & { kind: string; theirs: number | undefined },
): void {
  const { kind, share, peer, theirs } = given
  const what = kind === 'get' ? 'bare fastify, same bytes' : 'bare route awaiting a synced batch'
  const base = theirs ?? peer.perSecond
  const times = rates.ours.max / base
  const from = theirs === undefined ? 'recorded, OpenBao 2.5 on both cores' : 'OpenBao, this run'
  const told = `${times.toFixed(1)} times ${rate(base)} (${from}); goal ${peer.times}`
  const row = rateRow(figure, rates, { what, goal: share }, { peer: told })
  const met = row.met && times >= peer.times
  printRow({ ...row, goal: share === 0 ? `${peer.times} times OpenBao` : row.goal, met })
  say(`${figure}: ${row.ours}, ${row.limit}; ${told}`)
}

function printFirst({ firstWriteMs }: Opened, cores: Cores): void {
  printRow({
    figure: `from the start to the first secret (${cores.name})`,
    ours: time(firstWriteMs),
    limit: 'absolute',
    goal: `under ${time(recordedBao.firstWriteMs)}`,
    met: firstWriteMs < recordedBao.firstWriteMs,
    peer: `${time(recordedBao.firstWriteMs)} (recorded, OpenBao 2.5)`,
    note: '',
  })
}

// --- audit

const AUDIT_GOAL = 0.7

async function compareAudit(cores: Cores): Promise<void> {
  const folder = makeFolder()
  const sink = `sink "file" { type = "file" path = ${JSON.stringify(join(folder, 'audit.log'))} }`
  const on = await startOpen(cores.server, ['-hcl', `audit { enabled = true ${sink} }`])
  const off = await startOpen(cores.server)
  for (const { name, load } of figures) {
    const rates = await inTurn({
      ours: perSecond(cores, load(on)),
      bare: perSecond(cores, load(off)),
    })
    const figure = `${name}, audit and a file device on (${cores.name})`
    const row = rateRow(figure, rates, { what: 'audit off', goal: AUDIT_GOAL }, { peer: '' })
    printRow(row)
    say(`${figure}: ${row.limit}`)
  }
  await on.server.stop()
  await off.server.stop()
}

// --- what others notice

const P99_TIMES = 2

/** One device takes nothing any more, another one does: writers must not notice. */
async function compareStalled(cores: Cores): Promise<void> {
  const held = createServer(socket => socket.pause())
  await new Promise<void>(resolve => held.listen(0, '127.0.0.1', resolve))
  const { port } = held.address() as { port: number }
  const file = (name: string) =>
    `sink "file" { type = "file" path = ${JSON.stringify(join(makeFolder(), name))} }`
  const stalled = `sink "stalled" { type = "socket" address = "127.0.0.1:${port}" }`
  const one = await startOpen(cores.server, ['-hcl', `audit { enabled = true ${file('a.log')} }`])
  const two = await startOpen(cores.server, [
    ...['-hcl', 'check_targets { allow = ["127.0.0.0/8"] }'],
    ...['-hcl', `audit { enabled = true ${file('b.log')} ${stalled} }`],
  ])
  const probeOf = (on: Opened): Probe => ({
    ...{ port: on.port, method: 'GET', path: '/v1/bench/data/7', headers: on.headers },
    ...{ connections: 4, pauseMs: 1 },
  })
  const p99 = await inTurn({
    ours: () => p99During(cores, probeOf(two), () => sleep(2_000)),
    bare: () => p99During(cores, probeOf(one), () => sleep(2_000)),
  })
  printP99(`p99 of reads with one audit device stalled (${cores.name})`, p99, 'both healthy')
  await one.server.stop()
  await two.server.stop()
  held.close()
}

function printP99(
  figure: string,
  { ours, bare }: { readonly ours: Series; readonly bare: Series },
  what: string,
): void {
  const ratio = ours.min / bare.min
  printRow({
    figure,
    ours: time(ours.min),
    limit: `${ratio.toFixed(2)} times ${time(bare.min)} (${what})`,
    goal: `at most ${P99_TIMES}`,
    met: ratio <= P99_TIMES,
    peer: '',
    note: `medians ${time(ours.median)}, ${time(bare.median)}`,
  })
  say(`${figure}: ${time(ours.min)}, ${ratio.toFixed(2)} times ${what}`)
}

/** The registry's half while the secrets have all that they can take. */
async function compareHalves(cores: Cores): Promise<void> {
  const dns = await freePort()
  const on = await startOpen(cores.server, ['-hcl', `ports { dns = ${dns} }`])
  await must(on.server.port, 'PUT', '/v1/catalog/register', JSON.stringify(REGISTRATION))
  const each = { connections: 1, pauseMs: 1 }
  const path = '/v1/health/service/web'
  const probes: Readonly<Record<string, Probe>> = {
    'health reads': { ...each, port: on.server.port, method: 'GET', path },
    'DNS answers': { ...each, port: dns, method: 'DNS', path: 'web.service.consul' },
  }
  const load = figures[0]!.load(on)
  for (const [name, probe] of Object.entries(probes)) {
    const p99 = await inTurn({
      ours: round =>
        p99During(cores, probe, () => runWrk(cores, load, { seconds: roundSeconds, round })),
      bare: () => p99During(cores, probe, () => sleep(roundSeconds * 1_000)),
    })
    printP99(`p99 of ${name} while secrets are written (${cores.name})`, p99, 'idle')
  }
  await on.server.stop()
}

const REGISTRATION = {
  Node: 'n1',
  Address: '10.0.0.1',
  Service: { Service: 'web', Port: 80 },
}

// --- memory

async function measureIdle(): Promise<void> {
  const port = await freePort()
  const words = ['-hcl', `ports { secrets = ${port} }`]
  const server = await startAgent(bothSettings[0]!.server, { isProbed: false, more: words })
  await fill(await open(port, 0), 0)
  await server.stop()
  const again = await startAgent(bothSettings[0]!.server, { isProbed: false, more: words })
  await sleep(SETTLE_MS)
  const sizeBytes = again.rssSizeBytes() ?? Number.POSITIVE_INFINITY
  await again.stop()
  printRow({
    figure: 'memory, both halves idle',
    ours: megabytes(sizeBytes),
    limit: 'absolute',
    goal: `under ${megabytes(IDLE_GOAL_BYTES)}`,
    met: sizeBytes < IDLE_GOAL_BYTES,
    peer: '',
    note: `settled ${SETTLE_MS / 1_000} s`,
  })
}

for (const cores of bothSettings) {
  pinSelf(cores)
  await compareRates(cores)
  await compareAudit(cores)
  await compareStalled(cores)
  await compareHalves(cores)
}
await measureIdle()
