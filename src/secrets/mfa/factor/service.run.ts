/**
 * The way to services of second factors: one talk with one of them, for one login.
 *
 * Owns what every request there is held to. Whoever may write a method chooses where it goes, so
 * the outbound guard judges each address and what was judged is what is connected to; certificates
 * are always looked at; no redirect is followed, since a request shows a secret; sizes, times and
 * numbers are bounded; and who gives up is heard at once. Must never put anything of an answer, a
 * header or a body into a reason but numbers and words that are known here.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { WallMs } from '../../../base/brand.ts'
import type { Clock } from '../../../base/clock.ts'
import type { Resolver } from '../../../base/io/dns2.ts'
import { limits } from '../../../base/limits.ts'
import { pause } from '../../../base/pause.ts'
import type { SecureContext } from '../../../base/tls.ts'
import type { Json } from '../../field.ts'
import type { FactorContext, FactorOutcome } from './factor.ts'
import { jsonOf } from './json.ts'

/** What talks stand on. */
export interface FactorPorts {
  readonly clock: Clock
  readonly resolver: Resolver
  /** The outbound guard: whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean
  /** Who is trusted; undefined for the system's own authorities. */
  readonly context: SecureContext | undefined
}

/** One request. Its path is below that of the service, with its query. */
export interface ServiceRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Whether it may be answered only once the user has done something. */
  readonly isLong?: boolean
}

export interface ServiceAnswer {
  readonly status: number
  readonly body: Buffer
}

/** Why there is no answer that says anything. Its message is told to who logs in. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered'
}

export const passed: FactorOutcome = { passed: true }
export const refused = (reason: string): FactorOutcome => ({ passed: false, reason })

/** The service that is talked with, as long as the login waits. */
export interface Talk {
  /** `host`, and its port where it is another than that of https. */
  readonly host: string
  /** The time for those who write it into a request. */
  wall(): WallMs
  /**
   * Sends a request, and again where the service has too many: nothing came of it then. Rejects
   * with Unanswered, or with why the login does not wait any more.
   */
  send(request: ServiceRequest): Promise<ServiceAnswer>
  /** Asks again and again, until there is an outcome: undefined means that the user has time. */
  poll(ask: () => Promise<FactorOutcome | undefined>): Promise<FactorOutcome>
}

/** Whom to talk with, for whom. */
export interface TalkFacts {
  /** What the service is called in reasons. */
  readonly name: string
  /** `https://host[:port][/path]`. */
  readonly url: string
  /** What the login brings: they go into requests. */
  readonly texts: readonly (string | undefined)[]
  readonly signal: FactorContext['signal']
}

/** All talks of a server. */
export class Services {
  readonly #ports: FactorPorts
  #underWay = 0

  constructor(ports: FactorPorts) {
    this.#ports = ports
  }

  /** Has a talk, and gives what came of it. Never rejects because of a service. */
  async talk(
    { name, url: text, texts, signal }: TalkFacts,
    say: (talk: Talk) => Promise<FactorOutcome>,
  ): Promise<FactorOutcome> {
    const url = SERVICE.test(text) ? URL.parse(text) : null
    if (url === null) return refused(`${name}: its address is none for requests over TLS`)
    if (!texts.every(isFit)) return refused(`${name}: the user's name or passcode is none for it`)
    if (this.#underWay >= limits.factorTalks) return refused('too many logins wait for a factor')
    this.#underWay++
    const time = new AbortController()
    const late = this.#ports.clock.after(limits.factorTalkMs, () =>
      time.abort(new Unanswered('it took too long')),
    )
    try {
      const halts = AbortSignal.any([signal, time.signal])
      halts.throwIfAborted()
      return await say(new ServiceTalk(url, this.#ports, halts))
    } catch (error) {
      if (signal.aborted) return refused(`${name}: the login was given up`)
      if (error instanceof Unanswered) return refused(`${name}: ${error.message}`)
      throw error
    } finally {
      late.clear()
      this.#underWay--
    }
  }
}

/** No user, query or fragment; nothing that a URL's reader would turn into something else. */
const SERVICE = /^https:\/\/(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?(\/[\w.~/-]*)?$/i

/** Whether a text can stand in a request: what is no Unicode has no form there. */
const isFit = (text: string | undefined): boolean =>
  text === undefined ||
  (text !== '' && text.length <= limits.factorTextChars && text.isWellFormed())

class ServiceTalk implements Talk {
  readonly host: string
  readonly #url: URL
  readonly #ports: FactorPorts
  readonly #halts: AbortSignal

  constructor(url: URL, ports: FactorPorts, halts: AbortSignal) {
    this.host = url.host
    this.#url = url
    this.#ports = ports
    this.#halts = halts
  }

  wall(): WallMs {
    return this.#ports.clock.wall()
  }

  async send(asked: ServiceRequest): Promise<ServiceAnswer> {
    const { clock, resolver, mayReach } = this.#ports
    const time = new AbortController()
    const limit = asked.isLong === true ? limits.factorTalkMs : limits.factorExchangeMs
    const late = clock.after(limit, () => time.abort(new Unanswered('no answer in time')))
    const halts = AbortSignal.any([this.#halts, time.signal])
    try {
      const host = this.#url.hostname.replace(/^\[|\]$/g, '')
      const found = isIP(host) === 0 ? resolver.addressesOf(host) : Promise.resolve([host])
      const addresses = (await until(halts, found.catch(unreached))).filter(mayReach)
      if (addresses.length === 0) {
        throw new Unanswered('its address may not be connected to (login_targets.allow)')
      }
      for (let tried = 0; ; tried++) {
        const answer = await this.#exchange(asked, host, addresses, halts)
        if (answer.status !== TOO_MANY || tried === limits.factorBusyTries) return answer
        await pause(clock, limits.factorPollMs * 2 ** tried, halts)
        halts.throwIfAborted()
      }
    } finally {
      late.clear()
    }
  }

  async poll(ask: () => Promise<FactorOutcome | undefined>): Promise<FactorOutcome> {
    for (let asked = 0; asked < limits.factorPolls; asked++) {
      if (asked > 0) await pause(this.#ports.clock, limits.factorPollMs, this.#halts)
      this.#halts.throwIfAborted()
      const outcome = await ask()
      if (outcome !== undefined) return outcome
    }
    throw new Unanswered('the user did not answer in time')
  }

  #exchange(
    { method, path, headers, body = '' }: ServiceRequest,
    host: string,
    addresses: readonly string[],
    halts: AbortSignal,
  ): Promise<ServiceAnswer> {
    const { context } = this.#ports
    const { port, pathname, host: shown } = this.#url
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        sent?.destroy()
        if (halts.aborted) reject(halts.reason)
        else reject(error instanceof Unanswered ? error : troubleOf(error))
      }
      let sent: ClientRequest | undefined
      try {
        sent = request({
          ...{ host, port, method, path: pathname.replace(/\/+$/, '') + path, agent: false },
          ...{ lookup: amongst(addresses), autoSelectFamily: true, signal: halts },
          headers: {
            ...headers,
            ...{ host: shown, accept: 'application/json', 'user-agent': 'gatehouse' },
            ...(method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {}),
          },
          servername: isIP(host) === 0 ? host : '',
          rejectUnauthorized: true,
          minVersion: 'TLSv1.2',
          ...(context === undefined ? {} : { secureContext: context }),
        })
      } catch (error) {
        // A header that is none: a token with a line break.
        fail(error)
        return
      }
      sent.on('error', fail)
      sent.on('response', answer => {
        bodyOf(answer).then(read => {
          resolve({ status: answer.statusCode ?? 0, body: read })
          sent.destroy()
        }, fail)
      })
      sent.end(method === 'POST' ? body : undefined)
    })
  }
}

/** The status of a service that looks at no more requests for a while (RFC 6585, 4). */
const TOO_MANY = 429

/** Waits for something that cannot be halted itself. */
function until<T>(halts: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const halt = (): void => reject(halts.reason)
    if (halts.aborted) halt()
    halts.addEventListener('abort', halt, { once: true })
    promise.then(resolve, reject).finally(() => halts.removeEventListener('abort', halt))
  })
}

/** Connects to these addresses and no others. */
function amongst(addresses: readonly string[]): LookupFunction {
  const all = addresses.map(address => ({ address, family: isIP(address) }))
  return (_host, options, done) => {
    if (options.all === true) done(null, all)
    else done(null, all[0]!.address, all[0]!.family)
  }
}

function unreached(): never {
  throw new Unanswered('its host is not found')
}

/** By its code alone: other texts hold what somebody at the other end chose. */
function troubleOf(error: unknown): Unanswered {
  const { code } = error as { readonly code?: unknown }
  const shown = typeof code === 'string' && /^[A-Z\d_]{1,60}$/.test(code) ? code : 'failed'
  return new Unanswered(`it cannot be asked (${shown})`)
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of answer) {
    sizeBytes += piece.length
    if (sizeBytes > limits.factorAnswerSizeBytes) throw new Unanswered('its answer is too large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** The JSON of an answer of one of these statuses, redirects being none of them. */
export function answered({ status, body }: ServiceAnswer, ...statuses: readonly number[]): Json {
  if (!statuses.includes(status)) throw new Unanswered(`it answers ${status}`)
  const value = jsonOf(body)
  if (value === undefined) throw new Unanswered('its answer is not JSON')
  return value
}

/** An answer that is JSON, but not what the service's API says. */
export const unheard = (what: string): Unanswered =>
  new Unanswered(`its answer is not of its API: ${what}`)
