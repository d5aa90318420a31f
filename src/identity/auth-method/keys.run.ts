/**
 * Keys of issuers that live elsewhere: key sets (RFC 7517) and OpenID Connect discovery documents.
 *
 * Owns the way to them, which whoever may write an auth method chooses the end of: the outbound
 * guard judges each address, what was judged is what is connected to, no redirect is followed, and
 * size and time are bounded. Owns the copies that are kept, so that logins do not load the issuer:
 * a key that is not known has them fetched again, but not at every token's wish.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Resolver } from '../../base/io/dns2.ts'
import { limits } from '../../base/limits.ts'
import type { Timeouts } from '../../base/timeouts.ts'
import type { KeyPlace } from './jwt.ts'
import { isRecord, keysOfSet, type PublicKey } from './key.ts'

/** How keys are reached. */
export interface KeyTools {
  readonly resolver: Resolver
  /** The outbound guard: whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean
  readonly clock: Clock
  readonly timeouts: Timeouts
}

export interface IssuerKeys {
  readonly keys: readonly PublicKey[]
  /** Whom a discovery document says they belong to; undefined for a bare key set. */
  readonly issuer?: string
}

type RemotePlace = Extract<KeyPlace, { readonly kind: 'set' | 'discovery' }>

interface Kept {
  found: IssuerKeys | undefined
  /** When `found` was fetched, and when it was last tried. */
  fetchedMs: number
  triedMs: number
  failure: string
  running: Promise<void> | undefined
}

export class KeySource {
  readonly #tools: KeyTools
  /** By place, the one that was asked for longest ago first. */
  readonly #kept = new Map<string, Kept>()

  constructor(tools: KeyTools) {
    this.#tools = tools
  }

  /**
   * The keys of a place, or why there are none. They are fetched where they are too old, and where
   * none of them is the one that is looked for; at most once in `jwksRetryMs`.
   */
  async keysOf(
    place: RemotePlace,
    isThere: (keys: readonly PublicKey[]) => boolean = () => true,
  ): Promise<IssuerKeys | string> {
    const kept = this.#keptFor(place)
    if (this.#isFresh(kept) && isThere(kept.found!.keys)) return kept.found!
    await this.#refresh(place, kept)
    const ageMs = this.#tools.clock.monotonic() - kept.fetchedMs
    if (kept.found !== undefined && ageMs <= limits.jwksKeptMs) return kept.found
    return kept.failure
  }

  /** Why the keys of a place cannot be had now; undefined when they can. Always asks. */
  async problemOf(place: RemotePlace): Promise<string | undefined> {
    const found = await fetchKeys(place, this.#tools)
    const field = place.kind === 'set' ? 'JWKSURL' : 'OIDCDiscoveryURL'
    return typeof found === 'string' ? `error checking ${field}: ${found}` : undefined
  }

  #isFresh({ found, fetchedMs }: Kept): boolean {
    return found !== undefined && this.#tools.clock.monotonic() - fetchedMs < limits.jwksFreshMs
  }

  async #refresh(place: RemotePlace, kept: Kept): Promise<void> {
    const { clock } = this.#tools
    if (kept.running === undefined) {
      if (clock.monotonic() - kept.triedMs < limits.jwksRetryMs) return
      kept.triedMs = clock.monotonic()
      kept.running = fetchKeys(place, this.#tools)
        .then(found => {
          kept.failure = typeof found === 'string' ? found : ''
          if (typeof found === 'string') return
          kept.found = found
          kept.fetchedMs = clock.monotonic()
        })
        .finally(() => {
          kept.running = undefined
        })
    }
    await kept.running
  }

  #keptFor({ kind, url, caCert }: RemotePlace): Kept {
    const name = JSON.stringify([kind, url, caCert])
    const kept = this.#kept.get(name) ?? {
      found: undefined,
      fetchedMs: Number.NEGATIVE_INFINITY,
      triedMs: Number.NEGATIVE_INFINITY,
      failure: '',
      running: undefined,
    }
    this.#kept.delete(name)
    this.#kept.set(name, kept)
    if (this.#kept.size > limits.jwksPlaces) this.#kept.delete(this.#kept.keys().next().value!)
    return kept
  }
}

const DISCOVERY_PATH = '/.well-known/openid-configuration'

/** The keys of a place, or what is in the way. */
async function fetchKeys(place: RemotePlace, tools: KeyTools): Promise<IssuerKeys | string> {
  try {
    if (place.kind === 'set') return { keys: await fetchSet(place.url, place.caCert, tools) }
    const at = place.url.replace(/\/$/, '') + DISCOVERY_PATH
    const document: unknown = JSON.parse(await fetchText(at, place.caCert, tools))
    if (!isRecord(document) || typeof document.jwks_uri !== 'string') {
      return 'the discovery document names no key set'
    }
    if (document.issuer !== place.url) return 'the issuer of the discovery document is another'
    const set = URL.parse(document.jwks_uri)
    const isWeaker = place.url.startsWith('https:') && set?.protocol !== 'https:'
    if (set === null || !/^https?:$/.test(set.protocol) || isWeaker) {
      return 'the key set of the discovery document is at no https URL'
    }
    const keys = await fetchSet(document.jwks_uri, place.caCert, tools)
    return { keys, issuer: place.url }
  } catch (error) {
    return error instanceof SyntaxError ? 'the answer is not JSON' : messageOf(error)
  }
}

async function fetchSet(
  url: string,
  caCert: string,
  tools: KeyTools,
): Promise<readonly PublicKey[]> {
  const keys = keysOfSet(await fetchText(url, caCert, tools))
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

/** The host as sockets take it: an IPv6 address without its brackets. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

async function fetchText(text: string, caCert: string, tools: KeyTools): Promise<string> {
  const url = new URL(text)
  const addresses = await addressesOf(hostOf(url), tools)
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const sent = send(optionsFor(url, caCert, addresses))
    const late = tools.timeouts.after(limits.jwksTimeoutMs, () =>
      sent.destroy(new Error('the issuer did not answer in time')),
    )
    const fail = (error: unknown): void => {
      late.cancel()
      sent.destroy()
      reject(error)
    }
    sent.on('error', fail)
    sent.on('response', answer => {
      bodyOf(answer).then(body => {
        late.cancel()
        sent.destroy()
        resolve(body)
      }, fail)
    })
    sent.end()
  })
}

async function addressesOf(
  host: string,
  { resolver, mayReach }: KeyTools,
): Promise<readonly string[]> {
  const all = isIP(host) === 0 ? await resolver.addressesOf(host) : [host]
  const allowed = all.filter(mayReach)
  if (allowed.length === 0) {
    throw new Error(`logins may not reach ${all[0]} (login_targets.allow)`)
  }
  return allowed
}

/** The options of one request to these addresses and no others; no connection is kept. */
function optionsFor(url: URL, caCert: string, addresses: readonly string[]) {
  const host = hostOf(url)
  const all = addresses.map(address => ({ address, family: isIP(address) }))
  const answer: LookupFunction = (_host, options, done) => {
    if (options.all === true) done(null, all)
    else done(null, all[0]!.address, all[0]!.family)
  }
  return {
    host,
    port: url.port,
    path: url.pathname + url.search,
    method: 'GET',
    headers: { host: url.host, accept: 'application/json', 'user-agent': 'gatehouse' },
    agent: false,
    lookup: answer,
    autoSelectFamily: true,
    servername: isIP(host) === 0 ? host : '',
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2' as const,
    ...(caCert === '' ? {} : { ca: caCert }),
  }
}

/** The body of an answer that is one: no redirect is followed, nothing beyond the bound is read. */
async function bodyOf(answer: IncomingMessage): Promise<string> {
  if (answer.statusCode !== 200) throw new Error(`the issuer answered ${answer.statusCode}`)
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of answer) {
    sizeBytes += piece.length
    if (sizeBytes > limits.jwksSizeBytes) {
      throw new Error(`the answer is larger than ${limits.jwksSizeBytes} bytes`)
    }
    pieces.push(piece)
  }
  if (!answer.complete) throw new Error('the answer ended too early')
  return Buffer.concat(pieces).toString('utf8')
}
