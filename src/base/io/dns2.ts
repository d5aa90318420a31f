/**
 * The only importer of dns2: addresses of names, as the system's resolver would find them.
 *
 * Owns the hosts file, resolv.conf (read once, and again when they change; see hosts(5) and
 * resolv.conf(5)) and the questions to its servers. `getaddrinfo` is not used: it waits in the
 * thread pool that belongs to the disk. Nothing is cached, since checks must see a change at once;
 * only those who ask at the same time share an answer.
 */
import { readFile, stat } from 'node:fs/promises'
import { isIP, isIPv6, SocketAddress } from 'node:net'
import type Dns2 from 'dns2'
import type { Clock } from '../clock.ts'
import { OperatingCode, OperatingError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type ExchangeOptions, exchangeOverTcp } from './dns-exchange.ts'

export interface Resolver {
  /** The addresses of a name, IPv4 first, at least one. Rejects with OperatingError. */
  addressesOf(name: string): Promise<readonly string[]>
}

/** Where a service is, as an SRV record says (RFC 2782): a host's name and a port. */
export interface ServicePlace {
  readonly host: string
  readonly port: number
}

/** One that looks up texts too. */
export interface TextResolver extends Resolver {
  /**
   * The texts of a name (TXT), each joined from its pieces; none where there are none. Rejects with
   * OperatingError.
   */
  textsOf(name: string): Promise<readonly string[]>
}

/** One that looks up places of services too. */
export interface ServiceResolver extends Resolver {
  /**
   * Where a service is (SRV), those of lower priority numbers first; none where there are none.
   * Rejects with OperatingError.
   */
  placesOf(name: string): Promise<readonly ServicePlace[]>
}

export interface ResolverOptions {
  readonly clock: Clock
  readonly hostsPath?: string
  readonly resolvConfPath?: string
  /** Where the servers of resolv.conf listen. */
  readonly port?: number
  /** A server in place of those: its address. Neither hosts nor search domains are looked at. */
  readonly server?: string
}

/** Creates a resolver; it opens and reads nothing before it is asked. */
export function createResolver({
  clock,
  hostsPath = '/etc/hosts',
  resolvConfPath = '/etc/resolv.conf',
  port = 53,
  server,
}: ResolverOptions): TextResolver & ServiceResolver {
  const hosts = new WatchedFile(server === undefined ? hostsPath : '', clock, parseHosts)
  const settings = new WatchedFile(resolvConfPath, clock, parseResolvConf)
  const asking = async (): Promise<Asking> => {
    const read = server === undefined ? await settings.read() : settingsOf(canonical(server))
    return { ...read, port, clock }
  }
  const asked = new Map<string, Promise<readonly string[]>>()
  const find = async (name: string): Promise<readonly string[]> => {
    const own = (await hosts.read()).get(name)
    if (own !== undefined) return own
    // RFC 6761: this name is never asked for.
    if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1']
    return search(name, await asking())
  }
  return {
    addressesOf(given) {
      const name = given.toLowerCase()
      let found = asked.get(name)
      if (found === undefined) {
        found = find(name).finally(() => asked.delete(name))
        asked.set(name, found)
      }
      return found
    },
    async textsOf(given) {
      const name = withoutDot(given.toLowerCase())
      return isName(name) ? textsIn(await ask(name, 'TXT', await asking())) : []
    },
    async placesOf(given) {
      const name = withoutDot(given.toLowerCase())
      return isName(name) ? placesIn(await ask(name, 'SRV', await asking())) : []
    },
  }
}

interface Settings {
  readonly servers: readonly string[]
  readonly domains: readonly string[]
  /** A name with fewer dots is tried with the search domains first. */
  readonly dots: number
  readonly timeoutMs: number
  readonly attempts: number
}

interface Asking extends Settings {
  readonly port: number
  readonly clock: Clock
}

async function search(name: string, asking: Asking): Promise<readonly string[]> {
  let failure: unknown
  for (const candidate of candidatesFor(name, asking)) {
    if (!isName(candidate)) continue
    const answers = await Promise.allSettled([
      ask(candidate, 'A', asking),
      ask(candidate, 'AAAA', asking),
    ])
    const addresses = answers.flatMap(one => {
      return one.status === 'fulfilled' ? addressesIn(one.value) : []
    })
    if (addresses.length > 0) return addresses
    failure ??= answers.find(one => one.status === 'rejected')?.reason
  }
  throw failure ?? fault(name, 'no such host')
}

function fault(name: string, why: string): OperatingError {
  return new OperatingError(OperatingCode.unavailable, `lookup ${name}: ${why}`)
}

function candidatesFor(name: string, { domains, dots }: Settings): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)]
  const longer = domains.map(domain => `${name}.${domain}`)
  return name.split('.').length > dots ? [name, ...longer] : [...longer, name]
}

const isName = (name: string): boolean =>
  name.length <= 253 && name.split('.').every(label => /^[\x21-\x7e]{1,63}$/.test(label))

type Asked = 'A' | 'AAAA' | 'TXT' | 'SRV'

/** The records of that type that the first server that knows gives; none when there are none. */
async function ask(name: string, type: Asked, asking: Asking): Promise<Dns2.Packet.Resource[]> {
  let why = ''
  for (let attempt = 0; attempt < asking.attempts; attempt++) {
    for (const server of asking.servers) {
      try {
        const answer = await exchange(server, name, type, asking)
        const { rcode } = answer.header
        if (rcode === NO_ERROR || rcode === NO_SUCH_NAME) return recordsIn(answer, type)
        why = 'server misbehaving'
      } catch {
        why = 'i/o timeout'
      }
    }
  }
  throw fault(name, why)
}

const NO_ERROR = 0
const NO_SUCH_NAME = 3

const recordsIn = ({ answers }: Dns2.Packet, type: Asked): Dns2.Packet.Resource[] =>
  answers.filter(({ type: found }) => found === TYPE_CODES[type])

const addressesIn = (records: readonly Dns2.Packet.Resource[]): string[] =>
  records.flatMap(({ address = '' }) => (isIP(address) === 0 ? [] : [address]))

const textsIn = (records: readonly Dns2.Packet.Resource[]): string[] =>
  records.flatMap(({ data }) => (data === undefined ? [] : [[data].flat().join('')]))

/** A service that is decidedly not there names the root as its host. */
const placesIn = (records: readonly Dns2.Packet.Resource[]): ServicePlace[] =>
  records
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
    .map(({ target = '', port = 0 }) => ({ host: withoutDot(target), port }))
    .filter(({ host, port }) => host !== '' && port > 0)

const TYPE_CODES = { A: 1, AAAA: 28, TXT: 16, SRV: 33 } as const

async function exchange(
  server: string,
  name: string,
  type: Asked,
  { port, timeoutMs, clock }: Omit<ExchangeOptions, 'host'>,
): Promise<Dns2.Packet> {
  const { default: dns2 } = await import('dns2')
  const client = dns2.UDPClient({
    dns: server,
    port,
    socketType: isIPv6(server) ? 'udp6' : 'udp4',
    timeout: timeoutMs,
    retryOverTCP: false,
  })
  const answer = await client(name, type)
  // The library looks at id and sender; whoever can forge those should know the question too.
  const [asked] = answer.questions
  if (asked !== undefined && asked.name.toLowerCase() !== name.toLowerCase()) {
    throw fault(name, 'another question was answered')
  }
  // One address is as good as another; of texts and places all are wanted.
  const isEnough = addressesIn(recordsIn(answer, type)).length > 0
  if (answer.header.tc === 0 || isEnough) return answer
  const question = new dns2.Packet()
  question.header.rd = 1
  question.questions.push(new dns2.Packet.Question(name, TYPE_CODES[type], dns2.Packet.CLASS.IN))
  const to = { host: server, port, timeoutMs, clock }
  // The library's own has no time-out.
  return dns2.Packet.parse(await exchangeOverTcp(question.toBuffer(), to))
}

/** A record that a server gave: an address, or the name that stands for another. */
export interface FoundRecord {
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'CNAME'
  readonly ttlS: number
  readonly data: string
}

/**
 * The addresses of a name as one server knows them, with the aliases on the way; none where there
 * are none. Rejects where the server fails or says nothing in time.
 */
export async function lookUpAt(
  { host, port, timeoutMs, clock }: ExchangeOptions,
  name: string,
  type: 'A' | 'AAAA',
): Promise<readonly FoundRecord[]> {
  const asked = name.replace(/\.$/, '')
  if (!isName(asked)) return []
  const { header, answers } = await exchange(canonical(host), asked, type, {
    port,
    timeoutMs,
    clock,
  })
  if (header.rcode !== NO_ERROR && header.rcode !== NO_SUCH_NAME) throw fault(name, 'refused')
  return answers.flatMap(({ name, type, ttl, address = '', domain = '' }): FoundRecord[] => {
    const known = FOUND_TYPES[type]
    const data = known === 'CNAME' ? `${domain}.` : address
    if (known === undefined || data.length <= 1) return []
    return [{ name: `${name}.`, type: known, ttlS: Math.max(0, ttl), data }]
  })
}

const FOUND_TYPES: Readonly<Record<number, FoundRecord['type']>> = {
  1: 'A',
  5: 'CNAME',
  28: 'AAAA',
}

/** A small file's meaning, kept until the file changes; a missing one is an empty one. */
class WatchedFile<T> {
  readonly #path: string
  readonly #clock: Clock
  readonly #parse: (text: string) => T
  #value: T | undefined
  #stamp = ''
  #lookAtMs = 0

  constructor(path: string, clock: Clock, parse: (text: string) => T) {
    this.#path = path
    this.#clock = clock
    this.#parse = parse
  }

  async read(): Promise<T> {
    const nowMs = this.#clock.monotonic()
    if (this.#value !== undefined && nowMs < this.#lookAtMs) return this.#value
    this.#lookAtMs = nowMs + limits.resolverFilesMs
    const file = await stat(this.#path).catch(() => undefined)
    const stamp = file === undefined ? 'none' : `${file.ino} ${file.size} ${file.mtimeMs}`
    if (this.#value === undefined || stamp !== this.#stamp) {
      this.#value = this.#parse(await readFile(this.#path, 'utf8').catch(() => ''))
      this.#stamp = stamp
    }
    return this.#value
  }
}

/** The settings where one server is named. */
const settingsOf = (server: string): Settings => ({
  ...{ servers: [server], domains: [], dots: 0 },
  timeoutMs: 1_000 * USUAL_TIMEOUT_S,
  attempts: USUAL_ATTEMPTS,
})

/** resolv.conf(5). */
const USUAL_TIMEOUT_S = 5
const USUAL_ATTEMPTS = 2

const linesOf = (text: string): string[][] =>
  text.split('\n').map(line =>
    line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/),
  )

function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const [address = '', ...names] of linesOf(text)) {
    if (isIP(address) === 0) continue
    for (const name of names) {
      const key = name.toLowerCase()
      hosts.set(key, [...(hosts.get(key) ?? []), address])
    }
  }
  for (const addresses of hosts.values()) addresses.sort((a, b) => isIP(a) - isIP(b))
  return hosts
}

function parseResolvConf(text: string): Settings {
  const servers: string[] = []
  let domains: string[] = []
  const options = new Map<string, number>()
  for (const [keyword, ...words] of linesOf(text)) {
    if (keyword === 'nameserver' && isIP(words[0] ?? '') !== 0) servers.push(canonical(words[0]!))
    else if (keyword === 'search' || keyword === 'domain') domains = words.map(withoutDot)
    else if (keyword === 'options') {
      for (const word of words) {
        const [, name = '', value] = /^(ndots|timeout|attempts):(\d+)$/.exec(word) ?? []
        options.set(name, Number(value))
      }
    }
  }
  const timeoutMs = 1_000 * Math.max(1, options.get('timeout') ?? USUAL_TIMEOUT_S)
  return {
    servers: servers.length === 0 ? ['127.0.0.1'] : servers.slice(0, limits.resolverServers),
    domains: domains.slice(0, limits.resolverSearchDomains),
    dots: options.get('ndots') ?? 1,
    timeoutMs: Math.min(timeoutMs, limits.resolverTimeoutMs),
    attempts: Math.min(
      Math.max(1, options.get('attempts') ?? USUAL_ATTEMPTS),
      limits.resolverAttempts,
    ),
  }
}

const withoutDot = (name: string): string => name.replace(/\.$/, '')

/** As the socket prints it: dns2 compares it with the sender of an answer. */
const canonical = (address: string): string =>
  isIPv6(address) && !address.includes('%')
    ? new SocketAddress({ address, family: 'ipv6' }).address
    : address
