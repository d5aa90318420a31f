/**
 * The certificate authority: issuing P-256 leaves that are stored and that are not, what others
 * notice meanwhile, and what a great many stored ones cost.
 *
 * Beside ours stands what a request costs at least: a bare route (for stored ones one that awaits a
 * synced batch) and node:crypto's arithmetic after it. And OpenBao, of its binary where BAO_BIN
 * names one and else as it was recorded.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { recordedBao } from './peers.ts'
import type { LoopFigures } from './support/child.ts'
import { bareOf, call, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { p99During } from './support/others.ts'
import { bothOf, primitiveRate, startPrimitives } from './support/primitives.ts'
import type { Probe } from './support/prober.ts'
import { inTurn, isQuick, roundSeconds, type Series, sleep } from './support/rounds.ts'
import { megabytes, printRow, rate, rateRow, say, time } from './support/row.ts'
import {
  json,
  type Opened,
  postTo,
  startOurs,
  startPeerOf,
  tokenFor,
  until,
} from './support/secrets.ts'
import { makeFolder, startAgent, startBare } from './support/servers.ts'
import { connections, type Load, perSecond, runWrk } from './support/wrk.ts'

const STORED_TIMES = 3
const UNSTORED_TIMES = 2
const STORED_COST = 1.5
const P99_GOAL_MS = 20

/** A server with a root and two roles, and what is sent to it. */
interface Ready extends Opened {
  readonly headers: Readonly<Record<string, string>>
}

async function fill(on: Opened): Promise<Ready> {
  const post = postTo(on)
  await post('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '87600h' } })
  const root = { common_name: 'Bench Root', key_type: 'ec', key_bits: 256, ttl: '87600h' }
  await until(() => post('pki/root/generate/internal', root))
  const role = { allow_any_name: true, key_type: 'ec', key_bits: 256, ttl: '720h' }
  await post('pki/roles/stored', role)
  await post('pki/roles/unstored', { ...role, no_store: true })
  await post('sys/mounts/kv', { type: 'kv', options: { version: '1' } })
  await until(() => post('kv/one', { value: 'one' }))
  return { ...on, headers: await tokenFor(on, ['pki/*', 'kv/*']) }
}

const BODY = '{"common_name":"www.example.com"}'
type Role = 'stored' | 'unstored'

const loadOf = ({ port, headers }: Ready, role: Role): Load => ({
  ...{ port, headers },
  requests: {
    count: 1,
    lua: `return wrk.format("PUT", "/v1/pki/issue/${role}", nil, '${BODY}')`,
    again: true,
  },
})

async function sampleOf({ port, headers }: Ready, role: Role) {
  const answer = await must(port, 'PUT', `/v1/pki/issue/${role}`, BODY, headers)
  const { data } = JSON.parse(answer.body.toString())
  const leaf = new X509Certificate(data.certificate)
  assert.ok(leaf.verify(new X509Certificate(data.issuing_ca).publicKey))
  assert.equal(leaf.subjectAltName, 'DNS:www.example.com')
  return answer
}

async function compareRates(cores: Cores): Promise<void> {
  const ours = await startOurs(cores.server, fill)
  const bao = await startPeerOf(cores.server, fill)
  const primitives = await startPrimitives(cores.server)
  const sample = bareOf(await sampleOf(ours, 'stored'))
  await sampleOf(ours, 'unstored')
  const put = await startBare(cores.server, 'put', sample)
  const post = await startBare(cores.server, 'post', sample)
  const peer =
    (role: Role) =>
    async (round: number): Promise<number> =>
      bao === undefined ? 0 : perSecond(cores, loadOf(bao, role))(round)
  const rates = await inTurn({
    stored: perSecond(cores, loadOf(ours, 'stored')),
    unstored: perSecond(cores, loadOf(ours, 'unstored')),
    put: perSecond(cores, { ...loadOf(ours, 'stored'), port: put.port }),
    post: perSecond(cores, { ...loadOf(ours, 'unstored'), port: post.port }),
    arithmetic: primitiveRate(primitives, 'issue'),
    baoStored: peer('stored'),
    baoUnstored: peer('unstored'),
  })
  const { stored, unstored, arithmetic } = rates
  printIssue('stored', cores, {
    ours: stored,
    limit: bothOf(rates.put, arithmetic),
    what: 'bare route awaiting a synced batch, then the arithmetic',
    theirs: rates.baoStored.max || undefined,
    base: recordedBao.issueStored,
    times: STORED_TIMES,
  })
  printIssue('not stored', cores, {
    ours: unstored,
    limit: bothOf(rates.post, arithmetic),
    what: 'bare fastify, same body, then the arithmetic',
    theirs: rates.baoUnstored.max || undefined,
    base: recordedBao.issueUnstored,
    times: UNSTORED_TIMES,
  })
  printCost(stored, unstored, cores)
  for (const server of [put, post, primitives]) await server.stop()
  await bao?.server.stop()
  await printOthers(ours, cores)
  await ours.server.stop()
}

interface Issue {
  readonly ours: Series
  readonly limit: Series
  readonly what: string
  readonly theirs: number | undefined
  readonly base: number
  readonly times: number
}

function printIssue(name: string, cores: Cores, given: Issue): void {
  const { ours, limit, what, theirs, times } = given
  const base = theirs ?? given.base
  const reached = ours.max / base
  const from = theirs === undefined ? 'recorded, OpenBao 2.5 on both cores' : 'OpenBao, this run'
  const peer = `${reached.toFixed(1)} times ${rate(base)} (${from}); goal ${times}`
  const figure = `issue P-256, ${name}, ${connections} connections (${cores.name})`
  const row = rateRow(figure, { ours, bare: limit }, { what, goal: 0 }, { peer })
  printRow({ ...row, goal: `${times} times OpenBao`, met: reached >= times })
  say(`${figure}: ${row.ours}, ${row.limit}; ${peer}`)
}

function printCost(stored: Series, unstored: Series, cores: Cores): void {
  const ratio = unstored.max / stored.max
  const figure = `a stored certificate beside one that is not (${cores.name})`
  printRow({
    figure,
    ours: `${ratio.toFixed(2)} times the time`,
    limit: `${rate(stored.max)} and ${rate(unstored.max)}`,
    goal: `at most ${STORED_COST} times`,
    met: ratio <= STORED_COST,
    peer: '',
    note: '',
  })
  say(`${figure}: ${ratio.toFixed(2)}`)
}

/** Somebody who reads a secret on the same server while certificates are issued. */
async function printOthers(on: Ready, cores: Cores): Promise<void> {
  const path = '/v1/kv/one'
  const probe: Probe = {
    ...{ port: on.port, method: 'GET', path, headers: on.headers, connections: 1, pauseMs: 1 },
  }
  for (const role of ['stored', 'unstored'] as const) {
    const p99 = await inTurn({
      busy: round =>
        p99During(cores, probe, () =>
          runWrk(cores, loadOf(on, role), { seconds: roundSeconds, round }),
        ),
      idle: () => p99During(cores, probe, () => sleep(roundSeconds * 1_000)),
    })
    const figure = `p99 of KV reads while certificates are issued, ${role} (${cores.name})`
    printRow({
      figure,
      ours: time(p99.busy.min),
      limit: `${time(p99.idle.min)} (idle)`,
      goal: `under ${time(P99_GOAL_MS)}`,
      met: p99.busy.min < P99_GOAL_MS,
      peer: '',
      note: `medians ${time(p99.busy.median)}, ${time(p99.idle.median)}`,
    })
    say(`${figure}: ${time(p99.busy.min)}`)
  }
}

// --- a great many

const CERTIFICATES = isQuick ? 20_000 : 1_000_000
const REVOKED = isQuick ? 5_000 : 100_000
const START_GOAL_MS = 10_000
const MEMORY_GOAL_BYTES = 500e6
const SLICE_GOAL_MS = 20
const SETTLE_MS = isQuick ? 2_000 : 20_000
const CALLERS = 32

async function measureMany(cores: Cores): Promise<void> {
  const folder = makeFolder()
  const words = (port: number) => ['-hcl', `ports { secrets = ${port} }`]
  const on = await startOurs(cores.server, fill, [], folder)
  const post = postTo(on)
  await post('pki/config/crl', { auto_rebuild: true, expiry: '72h' })
  const serials = await issueMany(on)
  await revokeMany(on, serials)
  await printRebuild(on, cores)
  await on.server.stop()

  const startedMs = performance.now()
  const again = await startAgent(cores.server, { folder, more: words(on.port), isProbed: false })
  await json(on.port, 'PUT', '/v1/sys/unseal', { key: on.unsealKey })
  const path = `/v1/pki/cert/${serials[0]}`
  const { data } = await until(() => json(on.port, 'GET', path))
  const tookMs = performance.now() - startedMs
  assert.match(data.certificate, /BEGIN CERTIFICATE/)
  await sleep(SETTLE_MS)
  const sizeBytes = again.rssSizeBytes() ?? Number.POSITIVE_INFINITY
  await again.stop()
  printMany(cores, { tookMs, sizeBytes })
}

/** Stores so many, and gives the serial numbers of those that are to be revoked. */
async function issueMany({ port, headers }: Ready): Promise<string[]> {
  const serials: string[] = []
  await inParallel(CERTIFICATES, async at => {
    const { body } = await must(port, 'PUT', '/v1/pki/issue/stored', BODY, headers)
    if (at >= REVOKED) return
    const serial = /"serial_number":"([0-9a-f:]+)"/.exec(body.toString())?.[1]
    serials.push(serial ?? assert.fail('no serial number'))
  })
  return serials
}

const revokeMany = ({ port, headers }: Ready, serials: readonly string[]): Promise<void> =>
  inParallel(serials.length, async at => {
    const body = JSON.stringify({ serial_number: serials[at] })
    await must(port, 'PUT', '/v1/pki/revoke', body, headers)
  })

async function inParallel(count: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}

async function printRebuild(on: Ready & { server: { ask: Ask } }, cores: Cores): Promise<void> {
  await on.server.ask('reset')
  const fromMs = performance.now()
  await must(on.port, 'GET', '/v1/pki/crl/rotate', '', on.headers)
  const crl = await call(on.port, 'GET', '/v1/pki/crl')
  const tookMs = performance.now() - fromMs
  const loop = await on.server.ask<LoopFigures>('loop')
  assert.ok(crl.body.length > REVOKED * 20, `the list holds ${crl.body.length} bytes`)
  const figure = `a CRL of ${REVOKED.toLocaleString('en')} entries rebuilt and read (${cores.name})`
  printRow({
    figure,
    ours: `${time(tookMs)}, loop held ${time(loop.delayMaxMs)} at most`,
    limit: `${megabytes(crl.body.length)} of list`,
    goal: `loop held under ${time(SLICE_GOAL_MS)}`,
    met: loop.delayMaxMs < SLICE_GOAL_MS,
    peer: '',
    note: `longest slice ${time(loop.longestSliceMs)}, loop p99 ${time(loop.delayP99Ms)}`,
  })
  say(`${figure}: ${time(tookMs)}, loop held ${time(loop.delayMaxMs)}`)
}

type Ask = <T>(question: string) => Promise<T>

function printMany(cores: Cores, { tookMs, sizeBytes }: { tookMs: number; sizeBytes: number }) {
  const many = `${CERTIFICATES.toLocaleString('en')} stored certificates`
  const absolute = { limit: 'absolute', peer: '', note: '' }
  printRow({
    ...absolute,
    figure: `start to the first one read, ${many} (${cores.name})`,
    ours: time(tookMs),
    goal: `under ${time(START_GOAL_MS)}`,
    met: tookMs < START_GOAL_MS,
  })
  printRow({
    ...absolute,
    figure: `memory after that start, ${many} (${cores.name})`,
    ours: megabytes(sizeBytes),
    goal: `under ${megabytes(MEMORY_GOAL_BYTES)}`,
    met: sizeBytes < MEMORY_GOAL_BYTES,
  })
  say(`${many}: start ${time(tookMs)}, ${megabytes(sizeBytes)}`)
}

for (const cores of bothSettings) {
  pinSelf(cores)
  await compareRates(cores)
}
await measureMany(bothSettings[1]!)
