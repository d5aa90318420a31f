/**
 * The way of a call, one step after the other, the same for every method:
 * size -> rate -> authenticate -> parse -> authorize -> run -> audit -> answer.
 *
 * Owns that order (the size is base's to see to), what every answer carries, and the end of
 * calls whose right to go on is over. Must not know any method.
 */
import type { Audit } from '../audit/audit.run.ts'
import type { Clock, Random } from '../base/clock.ts'
import { refuse } from '../base/denied.ts'
import { messageOf, OperatingError, Refusal } from '../base/errors.ts'
import type {
  OneAnswer,
  OneRequest,
  PublicCall,
  PublicMethod,
  PublicStatus,
  StreamAnswer,
  StreamRequests,
} from '../base/io/grpc-public.ts'
import type { DefinedMethod, MessageCodec } from '../base/io/proto.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Metrics, Sample } from '../base/metrics.ts'
import type { RateGate } from '../base/request-rates.ts'
import {
  type Authority,
  Caller,
  isAnonymous,
  type Lack,
  nothingUnmet,
  type Who,
} from '../base/who.ts'
import {
  anonymous,
  type DuplexMethod,
  decidedInside,
  type Given,
  type GrpcCall,
  GrpcFailure,
  type GrpcIn,
  type GrpcMethod,
  type ServerStreamMethod,
  type UnaryMethod,
} from './declare.ts'
import type { DetailsEncoder } from './details.ts'
import { GivenCall } from './given.ts'
import { undeclaredText } from './later.ts'
import { type Ending, endingOf, refused } from './status.ts'
import { OutStream } from './stream.ts'

export interface GrpcPipelineOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Who makes a call, by the token that it shows. */
  readonly authority: Authority
  /** Keeps records of what is answered; nothing is recorded without one. */
  readonly audit?: Pick<Audit, 'answered'>
  /** How many requests are taken; shared with the other faces of the store. */
  readonly rates: RateGate
}

/** A method with all that its calls need. */
interface Served<M extends GrpcMethod> {
  readonly method: M
  readonly codec: DefinedMethod
  readonly times: Sample
}

type Metadata = Readonly<Record<string, string>>

export class GrpcPipeline {
  readonly #options: GrpcPipelineOptions
  readonly #details: DetailsEncoder
  /** Ids of calls are this and a number: unlike those of any other process. */
  readonly #idPrefix: string
  #calls = 0
  readonly #streams = new Set<OutStream>()
  #isStopping = false

  constructor(options: GrpcPipelineOptions, details: DetailsEncoder) {
    this.#options = options
    this.#details = details
    this.#idPrefix = `${options.random.uuid().slice(0, 13)}-g`
  }

  /** A method as the wire has it. */
  serve(method: GrpcMethod, codec: DefinedMethod): PublicMethod {
    const times = this.#options.metrics.sample(
      'api.grpc',
      'Milliseconds that a call of gRPC took.',
      { method: method.path },
    )
    if (method.form === 'unary') {
      const served = { method, codec, times }
      return { form: 'unary', take: (call, answer) => this.#unary(served, call, answer) }
    }
    if (method.form === 'server-stream') {
      const served = { method, codec, times }
      return {
        form: 'server-stream',
        isPaced: method.isPaced === true,
        take: (call, answer) => this.#answers(served, call, answer),
      }
    }
    const served = { method, codec, times }
    return { form: 'duplex', take: (call, answer) => this.#duplex(served, call, answer) }
  }

  /** What answers a call of a method that nobody declared. */
  unknown(call: PublicCall): PublicStatus {
    const { rates } = this.#options
    const refusal = rates.refuseClient('read', call.remote) ?? rates.refuse('read')
    const text = undeclaredText(call.path)
    const ending = refusal === undefined ? refused('UNIMPLEMENTED', text) : endingOf(refusal)
    return this.statusOf(ending, this.nextId())
  }

  /** Ends all streams; calls that are under way go on, new ones are refused. */
  stop(): void {
    this.#isStopping = true
    for (const stream of [...this.#streams]) stream.end(STOPPING)
  }

  /** How many streams are open. */
  get streams(): number {
    return this.#streams.size
  }

  // --- one question, one answer

  #unary(
    { method, codec, times }: Served<UnaryMethod<object, object>>,
    call: OneRequest,
    answer: OneAnswer,
  ): void {
    const { clock } = this.#options
    const beganMs = clock.monotonic()
    const given = new GivenCall(method, call, call.id ?? this.nextId())
    const done = (): void => times.add(clock.monotonic() - beganMs)
    const fail = (error: unknown): void => {
      done()
      this.#refuse(method, given, error, status => answer.refuse(status))
    }
    const run = (): void => {
      const request = this.#admitted(method, codec.request, given, call.request)
      const finish = (result: object | Refusal): void => {
        if (result instanceof Refusal) {
          fail(result)
          return
        }
        const message = encoded(codec.answer, result)
        done()
        this.#audited(method, given, () =>
          answer.answer(message, this.#trailers(method, given)),
        )?.catch(fail)
      }
      const result = method.run(request, given)
      if (result instanceof Promise) result.then(finish).catch(fail)
      else finish(result)
    }
    this.#whenKnown(method, given, run, fail)
  }

  // --- one question, many answers

  #answers(
    { method, codec, times }: Served<ServerStreamMethod<object, object>>,
    call: OneRequest,
    answer: StreamAnswer,
  ): void {
    const given = new GivenCall(method, call, call.id ?? this.nextId())
    const out = this.#stream({ method, codec, times }, given, answer)
    const run = (): void => {
      // It left while its token was looked for: nothing would tell of it again.
      if (out.isOver) return
      const request = this.#admitted(method, codec.request, given, call.request)
      this.#watch(method, given, out)
      const ended = (result: Given): void => out.end(result ?? undefined)
      const result = method.run(request, given, out)
      if (result instanceof Promise) result.then(ended).catch((error: unknown) => out.end(error))
      else ended(result)
    }
    this.#whenKnown(method, given, run, error => out.end(error))
  }

  // --- many questions

  #duplex(
    { method, codec, times }: Served<DuplexMethod<object, object>>,
    call: PublicCall,
    answer: StreamAnswer,
  ): StreamRequests {
    const given = new GivenCall(method, call, call.id ?? this.nextId())
    const out = this.#stream({ method, codec, times }, given, answer)
    const open = (): Opened => {
      if (out.isOver) throw LEFT
      this.#admitted(method, codec.request, given, undefined)
      this.#watch(method, given, out)
      return method.open(given, out)
    }
    const unknown = this.#unknown(method, given)
    try {
      const opened = unknown === undefined ? open() : unknown.then(open)
      const incoming = new Incoming(opened, codec.request, out)
      call.onOver(() => incoming.end())
      return incoming
    } catch (error) {
      out.end(error)
      return IGNORED
    }
  }

  /** Where others are asked whose a token is: a promise that they said it. */
  #unknown({ access }: GrpcMethod, { token }: GrpcCall): Promise<void> | undefined {
    return access === decidedInside ? undefined : this.#options.authority.ready?.(token)
  }

  /** Runs once it may be known who calls; what is thrown fails the call. */
  #whenKnown(
    method: GrpcMethod,
    given: GivenCall,
    run: () => void,
    fail: (error: unknown) => void,
  ): void {
    const unknown = this.#unknown(method, given)
    if (unknown !== undefined) {
      unknown.then(run).catch(fail)
      return
    }
    try {
      run()
    } catch (error) {
      fail(error)
    }
  }

  #stream(
    { method, codec, times }: Served<GrpcMethod>,
    given: GivenCall,
    answer: StreamAnswer,
  ): OutStream {
    const { clock } = this.#options
    const beganMs = clock.monotonic()
    const out: OutStream = new OutStream(answer, codec.answer, {
      head: { [ID]: given.id },
      recorded: () => this.#recorded(method, given, { status: 200 }),
      refuse: error => {
        this.#refuse(method, given, error, status => out.finish(status))
      },
      over: () => {
        if (!this.#streams.delete(out)) return
        times.add(clock.monotonic() - beganMs)
        given.leave()
      },
    })
    this.#streams.add(out)
    given.signal.addEventListener('abort', () => out.leave(), { once: true })
    return out
  }

  /** What goes on ends with the rights that it began with. */
  #watch(method: GrpcMethod, given: GivenCall, out: OutStream): void {
    if (method.access === decidedInside || method.followsRights === true) return
    const { authority } = this.#options
    const { principal } = given.who
    const unwatch = authority.watch(principal, () => {
      const who = this.#authenticate(method, given.token)
      if (who instanceof Refusal) out.end(who)
      else if (who.rights === principal.rights) this.#watch(method, given, out)
      else out.end(CHANGED)
    })
    given.signal.addEventListener('abort', unwatch, { once: true })
  }

  // --- the steps

  /** An id that no other call has. */
  nextId(): string {
    return `${this.#idPrefix}${(this.#calls++).toString(36)}`
  }

  /** Goes through the steps before a call runs; gives its request. Throws what ends it. */
  #admitted(
    method: GrpcMethod,
    codec: MessageCodec,
    given: GivenCall,
    message: Buffer | undefined,
  ): object {
    if (this.#isStopping) throw STOPPING
    const { facts } = given
    if (method.isOfAgent === true && facts.forwarder !== undefined) throw ELSEWHERE
    const refusal = this.#refuseRate(method, given)
    if (refusal !== undefined) throw refusal
    facts.bodySizeBytes = message?.length ?? 0
    const isInside = method.access === decidedInside
    if (!isInside) {
      const who = this.#authenticate(method, given.token)
      if (who instanceof Refusal) throw who
      given.who = new Caller(who, facts)
    }
    const request = message === undefined ? {} : decoded(codec, message)
    facts.body = request
    facts.name = method.nameOf?.(request as never) ?? ''
    if (isInside) return request
    const denied = refuse(given.who, method.access(request as never))
    if (denied !== undefined) throw denied
    return request
  }

  #refuseRate({ effect, isUnrated }: GrpcMethod, { remote }: GrpcCall): Refusal | undefined {
    const { rates } = this.#options
    if (isUnrated === true || !rates.isRated) return undefined
    const kind = effect === 'reads' ? 'read' : 'write'
    return rates.refuseClient(kind, remote) ?? rates.refuse(kind)
  }

  /** As in HTTP: a token that nobody has is none where no right is asked for. */
  #authenticate({ access }: GrpcMethod, token: string): Who | Refusal {
    const { authority } = this.#options
    const who = authority.authenticate(token)
    if (!(who instanceof Refusal)) return who
    if (access === anonymous) return authority.authenticate('')
    // Where nobody can tell whose it is, it may be tried again as it is.
    return who.status === 503 ? who : new Refusal(401, who.text)
  }

  /** Records what was answered; undefined where nothing has to be waited for. */
  #recorded(
    { access }: GrpcMethod,
    { who }: GrpcCall,
    answered: { readonly status: number; readonly reason?: string },
  ): Promise<void> | undefined {
    // The secrets' room sees to its records: it alone knows what they may say.
    return access === decidedInside ? undefined : this.#options.audit?.answered(who, answered)
  }

  /** Answers once all is recorded that has to be. */
  #audited(method: GrpcMethod, given: GivenCall, send: () => void): Promise<void> | undefined {
    const waiting = this.#recorded(method, given, { status: 200 })
    if (waiting !== undefined) return waiting.then(send)
    send()
    return undefined
  }

  /** Ends a call with a refusal or a fault, once that is recorded. */
  #refuse(
    method: GrpcMethod,
    given: GivenCall,
    error: unknown,
    send: (status: PublicStatus) => void,
  ): void {
    const ending = endingOf(error)
    if (isOurs(error)) {
      const fields = { method: method.path, error: messageOf(error) }
      this.#options.log.error('a call failed', fields)
    }
    this.#explain(given, ending)
    const status = this.statusOf(ending, given.id)
    const answered = { status: ending.status, reason: ending.text }
    const waiting = this.#recorded(method, given, answered)
    if (waiting === undefined) send(status)
    else waiting.then(() => send(status)).catch(() => send(status))
  }

  /** Keeps why a call was refused, so that it can be explained under its id. */
  #explain({ id, who, remote }: GivenCall, { status, text }: Ending): void {
    if (status === TOO_MANY_STATUS) {
      const { operation } = who.request
      const nothing = { name: '', lacking: [], count: 0, unmet: nothingUnmet }
      const turnedAway = { status, reason: text, remote }
      const what = { id, who: who.principal, operation, outcome: 'refused' as const, turnedAway }
      this.#options.authority.note({ ...what, ...nothing })
      return
    }
    const { rights, count } = who.lacked
    const isExplained = count > 0 || who.request.refusedBy !== undefined
    if (status !== 403 || !isExplained) return
    this.#note(id, who, { outcome: 'refused', lacking: rights, count })
  }

  #note(
    id: string,
    { principal, request }: Caller,
    what: Pick<Lack, 'outcome' | 'lacking' | 'count'>,
  ): void {
    const { operation, name, advisories, overridden, refusedBy } = request
    const unmet = { advisories, overridden, refusedBy }
    this.#options.authority.note({ id, who: principal, operation, name, unmet, ...what })
  }

  /** What an answer carries behind its message. */
  #trailers(method: GrpcMethod, { id, who }: GivenCall): Metadata {
    const { lacked, request } = who
    const { advisories, overridden } = request
    if (lacked.count === 0 && advisories.length === 0 && overridden.length === 0) {
      return { [ID]: id }
    }
    const trailers: Record<string, string> = { [ID]: id }
    if (lacked.count > 0 && method.effect === 'reads') {
      this.#note(id, who, { outcome: 'filtered', lacking: lacked.rights, count: lacked.count })
      if (!isAnonymous(who)) trailers[FILTERED] = 'true'
    } else if (advisories.length > 0 || overridden.length > 0) {
      this.#note(id, who, { outcome: 'allowed', lacking: [], count: 0 })
    }
    if (advisories.length > 0) trailers[ADVISORY] = advisories.join(', ')
    return trailers
  }

  /** How a call of this id ends, as the wire has it. */
  statusOf(ending: Ending, id: string): PublicStatus {
    const { code } = ending
    // Clients bound what they read; and not every text can be written in a header.
    const text = ending.text.slice(0, limits.grpcTextChars).toWellFormed()
    const details = this.#details.encode({ ...ending, text }, id)
    return { code, text, metadata: { [ID]: id, 'grpc-status-details-bin': details } }
  }
}

const ID = 'x-request-id'
const TOO_MANY_STATUS = 429
const FILTERED = 'x-consul-results-filtered-by-acls'
const ADVISORY = 'x-gatehouse-advisory'

const STOPPING = new GrpcFailure('UNAVAILABLE', 'the server is stopping', { reason: 'STOPPING' })
/** Nobody is told that any more. */
const LEFT = new GrpcFailure('CANCELLED', 'the client has left')
const ELSEWHERE = new GrpcFailure(
  'UNIMPLEMENTED',
  'this is for the agent that was called to answer',
)
const CHANGED = new GrpcFailure(
  'PERMISSION_DENIED',
  'the rights of the token changed: call again',
  { reason: 'RIGHTS_CHANGED' },
)
const IGNORED: StreamRequests = { onMessage: () => {}, onHalfClose: () => {} }

/** Whether something is wrong with this program, rather than with the call or the world. */
const isOurs = (error: unknown): boolean =>
  !(error instanceof Refusal || error instanceof GrpcFailure || error instanceof OperatingError)

function decoded(codec: MessageCodec, message: Buffer): object {
  try {
    return codec.decode(message)
  } catch {
    throw new GrpcFailure('INVALID_ARGUMENT', 'the message is not one of this method', {
      reason: 'UNREADABLE',
    })
  }
}

const encoded = (codec: MessageCodec, answer: object): Buffer =>
  Buffer.isBuffer(answer) ? answer : codec.encode(answer)

type Opened = ReturnType<DuplexMethod<object, object>['open']>

/** Messages of a stream on their way to whoever opened it. */
class Incoming implements StreamRequests {
  readonly #codec: MessageCodec
  readonly #out: OutStream
  #taker: GrpcIn<object> | undefined
  readonly #opened: Promise<void> | undefined
  #isEnded = false

  constructor(opened: Opened, codec: MessageCodec, out: OutStream) {
    this.#codec = codec
    this.#out = out
    if (opened instanceof Promise) {
      this.#opened = opened
        .then(taker => this.#begin(taker))
        .catch((error: unknown) => out.end(error))
    } else this.#begin(opened)
  }

  onMessage(message: Buffer): void | Promise<void> {
    if (this.#taker === undefined) return this.#opened?.then(() => this.#take(message))
    return this.#take(message)
  }

  onHalfClose(): void {
    if (this.#opened === undefined || this.#taker !== undefined) this.end()
    else void this.#opened.then(() => this.end())
  }

  /** Tells that nothing more comes, once. */
  end(): void {
    if (this.#isEnded || this.#taker === undefined) return
    this.#isEnded = true
    try {
      this.#taker.onEnd()
    } catch (error) {
      this.#out.end(error)
    }
  }

  #begin(taker: GrpcIn<object> | Refusal): void {
    if (taker instanceof Refusal) this.#out.end(taker)
    else this.#taker = taker
    if (this.#out.isOver) this.end()
  }

  #take(message: Buffer): void | Promise<void> {
    if (this.#taker === undefined || this.#out.isOver) return undefined
    try {
      const taken = this.#taker.onMessage(decoded(this.#codec, message))
      return taken?.catch((error: unknown) => this.#out.end(error))
    } catch (error) {
      this.#out.end(error)
      return undefined
    }
  }
}
