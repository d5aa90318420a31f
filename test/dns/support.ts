/**
 * What the tests of DNS share: a registry to fill, a face on it, a client that asks and reads.
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { monotonicMs } from '../../src/base/brand.ts'
import { type Clock, systemClock, systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import type { DnsConfig } from '../../src/dns/config.ts'
import { LATER, Responder, type Via } from '../../src/dns/responder.ts'
import { type DnsRights, openRights } from '../../src/dns/rights.ts'
import { createDnsFace, type DnsFace } from '../../src/dns/server.ts'
import type { Transport } from '../../src/dns/writer.ts'
import { deregister, type Registration, register } from '../../src/registry/catalog.ts'
import { Asker } from '../../src/store/ask.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import type { CheckRow, CheckStatus } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import type { ServiceRow } from '../../src/store/tables/service.ts'
import type { Message } from '../../src/wire/dns/mod.ts'
import { FakeClock } from '../fake/clock.ts'
import { encoded, parsed, queryFor } from '../wire/dns/arbitraries.ts'

export const testConfig: DnsConfig = {
  datacenter: 'dc1',
  nodeName: 'here',
  domain: 'consul',
  altDomain: undefined,
  dns: {
    nodeTtlMs: 0,
    serviceTtlMs: {},
    onlyPassing: false,
    udpAnswerLimit: 3,
    enableTruncate: false,
    aRecordLimit: 0,
    soa: { refreshSeconds: 3600, retrySeconds: 600, expireSeconds: 86_400, minTtlSeconds: 0 },
    allowStale: true,
    maxStaleMs: 87_600 * 3_600_000,
    nodeMetaTxt: true,
    disableCompression: false,
    recursors: [],
    recursorStrategy: 'sequential',
    recursorTimeoutMs: 2_000,
    listeners: {},
    cookies: false,
    responseRate: 0,
  },
}

/** The configuration with some of its DNS settings changed. */
export const configWith = (
  dns: Partial<DnsConfig['dns']>,
  rest: Partial<Omit<DnsConfig, 'dns'>> = {},
): DnsConfig => ({ ...testConfig, ...rest, dns: { ...testConfig.dns, ...dns } })

/** One service instance on a node, in few words. */
export interface Entry {
  readonly node: string
  readonly address?: string
  readonly meta?: Readonly<Record<string, string>>
  readonly service?: Partial<ServiceRow> & { readonly name: string }
  /** The state of the instance's check, or of the node's when there is no service. */
  readonly status?: CheckStatus
}

export interface TestRegistry {
  readonly store: Store
  readonly asker: Asker
  put(...entries: Entry[]): Promise<void>
  remove(node: string, serviceId?: string): Promise<void>
}

/** An empty registry in memory. */
export function openRegistry(clock: Clock = systemClock): TestRegistry {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  return {
    store,
    asker: new Asker(store, new Timeouts(clock)),
    async put(...entries) {
      const written = entries.map(entry =>
        store.write(view => register(view, everybody, registrationOf(entry))),
      )
      for (const result of await Promise.all(written)) {
        if (isRefusal(result)) throw new Error(result.text)
      }
    },
    async remove(node, serviceId = '') {
      const request = { node, serviceId, checkId: '' }
      await store.write(view => deregister(view, everybody, request))
    },
  }
}

function registrationOf(entry: Entry): Registration {
  const { node, address = '10.0.0.1', meta = {}, service, status } = entry
  const row = service && serviceOf(node, service)
  return {
    node: { node, id: '', address, taggedAddresses: {}, meta },
    skipNodeUpdate: entry.address === undefined && entry.meta === undefined,
    service: row,
    checks: status === undefined ? [] : [checkOf(node, row, status)],
  }
}

function serviceOf(node: string, given: Partial<ServiceRow> & { name: string }): ServiceRow {
  return {
    node,
    id: given.name,
    kind: '',
    tags: [],
    address: '',
    taggedAddresses: {},
    meta: {},
    port: 0,
    ports: [],
    socketPath: '',
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    connectNative: false,
    agentOwned: false,
    ...given,
  }
}

function checkOf(node: string, service: ServiceRow | undefined, status: CheckStatus): CheckRow {
  return {
    node,
    checkId: `check:${service?.id ?? 'node'}`,
    name: 'a check',
    status,
    notes: '',
    output: '',
    serviceId: service?.id ?? '',
    serviceName: service?.name ?? '',
    serviceTags: service?.tags ?? [],
    type: '',
    interval: '',
    timeout: '',
    definition: {},
    agentOwned: false,
  }
}

/** What a face or responder runs with. */
export function optionsFor(
  { asker }: Pick<TestRegistry, 'asker'>,
  config: DnsConfig = testConfig,
  clock: Clock = systemClock,
  rights: DnsRights = openRights,
) {
  const metrics = new Metrics(clock)
  return { asker, clock, random: systemRandom, log: silentLog, metrics, config, rights }
}

/** Where queries of tests come from. */
const TESTER = '127.0.0.1'
const vias = new WeakMap<Responder, Record<Transport, Via>>()

/** The listener of a transport on the loopback. */
function viaOf(responder: Responder, transport: Transport): Via {
  const known = vias.get(responder) ?? {
    udp: responder.via('udp', TESTER),
    tcp: responder.via('tcp', TESTER),
  }
  vias.set(responder, known)
  return known[transport]
}

/** What a responder writes into `out` for a query by a transport. */
export const answerTo = (
  responder: Responder,
  query: Buffer,
  out: Buffer,
  transport: Transport,
  address = TESTER,
): number => responder.answer(query, out, viaOf(responder, transport), address)

/** The same for a query that takes longer. */
export const answerLater = (
  responder: Responder,
  query: Buffer,
  transport: Transport,
): Promise<Buffer | undefined> => responder.answerLater(query, viaOf(responder, transport), TESTER)

export interface TestFace extends DnsFace {
  readonly port: number
}

/** A face on the loopback, on a free port. */
export async function startFace(
  registry: Pick<TestRegistry, 'asker'>,
  config: DnsConfig = testConfig,
  hasThread = false,
): Promise<TestFace> {
  const face = createDnsFace({ ...optionsFor(registry, config), hasThread })
  const { port } = await face.listen('127.0.0.1', 0)
  return Object.assign(face, { port })
}

/** What a test does to a store that others write to as well. */
export interface SharedWorld {
  /** How often it was asked for a linearizable view. */
  confirmed: number
  confirm(): Promise<void>
}

/** The registry as one of several servers sees it. */
export function shared({ asker }: TestRegistry): {
  readonly world: SharedWorld
  readonly registry: Pick<TestRegistry, 'asker'>
} {
  const world: SharedWorld = { confirmed: 0, confirm: async () => {} }
  const sharedAsker: Pick<Asker, 'age' | 'isAlone' | 'scopes' | 'view' | 'confirm'> = {
    isAlone: false,
    age: { ageMs: () => Number.POSITIVE_INFINITY, isDegraded: false },
    scopes: asker.scopes,
    view: () => asker.view(),
    confirm() {
      world.confirmed++
      return world.confirm()
    },
  }
  return { world, registry: { asker: sharedAsker as Asker } }
}

/** How a question is asked. */
export interface Asking {
  readonly transport?: 'udp' | 'tcp'
  /** The size that EDNS advertises; without it there is no EDNS. */
  readonly sizeBytes?: number
}

/** Asks a responder without a socket; `question` is a name and a type. */
export function askDirectly(
  responder: Responder,
  question: string,
  { transport = 'udp', sizeBytes }: Asking = {},
): Message {
  const out = Buffer.alloc(65_535)
  const size = answerTo(responder, queryOf(question, sizeBytes), out, transport)
  return parsed(out.subarray(0, size))
}

/** The same where the answer may take longer. */
export async function ask(
  responder: Responder,
  question: string,
  { transport = 'udp', sizeBytes }: Asking = {},
): Promise<Message> {
  const out = Buffer.alloc(65_535)
  const query = queryOf(question, sizeBytes)
  const size = answerTo(responder, query, out, transport)
  if (size !== LATER) return parsed(out.subarray(0, size))
  const answer = await answerLater(responder, query, transport)
  if (answer === undefined) throw new Error('there was no answer')
  return parsed(answer)
}

/** A query for `web.service.consul A`, with EDNS when a size is given. */
export function queryOf(question: string, sizeBytes?: number): Buffer {
  const [name = '', type = ''] = question.split(' ')
  const edns = { udpSizeBytes: sizeBytes ?? 0, version: 0, dnssecOk: false, options: [] }
  return encoded(
    queryFor(name, type === 'ANY' ? 'TYPE255' : type, sizeBytes === undefined ? {} : { edns }),
  )
}

/**
 * A new responder on a registry. Unless a test brings another, time stands still: then no answer
 * takes longer than a slice, on however busy a machine.
 */
export const respond = (
  registry: Pick<TestRegistry, 'asker'>,
  config?: DnsConfig,
  clock: Clock = new FakeClock(),
): Responder => new Responder(optionsFor(registry, config, clock))

/** A clock on which every look takes longer than a slice may. */
export function ticking(): Clock {
  let nowMs = 0
  const monotonic = () => {
    nowMs += 10
    return monotonicMs(nowMs)
  }
  return { ...systemClock, monotonic }
}

/** The answers of a message in the words of the forms' examples. */
export function textOf(message: Message): string[] {
  if (message.rcode !== 0) return [RCODES[message.rcode] ?? `rcode ${message.rcode}`]
  if (message.answers.length === 0) return ['NODATA']
  return message.answers.map(({ type, data }) => {
    if (type === 'SRV') return `SRV ${Object.values(data).join(' ')}`
    if (Array.isArray(data)) return `${type} ${data.map(text => `"${text}"`).join(' ')}`
    return `${type} ${typeof data === 'object' ? JSON.stringify(data) : data}`
  })
}

const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
  16: 'BADVERS',
}

/** Asks over UDP and resolves with the raw answer. */
export async function askUdp(port: number, query: Buffer): Promise<Buffer> {
  const socket = dgram.createSocket('udp4')
  socket.send(query, port, '127.0.0.1')
  const [answer] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return answer
}

/** Sends bytes over TCP and resolves with everything that came back until the end. */
export async function askTcp(port: number, bytes: Buffer): Promise<Message[]> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.end(bytes)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return messagesOf(Buffer.concat(chunks))
}

/** A message with its length in front. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** The messages of a TCP stream. */
export function messagesOf(bytes: Buffer): Message[] {
  const messages: Message[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at)
    messages.push(parsed(bytes.subarray(at + 2, end)))
    at = end
  }
  return messages
}
