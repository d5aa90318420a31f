/**
 * The face of the secrets: Vault's HTTP API on a listener of its own.
 *
 * Owns listening, the headers of every answer, and faults in words that clients match on. Knows no
 * path: the room's declarations do.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Audit } from '../../audit/audit.run.ts'
import type { Random } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../../base/errors.ts'
import type { Eventually } from '../../base/eventually.ts'
import type { TakeForwarded } from '../../base/forwarding.ts'
import type { ListenerOptions } from '../../base/io/http-listener.ts'
import { createWholeServer, type Unread, type WholeServer } from '../../base/io/whole-requests.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { loopMs } from '../../base/slices.ts'
import { Turns } from '../../base/turns.ts'
import type { Denials } from '../../secrets/denials.ts'
import { errorBody, type Rendered } from '../../secrets/envelope.ts'
import { recorded } from '../../secrets/request.ts'
import { type Handled, type Secrets, told } from '../../secrets/room.run.ts'
import type { Admission, RequestRates } from '../admission.ts'
import { forwarded } from '../forwarded.ts'
import { pathIn } from '../path.ts'
import { OpenStreams } from '../stream.ts'
import { judgeOrigin } from './cors.ts'
import { EVERY_HEAD, JSON_TYPE, VAULT_VERBS } from './head.ts'
import type { InFlight, InFlightEntry } from './in-flight.ts'
import { PREFIX, readHead, withBody } from './request.ts'

export interface SecretsFaceOptions extends ListenerOptions {
  readonly secrets: Pick<Secrets, 'handle' | 'cors' | 'rate'>
  readonly random: Random
  readonly log: Log
  readonly admission: Admission
  /** Keeps records of what is answered; nothing is recorded without one. */
  readonly audit?: Pick<Audit, 'answered'>
  /** Keeps why requests were turned away; without one nobody does. */
  readonly denials?: Pick<Denials, 'turnAway'>
  /** Where requests stand while they are answered. */
  readonly inFlight?: InFlight
}

export interface SecretsFace extends Omit<WholeServer, 'take'> {
  /** Takes requests that clients sent to agents that are no servers. They are answered like any. */
  readonly takeForwarded: TakeForwarded
  /** Somebody asks the other half of the server: less is done in one turn for a while. */
  makeWay(): void
  /** Changes what a reload may: how many requests and connections are let in. */
  setLimits(limits: { readonly rates: RequestRates; readonly connectionsPerClient: number }): void
}

const HTTP_VERBS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'] as const
const METHODS: ReadonlySet<string> = new Set([...HTTP_VERBS, ...VAULT_VERBS])
const CLOSING = ['Connection', 'close']

/** Makes the face of the secrets. */
export function createSecretsFace(options: SecretsFaceOptions): SecretsFace {
  const { random, log, admission } = options
  const idPrefix = `${random.uuid().slice(0, 23)}-`
  let requests = 0
  const nextId = (): string => idPrefix + (requests++).toString(16).padStart(12, '0')
  const streams = new OpenStreams(log)
  // The other half of the server has its turn between.
  const turns = new Turns<Given, Ready>(
    { begin: given => answers.give(given), end: ready => answers.send(ready) },
    loopMs,
    {
      turnMs: limits.secretsTurnMs,
      besideOthersMs: limits.secretsTurnBesideOthersMs,
      othersStayMs: limits.registryAskedMs,
    },
  )
  const answers = new Answers(options, streams, ready => turns.end(ready))
  const turnAway = (status: number, reason: string, asked = ''): string => {
    const id = nextId()
    options.denials?.turnAway(id, { status, reason, asked })
    return id
  }
  const server = createWholeServer({
    ...options,
    customVerbs: VAULT_VERBS,
    nameRefused: (status, reason) => turnAway(status, reason),
    bodySizeBytes: limits.secretsBodySizeBytes,
    bodiesSizeBytes: limits.secretsBodiesSizeBytes,
    uncountedSizeBytes: limits.secretsBodyUncountedSizeBytes,
    admit(message, response) {
      const refusal = admission.refuse(message) ?? refuseRate(admission, message)
      if (refusal === undefined) return true
      const { status, text } = refusal
      send(response, rendered(refusal), turnAway(status, text, askedBy(message)), CLOSING)
      return false
    },
    refuse(message, response, why) {
      const { status, text } = UNREAD[why]
      const id = turnAway(status, text === '' ? why : text, askedBy(message))
      send(response, rendered(UNREAD[why]), id, CLOSING)
    },
    handle(message, response, body) {
      const { method = '', url = '' } = message
      if (!METHODS.has(method)) send(response, rendered(NO_VERB), nextId())
      else if (!url.startsWith(PREFIX)) send(response, NOT_FOUND, nextId())
      else turns.begin({ message, response, body, id: nextId() }, isShort(method))
    },
  })
  return {
    ...server,
    takeForwarded: (head, sink, wanted) =>
      forwarded(head, sink, wanted, (message, response) => server.take(message, response)),
    makeWay: () => turns.makeWay(),
    setLimits({ rates, connectionsPerClient }) {
      admission.setRates(rates)
      server.limitClients(connectionsPerClient)
    },
    close() {
      streams.stop()
      return server.close()
    },
  }
}

/** What only reads takes a fraction of what is written, signed or encrypted. */
const isShort = (method: string): boolean => method === 'GET' || method === 'HEAD'

/** The verb and the path, without a query: there may be a token in one. */
const askedBy = ({ method = '', url = '' }: IncomingMessage): string =>
  `${method} ${pathIn(url).slice(0, limits.auditPathChars)}`

/** What is asked of a server whether it has too much to do or not. */
const UNRATED = /^\/v1\/sys\/(health|seal-status|leader|init|unseal)(\?|$)/

/** Counts a request; refuses it where the server is sent too many. */
const refuseRate = (admission: Admission, message: IncomingMessage): Refusal | undefined =>
  admission.isRated && !UNRATED.test(message.url ?? '') ? admission.refuseRate(message) : undefined

/** A request, as far as the way of its answer goes. */
interface Given {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
  readonly id: string
}

/** An answer, as far as it is to be sent. */
interface Ready {
  readonly response: ServerResponse
  readonly answer: Rendered
  readonly id: string
  /** More lines of its head: names and values by turns. */
  readonly lines: readonly string[]
}

/** What answers requests: asks the room, keeps a record of what it gave, and has it sent. */
class Answers {
  readonly #options: SecretsFaceOptions
  readonly #streams: OpenStreams
  readonly #toSend: (ready: Ready) => void

  constructor(options: SecretsFaceOptions, streams: OpenStreams, toSend: (ready: Ready) => void) {
    this.#options = options
    this.#streams = streams
    this.#toSend = toSend
  }

  /** Never throws. */
  give(given: Given): void {
    try {
      this.#judge(given)
    } catch (error) {
      send(given.response, rendered(faultOf(this.#options.log)(error)), given.id)
    }
  }

  #judge(given: Given): void {
    const { message, response } = given
    const { secrets, inFlight } = this.#options
    const isPlain = message.headers.origin === undefined && message.method !== 'OPTIONS'
    // Most requests are no page's: what pages may do need not be read for them.
    if (isPlain) {
      this.#track(given, NO_LINES, inFlight?.begin(given.id, message))
      return
    }
    const { status, text = '', headers } = judgeOrigin(message, secrets.cors())
    const lines = linesOf(headers)
    if (status === undefined) {
      this.#track(given, lines, inFlight?.begin(given.id, message))
    } else send(response, rendered(new Refusal(status, text)), given.id, lines)
  }

  /** What is known at once is answered at once: nothing is waited for then. */
  #track(given: Given, allowed: readonly string[], entry: InFlightEntry | undefined): void {
    const { message, response } = given
    const { inFlight, log } = this.#options
    const namespace = message.headers['x-vault-namespace']
    const more =
      typeof namespace === 'string' ? ['X-Vault-Namespace', namespace, ...allowed] : allowed
    const done = (handled: Handled): void => {
      if (!(handled instanceof Refusal) && handled.parts !== undefined) {
        const { parts } = handled
        const sent = this.#stream(response, { ...handled, parts }, given.id, more)
        if (entry !== undefined) void sent.finally(() => inFlight?.end(entry))
        return
      }
      this.#toSend({ response, answer: rendered(handled), id: given.id, lines: more })
      if (entry !== undefined) inFlight?.end(entry)
    }
    const failed = (error: unknown): void => done(faultOf(log)(error))
    try {
      const handled = this.#handle(given)
      if (handled instanceof Promise) handled.then(done, failed)
      else done(handled)
    } catch (error) {
      failed(error)
    }
  }

  #handle({ message, response, body, id }: Given): Eventually<Handled> {
    const { secrets, audit } = this.#options
    const head = readHead(message, response, id)
    if (head instanceof Refusal) return head
    const sent = { method: message.method ?? '', bodySizeBytes: body.length }
    // Who asks too often is not worth the reading of what he sent, where that is much.
    const rated = body.length < limits.ratedBodySizeBytes ? undefined : secrets.rate(head)
    if (rated?.refusal !== undefined) {
      const refused = told(rated.refusal, rated.headers)
      return recorded(audit, { ...head, data: {} }, sent, () => refused)
    }
    const request = withBody(head, body)
    if (request instanceof Refusal) return request
    return recorded(audit, request, sent, caller => secrets.handle(request, caller, rated))
  }

  send({ response, answer, id, lines }: Ready): void {
    try {
      send(response, answer, id, lines)
    } catch (error) {
      send(response, rendered(faultOf(this.#options.log)(error)), id)
    }
  }

  /** Sends an answer that goes on. Never rejects. */
  #stream(
    response: ServerResponse,
    handled: Rendered & Required<Pick<Rendered, 'parts'>>,
    id: string,
    more: readonly string[],
  ): Promise<void> {
    try {
      this.#streams.admit(handled)
    } catch (error) {
      send(response, rendered(faultOf(this.#options.log)(error)), id, more)
      return Promise.resolve()
    }
    return this.#streams.send(response, headOf(handled, id, more), handled)
  }
}

const NOT_FOUND: Rendered = { status: 404, body: errorBody([]), type: JSON_TYPE }
const NO_VERB = new Refusal(405, '')
const UNREAD: Readonly<Record<Unread, Refusal>> = {
  unreadable: new Refusal(400, ''),
  'too large': new Refusal(413, 'http: request body too large'),
  'too many': new Refusal(429, 'too many bytes of large bodies are on their way: try again later'),
}

const rendered = (handled: Handled): Rendered =>
  handled instanceof Refusal
    ? {
        status: handled.status,
        body: errorBody(handled.text === '' ? [] : [handled.text]),
        type: JSON_TYPE,
      }
    : handled

/** What a fault looks like to a client. Faults of ours say no more than that. */
const faultOf =
  (log: Log) =>
  (error: unknown): Refusal => {
    if (!(error instanceof OperatingError)) {
      log.error('a request failed', { error: messageOf(error) })
      return new Refusal(500, 'internal error')
    }
    switch (error.code) {
      case OperatingCode.unavailable:
      case OperatingCode.unaudited:
      case OperatingCode.stopped:
      case OperatingCode.disk:
        return new Refusal(503, error.message)
      case OperatingCode.limit:
        return new Refusal(413, error.message)
      case OperatingCode.busy:
        return new Refusal(429, error.message)
      default:
        return new Refusal(500, error.message)
    }
  }

const NO_LINES: readonly string[] = []

const linesOf = (headers: Readonly<Record<string, string>> | undefined): readonly string[] =>
  headers === undefined ? NO_LINES : Object.entries(headers).flat()

/** What an answer says before its body: names and values by turns. */
const headOf = (
  { type, headers }: Pick<Rendered, 'type' | 'headers'>,
  id: string,
  more: readonly string[] = NO_LINES,
): string[] => {
  const lines = EVERY_HEAD.slice()
  lines.push('Content-Type', type, 'X-Request-Id', id)
  // A header that the answer itself says is said once.
  if (headers !== undefined) for (const name in headers) setLine(lines, name, headers[name]!)
  for (let at = 0; at < more.length; at += 2) lines.push(more[at]!, more[at + 1]!)
  return lines
}

const saysLength = (headers: Readonly<Record<string, string>>): boolean =>
  Object.keys(headers).some(name => name.toLowerCase() === 'content-length')

function setLine(lines: string[], name: string, value: string): void {
  const lower = name.toLowerCase()
  const at = lines.findIndex((line, i) => i % 2 === 0 && line.toLowerCase() === lower)
  if (at === -1) lines.push(name, value)
  else lines[at + 1] = value
}

function send(
  response: ServerResponse,
  answer: Rendered,
  id: string,
  more: readonly string[] = NO_LINES,
): void {
  if (response.destroyed || response.headersSent) return
  const { status, body, headers } = answer
  const lines = headOf(answer, id, more)
  if (status === 204) {
    response.writeHead(status, lines).end()
    return
  }
  const sizeBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  if (headers === undefined || !saysLength(headers)) {
    lines.push('Content-Length', String(sizeBytes))
  }
  // A text leaves in one piece with the head.
  response.writeHead(status, lines).end(body)
}
