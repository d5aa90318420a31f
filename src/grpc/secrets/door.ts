/**
 * The way of a gRPC call to the room of the secrets, and of the answer back: the same one that
 * requests over HTTP go.
 *
 * Owns what of a call makes a request, and what of an answer makes a message. Rights, quotas,
 * wrapping, records and explanations are the room's; nothing is decided here.
 */
import { letGo } from '../../base/begun.ts'
import type { Clock, Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { parseExact, stringifyExact } from '../../base/exact-json.ts'
import type { Log } from '../../base/log.ts'
import { SecretsCaller, type Trail } from '../../secrets/audit.ts'
import type { Plan, SecretsRequest } from '../../secrets/decide.ts'
import type { Answer, Auth, Operation, RequestFacts } from '../../secrets/declare.ts'
import type { Rendered, Wrapped } from '../../secrets/envelope.ts'
import type { JsonObject } from '../../secrets/field.ts'
import { INVALID } from '../../secrets/refusals.ts'
import { canonicalPath, dataOf, pathFor, type Records, recorded } from '../../secrets/request.ts'
import type { Secrets } from '../../secrets/room.run.ts'
import { MFA_HEADER } from '../../secrets/token/login.ts'
import { type GrpcCall, GrpcFailure } from '../declare.ts'

/** What the services of the secrets are made of. */
export interface SecretsGrpcPorts {
  readonly secrets: Pick<Secrets, 'handle' | 'permits'>
  /** Keeps records of what is answered; nothing is recorded without one. */
  readonly audit?: Records
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What a call asks of the room. */
export interface Asked {
  readonly operation: Operation
  /** As the client wrote it, without `/v1/`. */
  readonly path: string
  /** '' for what the metadata says. */
  readonly namespace?: string
  readonly data?: JsonObject
  /** The call's, unless given. */
  readonly token?: string
  /** 0 for none. */
  readonly wrapTtlSeconds?: number
  /** The request's id, where a call makes several. */
  readonly id?: string
  /** Of the message that it came with. */
  readonly bodySizeBytes?: number
  /** Of a stream: what its record says of it. */
  readonly stream?: NonNullable<Trail['stream']>
}

/** What was given. */
export interface Told {
  readonly id: string
  /** HTTP's, below 400 unless there is data beside the errors. */
  readonly status: number
  /** Empty where the path has no envelope, or nothing to say. */
  readonly answer: Answer
  readonly wrapped: Wrapped | undefined
  readonly mountType: string
  /** The whole body, with its type, of a path without an envelope. */
  readonly body: { readonly bytes: Buffer; readonly type: string } | undefined
  /** What became known on the way, and the request as it was made. */
  readonly trail: Trail
  readonly request: SecretsRequest
}

/** HTTP's verbs, by which records name requests whatever face they came by. */
const METHODS: Readonly<Record<Operation, string>> = {
  ...{ read: 'GET', list: 'LIST', scan: 'SCAN', help: 'GET' },
  ...{ update: 'POST', create: 'POST', patch: 'PATCH', delete: 'DELETE' },
}

/** The way to the room. */
export class Door {
  readonly #ports: SecretsGrpcPorts

  constructor(ports: SecretsGrpcPorts) {
    this.#ports = ports
  }

  /** Makes a request of a call; gives what was answered, also where that is an error with data. */
  async ask(call: GrpcCall, asked: Asked): Promise<Told | Refusal> {
    const { secrets, audit } = this.#ports
    const request = requestOf(call, asked)
    if (request instanceof Refusal) return request
    const sent = { method: METHODS[asked.operation], bodySizeBytes: asked.bodySizeBytes ?? 0 }
    const trail: Trail = asked.stream === undefined ? {} : { stream: asked.stream }
    let used: Trail = trail
    const handled = await recorded(audit, request, { ...sent, face: FACE }, caller => {
      const who = caller ?? new SecretsCaller(request, sent.method, sent)
      Object.assign(who.trail, trail)
      used = who.trail
      return secrets.handle(request, who)
    })
    if (handled instanceof Refusal) return withText(known(handled), request.path)
    const told = toldOf(handled, used, request)
    const isAsked = !(told instanceof Refusal) && Boolean(told.answer.auth?.mfa_requirement)
    if (isAsked) throw ASKED_FOR_MORE
    return told
  }

  /** The same, where an error with data is an error. */
  async get(call: GrpcCall, asked: Asked): Promise<Told | Refusal> {
    const told = await this.ask(call, asked)
    if (told instanceof Refusal || told.status < 400) return told
    const { errors = [] } = told.answer
    return withText(new Refusal(told.status, errors.join('\n')), told.request.path)
  }

  /** Keeps a record of how something ended that a request began. */
  async note(
    { request, trail }: Pick<Told, 'request' | 'trail'>,
    stream: NonNullable<Trail['stream']>,
    refusal: Refusal | undefined,
  ): Promise<void> {
    const { audit } = this.#ports
    if (audit === undefined) return
    const quiet = { ...request, data: {} }
    const sent = { bodySizeBytes: 0, face: FACE }
    const caller = new SecretsCaller(quiet, METHODS[request.operation], sent)
    const { barrier, plan, who } = trail
    Object.assign(caller.trail, { barrier, plan, who, stream })
    const { status = 200, text } = refusal ?? {}
    await audit.answered(caller, { status, ...(text !== undefined && { reason: text }) })
  }

  /** What a request leads to, if it may be made now; nothing is done or recorded. */
  permits(request: SecretsRequest): Plan | Refusal {
    return this.#ports.secrets.permits(request)
  }
}

const FACE = 'grpc'

/** There is no message for what is asked for: what is shown goes with the login. */
const ASKED_FOR_MORE = new GrpcFailure(
  'FAILED_PRECONDITION',
  'a second factor is asked for: show it in the metadata x-vault-mfa',
  { reason: 'SECOND_FACTOR' },
)

/** A token that is nobody's is another matter than a right that lacks: one may log in again. */
function known(refusal: Refusal): Refusal {
  if (refusal.status !== INVALID.status || refusal.text !== INVALID.text) return refusal
  throw new GrpcFailure('UNAUTHENTICATED', refusal.text, { reason: 'INVALID_TOKEN' })
}

/** The request of a call; a refusal has a text. */
export function requestOf(
  call: GrpcCall,
  { operation, path: written, namespace, data = {}, wrapTtlSeconds = 0, ...more }: Asked,
): SecretsRequest | Refusal {
  const name = canonicalPath(written)
  if (name instanceof Refusal) return withText(name, '')
  const path = pathFor(operation, name)
  if (path instanceof Refusal) return path
  const headers = PASSED.map(one => [one, call.header(one)] as const)
  const { token = call.token } = more
  const facts: RequestFacts = {
    id: more.id ?? call.id,
    remote: call.remote,
    wrapTtlMs: wrapTtlSeconds === 0 ? undefined : wrapTtlSeconds * 1_000,
    headers: Object.fromEntries(headers.filter(([, value]) => value !== undefined)),
    isList: operation === 'list' || operation === 'scan',
    get signal() {
      return call.signal
    },
  }
  const where = namespace || (call.header(NAMESPACE) ?? '')
  return { operation, path, namespace: where, token, data, facts }
}

/** Of a call's metadata: what a request over HTTP says in headers. */
const PASSED = ['x-vault-policy-override', MFA_HEADER]
const NAMESPACE = 'x-vault-namespace'

/** The JSON object that a message carries. */
export const objectOf = (bytes: Buffer): JsonObject | Refusal => dataOf('application/json', bytes)

/** A refusal as it is told where there is nothing but its text. */
function withText(refusal: Refusal, path: string): Refusal {
  if (refusal.text !== '') return refusal
  if (refusal.status === 404) return new Refusal(404, `no value found at ${path}`)
  return new Refusal(refusal.status, refusal.status === 400 ? 'malformed path' : 'refused')
}

const GOES_ON = new Refusal(501, 'not served yet: answers that go on, over gRPC')

function toldOf(handled: Rendered, trail: Trail, request: SecretsRequest): Told | Refusal {
  const { status, body, type, headers, parts } = handled
  if (parts !== undefined) {
    void letGo(parts)
    return GOES_ON
  }
  const answer = saysSomething(trail.answer) ?? envelopeIn(body, type)
  if (answer === undefined && status >= 400) return refusalOf(status, body, headers, request)
  const mountType = trail.plan?.mount?.type ?? ''
  const isWhole = answer === undefined && body.length > 0
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return {
    ...{ id: request.facts.id, status, answer: answer ?? NOTHING, mountType, trail, request },
    wrapped: answer?.wrapped,
    body: isWhole ? { bytes, type } : undefined,
  }
}

/** An answer that goes into an envelope. */
function saysSomething(answer: Answer | undefined): Answer | undefined {
  const says =
    answer !== undefined &&
    (answer.data !== undefined ||
      answer.dataText !== undefined ||
      answer.auth !== undefined ||
      answer.lease !== undefined ||
      answer.wrapped !== undefined ||
      (answer.warnings ?? []).length > 0)
  return says ? answer : undefined
}

/** What an envelope says that came rendered: of what is unwrapped, or while sealed. */
function envelopeIn(body: string | Buffer, type: string): Answer | undefined {
  const text = body.toString()
  if (type !== 'application/json' || !text.includes('"request_id"')) return undefined
  const said = parseExact(text) as Envelope | null
  if (said === null || typeof said !== 'object' || !Object.hasOwn(said, 'lease_id'))
    return undefined
  const { data, auth, warnings, wrap_info: wrapped } = said
  const lease = { id: said.lease_id, renewable: said.renewable, durationS: said.lease_duration }
  return {
    ...(data !== null && { data }),
    ...(auth !== null && { auth }),
    ...(lease.id !== '' && { lease }),
    ...(wrapped !== null && { wrapped }),
    ...(warnings !== null && { warnings }),
  }
}

interface Envelope {
  readonly lease_id: string
  readonly renewable: boolean
  readonly lease_duration: number
  readonly data: NonNullable<Answer['data']> | null
  readonly auth: Auth | null
  readonly warnings: readonly string[] | null
  readonly wrap_info: Wrapped | null
}

const NOTHING: Answer = {}

/** What an answer that is nothing but an error says. */
function refusalOf(
  status: number,
  body: string | Buffer,
  headers: Rendered['headers'],
  { path }: SecretsRequest,
): Refusal {
  const text = errorsIn(body)
  const retryS = Number(headers?.['Retry-After'])
  if (status === 429 && retryS > 0) {
    const quota = { subject: path, text }
    throw new GrpcFailure('RESOURCE_EXHAUSTED', text, { retryMs: retryS * 1_000, quota })
  }
  return withText(new Refusal(status, text), path)
}

function errorsIn(body: string | Buffer): string {
  try {
    const parsed = JSON.parse(body.toString()) as { errors?: unknown }
    if (Array.isArray(parsed.errors)) return parsed.errors.join('\n')
    // The health of a server that is sealed is no envelope.
    if ((parsed as { sealed?: unknown }).sealed === true) return 'Vault is sealed'
  } catch {
    // It has no body, or one that is for its own clients.
  }
  return ''
}

/** The bytes of an answer's data; none where there is none. */
export function dataBytes({ dataText, data }: Answer): Buffer {
  if (dataText !== undefined) return Buffer.from(dataText)
  return data === undefined ? NO_BYTES : Buffer.from(stringifyExact(data))
}

const NO_BYTES = Buffer.alloc(0)

/** What an answer's data says, for who gives it types. */
export function dataIn<T>({ dataText, data }: Answer): Partial<T> {
  return (dataText === undefined ? (data ?? {}) : JSON.parse(dataText)) as Partial<T>
}
