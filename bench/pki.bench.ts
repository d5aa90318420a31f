/**
 * The certificate authority: issuing P-256 leaves that are stored and that are not, and what others
 * notice meanwhile. What a great many stored ones cost is measured in certificates.bench.ts.
 *
 * Beside ours stands what a request costs at least: a bare route (for stored ones one that awaits a
 * synced batch) and node:crypto's arithmetic after it. And OpenBao, of its binary where BAO_BIN
 * names one and else as it was recorded.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { recordedBao } from './peers.ts'
import { bareOf, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { p99During } from './support/others.ts'
import { bothOf, primitiveRate, startPrimitives } from './support/primitives.ts'
import type { Probe } from './support/prober.ts'
import { inTurn, roundSeconds, type Series, sleep } from './support/rounds.ts'
import { printRow, rate, rateRow, say, time } from './support/row.ts'
import { type Opened, postTo, startOurs, startPeerOf, tokenFor, until } from './support/secrets.ts'
import { startBare } from './support/servers.ts'
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

for (const cores of bothSettings) {
  pinSelf(cores)
  await compareRates(cores)
}
