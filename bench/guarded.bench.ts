/**
 * What protection costs: the same requests of a plain server, and of one with TLS, ACLs that deny
 * by default, and the audit journal on.
 *
 * Both are our program; the plain one is the limit. The token of the requests holds a policy with
 * rules for what it does, not all rights. What TLS alone costs is shown by node:https beside
 * node:http, with the same bytes and nothing served.
 *
 * TLS costs the generator as much as the server. Where it has no core of its own, or none of its
 * core is left, rates are its figure as well, and the processor time of the server decides.
 */
import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { fillCatalog, instanceBody, serviceName } from './support/catalog.ts'
import { freePort, runProgram } from './support/child.ts'
import { bareOf, must } from './support/client.ts'
import { bothSettings, type Cores, hasOwnCore } from './support/cores.ts'
import { registrations, runDnsperf, writeQuestions } from './support/dns-load.ts'
import { inTurn, roundSeconds } from './support/rounds.ts'
import { printRow, rate, rateRow, say } from './support/row.ts'
import { makeFolder, type Server, startAgent, startBare } from './support/servers.ts'
import { connections, type Load, runWrk } from './support/wrk.ts'

const KEYS = 1_000
const PUTS = 250_000
const REGISTRATIONS = 150_000
const INSTANCES = 20
const PADDING = 'x'.repeat(48)
const GOAL = 0.6
const CERT = 'dc1-server-consul-0.pem'
const KEY = 'dc1-server-consul-0-key.pem'

const RULES = `
  key_prefix "bench/" { policy = "write" }
  service_prefix "" { policy = "write" }
  node_prefix "" { policy = "write" }
`

/** A server of ours, and how requests to it are sent. */
interface Side {
  readonly server: Server
  readonly dnsPort: number
  readonly load: Pick<Load, 'port' | 'isSecure' | 'headers'>
}

const questions = writeQuestions(makeFolder())
const release = JSON.stringify(instanceBody(0, 17, serviceName(0), '@release@'))

const loads: Readonly<Record<string, Omit<Load, 'port'>>> = {
  'KV GET': {
    requests: { count: KEYS, lua: 'return wrk.format("GET", "/v1/kv/bench/" .. i)', again: true },
  },
  'KV PUT': {
    requests: {
      count: PUTS,
      lua: `
  local value = string.format("%d-%d-%s", round, i, "${PADDING}")
  return wrk.format("PUT", "/v1/kv/bench/" .. (i % ${KEYS}), nil, value)`,
    },
  },
  [`health read of ${INSTANCES} instances`]: { path: `/v1/health/service/${serviceName(0)}` },
  register: {
    requests: {
      count: REGISTRATIONS,
      lua: `
  local words = { release = string.format("%d-%d", round, i) }
  local body = string.gsub([[${release}]], "@(%l+)@", words)
  return wrk.format("PUT", "/v1/catalog/register", nil, body)`,
    },
  },
}

async function compareOn(cores: Cores): Promise<void> {
  const plain = await startPlain(cores)
  const guarded = await startGuarded(cores)
  const limit = { what: 'plain', goal: GOAL }
  for (const [figure, load] of Object.entries(loads)) {
    const loadOf = (side: Side): Load => ({ ...side.load, ...load })
    await compareLoads(`guarded ${figure}, ${connections} connections (${cores.name})`, cores, {
      ours: { server: guarded.server, load: loadOf(guarded) },
      bare: { server: plain.server, load: loadOf(plain) },
      ...limit,
    })
  }
  const answers = (side: Side) => async () => {
    const options = { file: questions, seconds: roundSeconds }
    const { perSecond, codes } = await runDnsperf(cores, side.dnsPort, options)
    assert.ok((codes.NOERROR ?? 0) > (codes.NXDOMAIN ?? 0), 'names that exist are found')
    return perSecond
  }
  const rates = await inTurn({ ours: answers(guarded), bare: answers(plain) })
  const row = rateRow(`guarded DNS answers (${cores.name})`, rates, limit, { peer: '' })
  say(`${row.figure}: ${row.ours}, ${row.limit}`)
  printRow(row)
  for (const path of ['/v1/kv/bench/7', `/v1/health/service/${serviceName(0)}`]) {
    await compareTls(cores, bareOf(await must(plain.server.port, 'GET', path)))
  }
  await plain.server.stop()
  await guarded.server.stop()
}

/** node:https beside node:http: the share of ours that TLS leaves, whatever we do. */
async function compareTls(cores: Cores, answer: ReturnType<typeof bareOf>): Promise<void> {
  const folder = makeFolder()
  certify(folder)
  renameSync(join(folder, CERT), join(folder, 'cert.pem'))
  renameSync(join(folder, KEY), join(folder, 'key.pem'))
  const clear = await startBare(cores.server, 'node', answer)
  const secure = await startBare(cores.server, 'secure', { ...answer, folder })
  const sizeBytes = Buffer.from(answer.bodyBase64, 'base64').length
  await compareLoads(`node:https alone, ${sizeBytes} bytes (${cores.name})`, cores, {
    ours: { server: secure, load: { port: secure.port, isSecure: true } },
    bare: { server: clear, load: { port: clear.port } },
    what: 'node:http',
    goal: 0,
  })
  await clear.stop()
  await secure.stop()
}

/** A server and what is asked of it. */
interface Asked {
  readonly server: Server
  readonly load: Load
}

interface Compared {
  readonly ours: Asked
  readonly bare: Asked
  readonly what: string
  readonly goal: number
}

/** From here on the generator's core has nothing left that would show in a rate. */
const BUSY = 0.9

/** Compares rates, and what a request costs the server; says which of them decides. */
async function compareLoads(figure: string, cores: Cores, compared: Compared): Promise<void> {
  const ours = new Costs(cores, compared.ours)
  const bare = new Costs(cores, compared.bare)
  const rates = await inTurn({ ours: ours.measure, bare: bare.measure })
  const row = rateRow(figure, rates, compared, { peer: '' })
  const ofTime = bare.leastUs / ours.leastUs
  const isRatesOwn = hasOwnCore(cores) && Math.max(ours.generatorShare, bare.generatorShare) < BUSY
  const decides = isRatesOwn ? 'the rate' : 'the processor time'
  const busy = [ours, bare].map(({ generatorShare }) => `${Math.round(100 * generatorShare)} %`)
  const told = {
    ...row,
    ours: `${rate(rates.ours.max)}, ${ours.leastUs.toFixed(1)} µs`,
    limit: `${row.limit}, ${ofTime.toFixed(2)} of ${bare.leastUs.toFixed(1)} µs`,
    met: (isRatesOwn ? rates.ours.max / rates.bare.max : ofTime) >= compared.goal,
    note: `${row.note}; ${decides} decides, the generator is busy ${busy.join(' and ')}`,
  }
  say(`${told.figure}: ${told.ours}; ${told.limit}; ${told.note}`)
  printRow(told)
}

/** What one server's load costs both ends, of all rounds that count. */
class Costs {
  /** Processor time of the server for a request, all threads, in the round that took least. */
  leastUs = Number.POSITIVE_INFINITY
  /** Of a core, in the round where the generator took most. */
  generatorShare = 0
  readonly #cores: Cores
  readonly #asked: Asked

  constructor(cores: Cores, asked: Asked) {
    this.#cores = cores
    this.#asked = asked
  }

  readonly measure = async (round: number): Promise<number> => {
    const { server, load } = this.#asked
    const beforeMs = server.cpuMs()
    const given = await runWrk(this.#cores, load, { seconds: roundSeconds, round })
    const { perSecond, requests, generatorMs } = given
    if (round < 0) return perSecond
    this.leastUs = Math.min(this.leastUs, ((server.cpuMs() - beforeMs) * 1_000) / requests)
    const tookMs = (requests / perSecond) * 1_000
    this.generatorShare = Math.max(this.generatorShare, generatorMs / tookMs)
    return perSecond
  }
}

async function startPlain(cores: Cores): Promise<Side> {
  const dnsPort = await freePort()
  const server = await startAgent(cores.server, { more: ['-dns-port', `${dnsPort}`] })
  await fill(server.port)
  return { server, dnsPort, load: { port: server.port } }
}

async function startGuarded(cores: Cores): Promise<Side> {
  const folder = makeFolder()
  const httpsPort = await freePort()
  const dnsPort = await freePort()
  certify(folder)
  const server = await startAgent(cores.server, {
    more: ['-dns-port', `${dnsPort}`, ...guards(folder, httpsPort).flatMap(text => ['-hcl', text])],
  })
  const { port } = server
  const { SecretID: root } = JSON.parse(
    (await must(port, 'PUT', '/v1/acl/bootstrap')).body.toString(),
  )
  const asRoot = { 'X-Consul-Token': root }
  const put = async (path: string, body: unknown) =>
    JSON.parse((await must(port, 'PUT', path, body, asRoot)).body.toString() || 'null')
  // What fills the stores shows no token: the agent's stands for it meanwhile.
  await put('/v1/agent/token/default', { Token: root })
  await fill(port)
  await put('/v1/acl/policy', { Name: 'bench', Rules: RULES })
  const { SecretID: token } = await put('/v1/acl/token', { Policies: [{ Name: 'bench' }] })
  await put('/v1/agent/token/default', { Token: '' })
  await put('/v1/agent/token/dns', { Token: token })
  const load = { port: httpsPort, isSecure: true, headers: { 'X-Consul-Token': token } }
  return { server, dnsPort, load }
}

function guards(folder: string, httpsPort: number): readonly string[] {
  return [
    'acl { enabled = true default_policy = "deny" }',
    'audit { enabled = true }',
    `ports { https = ${httpsPort} }`,
    `tls { https {
     cert_file = "${join(folder, CERT)}"
     key_file  = "${join(folder, KEY)}"
   } }`,
  ]
}

/** A certificate as users make one. */
function certify(folder: string): void {
  runProgram(['tls', 'ca', 'create'], folder)
  runProgram(['tls', 'cert', 'create', '-server'], folder)
}

async function fill(port: number): Promise<void> {
  for (let key = 0; key < KEYS; key++) {
    await must(port, 'PUT', `/v1/kv/bench/${key}`, `${key}-${PADDING}`)
  }
  await fillCatalog(port, { instances: INSTANCES, nodes: INSTANCES, perService: INSTANCES })
  for (const body of registrations()) await must(port, 'PUT', '/v1/catalog/register', body)
}

for (const cores of bothSettings) await compareOn(cores)
