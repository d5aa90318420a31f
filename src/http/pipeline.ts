/**
 * The way of a request, one step after the other, the same for every path:
 * size -> parse -> authenticate -> view at the read index -> decide or read -> audit -> reply.
 *
 * Owns that order, the headers that every answer carries, and the translation of refusals and
 * faults into what clients match on. Must not know any path.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Audit } from '../audit/audit.run.ts'
import type { Answered } from '../audit/record.ts'
import { letGo } from '../base/begun.ts'
import { type PublicIndex, publicIndex, revision } from '../base/brand.ts'
import { fromText } from '../base/bytes.ts'
import type { Clock, Random } from '../base/clock.ts'
import { denied } from '../base/denied.ts'
import { messageOf, OperatingError, Refusal } from '../base/errors.ts'
import { answerAgain, type Kept } from '../base/io/answer-again.ts'
import type { NameRefused } from '../base/io/http-listener.ts'
import { endText, endWhole } from '../base/io/one-piece.ts'
import { leaveTogether } from '../base/io/together.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Counter, Sample } from '../base/metrics.ts'
import {
  type Access,
  type Authority,
  Caller,
  isAnonymous,
  type Lack,
  nothingUnmet,
  principalOf,
  type RequestFacts,
  type Who,
} from '../base/who.ts'
import { type Asked, type Asker, type AskOptions, Consistency, Departure } from '../store/ask.ts'
import type { Age } from '../store/freshness.ts'
import { bodyOf, piecesOf } from './body.ts'
import { type Contact, contactOf } from './contact.ts'
import {
  type Acted,
  type Acting,
  type ActingRequest,
  type Asking,
  anonymous,
  type Operation,
  type PathDeclaration,
  type Reading,
  type Request,
} from './declare.ts'
import { faultReply } from './fault.ts'
import { forwarderOf } from './forwarded.ts'
import { acceptsGzip, refuseCacheControl, refuseHeaders, sourceIpOf } from './headers.ts'
import { type OpenPart, pathIn, queryIn, readOpenPart } from './path.ts'
import { type PushedReply, push } from './push.ts'
import { parseQuery, type QueryOf, type readParameters } from './query.ts'
import {
  cacheLinesOf,
  FAILED_READ_HEADERS,
  FILTERED_LINES,
  indexToPass,
  interestsOf,
  keptOptions,
  type Meta,
  metaOf,
  placeContact,
  refuseModes,
  tellContact,
  withMeta,
} from './read-meta.ts'
import { AnswerCache, gzipOf, pieceOf, type Rendered, rendered } from './render.ts'
import { connectionOf, factsOf, NOBODY, shownBy, unmetOf } from './request-facts.ts'
import { OpenStreams } from './stream.ts'
import { allowedAgeMs, type HttpViews, mayTakeKept } from './views.ts'

export interface PipelineOptions {
  readonly asker: Asker
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
  /** Who sends a request, by the token that it shows. */
  readonly authority: Authority
  /** Keeps records of what is answered; nothing is recorded without one. */
  readonly audit?: Pick<Audit, 'answered' | 'wantsRead'>
  readonly datacenter: string
  readonly pretty: boolean
  readonly queryWaitDefaultMs: number
  readonly queryWaitMaxMs: number
  /** Whether `cached` is answered as a cache does it. */
  readonly usesCache: boolean
  /** Reads of catalog and health that say nothing else may be so old; 0: they may not. */
  readonly discoveryMaxStaleMs: number
  /** Headers that the configuration adds to every answer. */
  readonly responseHeaders: Readonly<Record<string, string>>
  /** Whether characters of a path that cannot be printed are let through. */
  readonly takesUnprintable: boolean
  /** Of an agent that keeps a part of a store: it has servers answer what that cannot. */
  readonly views?: HttpViews
}

/** What may change while the server runs. */
export type HttpSettings = Pick<
  PipelineOptions,
  | 'pretty'
  | 'queryWaitDefaultMs'
  | 'queryWaitMaxMs'
  | 'usesCache'
  | 'discoveryMaxStaleMs'
  | 'responseHeaders'
>

/** The parts of a request that a route hands in. `body` is whole and within its bound. */
export interface Incoming {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
}

type Handler = (incoming: Incoming) => void

/** What stands before and behind the open part of a path. */
export interface FixedParts {
  readonly prefix: string
  readonly suffix: string
  /** The declared path with its method. */
  readonly operation: string
  /** Whether it is declared as one. */
  readonly isRenewal: boolean
  readonly where: PathDeclaration['where']
}

type ReadQuery = QueryOf<typeof readParameters>

/** A question with all that its rendering depends on. */
interface HttpQuestion {
  /** Of the store that answers, or of the part of one. */
  readonly asker: Asker
  /** Whether what an agent keeps answers, and whether that was there already. */
  readonly kept: 'hit' | 'miss' | undefined
  readonly asking: Asking
  /** Whose rights the answer depends on: the first of those who are equal in that. */
  readonly caller: Caller
  readonly key: string
  readonly pretty: boolean
  readonly options: AskOptions
  readonly meta: Meta
}

/** What the header lines of one answer to a read are made of. */
interface ReadLines {
  readonly meta: Meta
  readonly cacheLines: readonly string[]
  /** Whom it goes to; the question may have been somebody's with the same rights. */
  readonly who: Who
  readonly facts: RequestFacts
  readonly contact: Contact
}

export class Pipeline {
  #options: PipelineOptions
  #cache = new AnswerCache()
  /** Questions by rights and raw URL: a repeated plain GET goes from here to its answer. */
  #known = new Map<string, HttpQuestion>()
  #extraLines: readonly string[]
  /** Of the last question that was made. */
  #lastKey = ''
  readonly #streams: OpenStreams
  /** Ids of requests are this and a number: unlike those of any other process. */
  readonly #idPrefix: string
  #requests = 0

  constructor(options: PipelineOptions) {
    this.#options = options
    this.#streams = new OpenStreams(options.log)
    this.#extraLines = Object.entries(options.responseHeaders).flat()
    this.#idPrefix = `${options.random.uuid().slice(0, 13)}-`
  }

  /** Takes over changed settings; answers that were kept are made anew. */
  configure(settings: HttpSettings): void {
    this.#options = { ...this.#options, ...settings }
    this.#extraLines = Object.entries(settings.responseHeaders).flat()
    this.#cache = new AnswerCache()
    this.#known = new Map()
  }

  /** The same handler, counted, and with the time that each answer takes going to a sample. */
  counted(handle: Handler, sample: Sample, counters: readonly Counter[]): Handler {
    const { clock } = this.#options
    return incoming => {
      const response: Tracked = incoming.response
      response.timing = { sample, clock, beganMs: clock.monotonic() }
      for (const counter of counters) counter.add()
      handle(incoming)
      response.isLate = true
    }
  }

  /** Ends the answers that would go on. */
  stopStreams(): void {
    this.#streams.stop()
  }

  /** How many answers go on now. */
  get streams(): number {
    return this.#streams.size
  }

  /** The handler of a reading operation. */
  reading(operation: Reading<typeof readParameters>, fixed: FixedParts): Handler {
    const { views } = this.#options
    if (views !== undefined && fixed.where === 'servers') {
      return this.#readingKept(operation, fixed, views)
    }
    return this.#guarded(true, ({ message, response }) => {
      const incoming = { message, response, body: NO_BODY }
      const who = this.#admit(operation, fixed, incoming)
      if (who === undefined) return
      const url = message.url ?? ''
      const known = this.#known.get(`${who.rights}\n${url}`)
      if (known !== undefined && hasPlainHeaders(message)) {
        const asked = this.#options.asker.now(known.asking.question, known.options)
        if (asked !== undefined) {
          this.#finish(incoming, known, asked, who)
          return
        }
        // A stale one whose view became too old is another question now.
        if (known.options.consistency !== Consistency.stale) {
          this.#confirm(operation, fixed, incoming, known)
          return
        }
      }
      this.#readParsed(operation, fixed, incoming, who)
    })
  }

  #readParsed(
    operation: Reading<typeof readParameters>,
    fixed: FixedParts,
    incoming: Incoming,
    who: Who,
  ): void {
    const request = this.#parseRead(operation, fixed, incoming, who)
    if (request !== undefined) this.#read(operation, request, incoming)
  }

  /** Who asks; undefined where that is refused, which is answered then. */
  #admit(operation: Operation, fixed: FixedParts, incoming: Incoming): Who | undefined {
    const { message, response } = incoming
    const who = this.#authenticate(shownBy(message), operation, message)
    if (!(who instanceof Refusal)) return who
    this.#refuse(response, who, this.#strangerOf(incoming, fixed))
    return undefined
  }

  /** What is asked; undefined where that is refused, which is answered then. */
  #parseRead(
    operation: Reading<typeof readParameters>,
    fixed: FixedParts,
    incoming: Incoming,
    who: Who,
  ): Request<ReadQuery> | undefined {
    const { message, response } = incoming
    const parsed =
      refuseCacheControl(message.headers) ?? this.#parse(incoming, fixed, operation.query, who)
    if (!(parsed instanceof Refusal)) return parsed
    this.#refuse(response, parsed, this.#strangerOf(incoming, fixed, who))
    return undefined
  }

  /** Answers a known question that waits for no change, once the view is known to be the newest. */
  #confirm(
    operation: Reading<typeof readParameters>,
    fixed: FixedParts,
    incoming: Incoming,
    known: HttpQuestion,
  ): void {
    const { response } = incoming
    this.#options.asker.confirmed(known.asking.question, {
      answer: asked => {
        if (response.destroyed) return
        try {
          // Time went by: who asks may have other rights now, or none.
          const who = this.#admit(operation, fixed, incoming)
          if (who === undefined) return
          if (who.rights === known.caller.rights) this.#finish(incoming, known, asked, who)
          else this.#readParsed(operation, fixed, incoming, who)
        } catch (error) {
          this.#fail(response, error, true)
        }
      },
      fail: error => this.#fail(response, error, true),
    })
  }

  /** A handler whose faults are answered: nothing that it throws may leave a client waiting. */
  #guarded(read: boolean, handle: Handler): Handler {
    const handled = (incoming: Incoming): void => {
      try {
        handle(incoming)
      } catch (error) {
        this.#fail(incoming.response, error, read)
      }
    }
    const { authority } = this.#options
    if (authority.ready === undefined) return handled
    return incoming => {
      const unknown = authority.ready?.(shownBy(incoming.message))
      if (unknown === undefined) handled(incoming)
      else void unknown.then(() => handled(incoming))
    }
  }

  /** The handler of a reading operation on an agent that keeps a part of a store. */
  #readingKept(
    operation: Reading<typeof readParameters>,
    fixed: FixedParts,
    views: HttpViews,
  ): Handler {
    const read = this.#guarded(true, incoming => this.#readKept(operation, fixed, views, incoming))
    return ({ message, response }) => {
      const { discoveryMaxStaleMs } = this.#options
      const incoming = { message, response, body: NO_BODY }
      if (mayTakeKept(message.url ?? '', discoveryMaxStaleMs)) read(incoming)
      else this.#forward(views, incoming)
    }
  }

  /** Answers from what is kept, where that may be and can; else a server does. */
  #readKept(
    operation: Reading<typeof readParameters>,
    fixed: FixedParts,
    views: HttpViews,
    incoming: Incoming,
  ): void {
    const { message, response } = incoming
    const forward = (): void => this.#forward(views, incoming)
    const who = this.#admit(operation, fixed, incoming)
    const parsed = who && this.#parseRead(operation, fixed, incoming, who)
    if (parsed === undefined) return
    const asking = refuseModes(parsed.query) ?? operation.ask(parsed)
    if (asking instanceof Refusal) {
      this.#refuse(response, asking, parsed.who)
      return
    }
    const interests = interestsOf(asking)
    const allowedMs = this.#allowedAgeMs(operation, parsed.query, message)
    if (interests === undefined || allowedMs === undefined || views.asker.age.ageMs() > allowedMs) {
      forward()
      return
    }
    const answer = (kept: 'hit' | 'miss'): void => {
      const question = this.#question(operation, parsed, asking, views.asker, kept)
      this.#ask(operation, parsed, incoming, question)
    }
    const lacking = views.ensure(interests, shownBy(message))
    if (lacking === undefined) answer('hit')
    else {
      lacking
        .then(() => answer('miss'), forward)
        .catch((error: unknown) => this.#fail(response, error, true))
    }
  }

  #forward(views: HttpViews, { message, response }: Incoming): void {
    views.forward(message, response, (status, text, headers) =>
      this.plain(response, status, text, headers),
    )
  }

  #allowedAgeMs(
    operation: Reading<typeof readParameters>,
    query: ReadQuery,
    { headers }: IncomingMessage,
  ): number | undefined {
    const { usesCache, discoveryMaxStaleMs } = this.#options
    const isCached = usesCache && operation.cached === true
    const ofDiscoveryMs = operation.effective === true ? discoveryMaxStaleMs : 0
    return allowedAgeMs(query, { isCached, ofDiscoveryMs }, headers)
  }

  #read(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
  ): void {
    const { query, who } = request
    const asking = refuseModes(query) ?? operation.ask(request)
    if (asking instanceof Refusal) {
      this.#refuse(incoming.response, asking, who)
      return
    }
    const question = this.#question(operation, request, asking, this.#options.asker)
    this.#ask(operation, request, incoming, question)
  }

  #question(
    operation: Reading<typeof readParameters>,
    { query, who }: Request<ReadQuery>,
    asking: Asking,
    asker: Asker,
    kept?: 'hit' | 'miss',
  ): HttpQuestion {
    const pretty = query.pretty || this.#options.pretty
    const variant = `${asking.variant ?? ''}${pretty ? ' pretty' : ''}`
    const given = this.#askOptions(operation, query, indexToPass(asker, asking, query))
    const options = kept === undefined ? given : keptOptions(given)
    return {
      ...{ asker, kept, asking, caller: who, pretty, options },
      key: this.#shared(`${who.rights}\n${asking.question.key}\n${variant}`),
      meta: metaOf(operation, asking, options, query.cached && this.#options.usesCache),
    }
  }

  /** Thousands who wait for the same hold one text, which is found without being hashed anew. */
  #shared(key: string): string {
    if (key !== this.#lastKey) this.#lastKey = key
    return this.#lastKey
  }

  #ask(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
    question: HttpQuestion,
  ): void {
    const { query, who } = request
    const { asker, asking, options, kept } = question
    const isPlain =
      query.index === 0 &&
      options.index === 0 &&
      asking.hash === undefined &&
      asking.isPassing !== true
    // It could be answered from a view that is younger.
    const isOnlyNow = options.consistency !== Consistency.stale && options.maxAgeMs !== undefined
    // What is kept may go: then it has to be looked for first.
    if (isPlain && !isOnlyNow && kept === undefined) {
      this.#remember(`${who.rights}\n${incoming.message.url}`, question)
    }
    const asked = asker.now(asking.question, options)
    if (asked === undefined) {
      this.#wait(operation, request, incoming, question)
      return
    }
    this.#finish(incoming, question, asked, who)
  }

  /** Waits for the answer; whoever loses a right meanwhile does not wait on. */
  #wait(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
    question: HttpQuestion,
  ): void {
    const { authority } = this.#options
    const { response } = incoming
    // It left while something else was waited for: nothing would tell of it again.
    if (response.destroyed) return
    const departure = new Departure()
    response.on('close', () => departure.leave())
    const unwatch = authority.watch(question.caller.principal, () => departure.leave())
    question.asker.ask(question.asking.question, question.options, departure, {
      answer: late => {
        unwatch()
        if (response.destroyed) return
        try {
          this.#answerLate(operation, request, incoming, question, late)
        } catch (error) {
          this.#fail(response, error, true)
        }
      },
      fail: error => {
        unwatch()
        this.#fail(response, error, true)
      },
    })
  }

  /** Answers what was waited for, or sees to it that somebody does. */
  #answerLate(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
    question: HttpQuestion,
    late: Asked,
  ): void {
    const { message, response } = incoming
    if (question.kept !== undefined && this.#isGone(operation, request, incoming, question)) return
    // Time went by: who asks may have other rights now, or none.
    const who = this.#authenticate(shownBy(message), operation, message)
    if (who instanceof Refusal) this.#refuse(response, who, question.caller)
    else if (who.rights === question.caller.rights) this.#finish(incoming, question, late, who)
    else this.#askAnew(operation, request, incoming, question, late, who)
  }

  /**
   * Whether what was waited for went meanwhile, as when the agent itself lost a right: then it is
   * seen to once it is here again, by a server if it does not come.
   */
  #isGone(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
    question: HttpQuestion,
  ): boolean {
    const { message, response } = incoming
    const { views } = this.#options
    const interests = interestsOf(question.asking) ?? []
    const lacking = views?.ensure(interests, shownBy(message))
    if (views === undefined || lacking === undefined) return false
    lacking
      .then(
        () => this.#ask(operation, request, incoming, question),
        () => this.#forward(views, incoming),
      )
      .catch((error: unknown) => this.#fail(response, error, true))
    return true
  }

  /** Answers what was waited for with the rights of now, and an index that tells of the change. */
  #askAnew(
    operation: Reading<typeof readParameters>,
    request: Request<ReadQuery>,
    incoming: Incoming,
    question: HttpQuestion,
    late: Asked,
    who: Who,
  ): void {
    const caller = new Caller(who, question.caller.request)
    const asking = operation.ask({ ...request, who: caller })
    if (asking instanceof Refusal) {
      this.#refuse(incoming.response, asking, caller)
      return
    }
    const key = `${who.rights}\n${asking.question.key}\n${asking.variant ?? ''} anew`
    const asked = { ...late, index: question.asker.indexOf(late.view.revision) }
    this.#finish(incoming, { ...question, asking, caller, key }, asked, who)
  }

  #remember(key: string, question: HttpQuestion): void {
    if (key.length > KNOWN_URL_CHARS) return
    if (this.#known.size >= KNOWN_URLS) this.#known = new Map()
    this.#known.set(key, question)
  }

  #askOptions(
    operation: Reading<typeof readParameters>,
    query: ReadQuery,
    index: number,
  ): AskOptions {
    const { queryWaitDefaultMs, queryWaitMaxMs, random } = this.#options
    const waitMs = Math.min(query.wait ?? queryWaitDefaultMs, queryWaitMaxMs)
    return {
      ...this.#consistencyOf(operation, query),
      index,
      // Herds that were woken together spread out again.
      waitMs: index > 0 ? waitMs + (random.fraction() * waitMs) / 16 : 0,
    }
  }

  /**
   * What the query says, else the configuration. A view that is older than it may be is no answer
   * to a stale read: then the store is asked.
   */
  #consistencyOf(
    operation: Reading<typeof readParameters>,
    query: ReadQuery,
  ): Pick<AskOptions, 'consistency' | 'maxAgeMs'> {
    const { asker, discoveryMaxStaleMs } = this.#options
    const ofDiscovery = operation.effective === true ? discoveryMaxStaleMs : 0
    const boundMs = query.max_stale ?? (query.stale ? 0 : ofDiscovery)
    if (query.consistent) return { consistency: Consistency.consistent }
    const isStale = !query.leader && (query.stale || boundMs > 0)
    if (!isStale) return { consistency: Consistency.default }
    if (boundMs > 0 && asker.age.ageMs() > boundMs) {
      return { consistency: Consistency.default, maxAgeMs: boundMs }
    }
    return boundMs > 0
      ? { consistency: Consistency.stale, maxAgeMs: boundMs }
      : { consistency: Consistency.stale }
  }

  #finish(incoming: Incoming, question: HttpQuestion, asked: Asked, who: Who): void {
    try {
      const { asking, caller, key, pretty, meta } = question
      const index = asking.ownIndex?.(asked.view) ?? asked.index
      const isKept = meta.tellsCache && asking.isFresh !== true && this.#cache.holds(key, asked)
      const isHit = question.kept === undefined ? isKept : question.kept === 'hit'
      const ageMs = question.kept === undefined ? 0 : question.asker.age.ageMs()
      const cacheLines = meta.tellsCache ? cacheLinesOf(isHit, ageMs) : NO_LINES
      const answer = this.#cache.answer(asking, asked, key, pretty, caller.lacked)
      const isStale = question.options.consistency === Consistency.stale
      const contact = contactOf(question.asker.age, isStale)
      const lines = { meta, cacheLines, who, facts: caller.request, contact }
      if (!(answer instanceof Promise)) {
        this.#sendRead(incoming, answer, index, lines)
        return
      }
      answer.then(
        late => this.#sendRead(incoming, late, index, lines),
        error => this.#fail(incoming.response, error, true),
      )
    } catch (error) {
      this.#fail(incoming.response, error, true)
    }
  }

  #sendRead(
    incoming: Incoming,
    shared: Rendered,
    index: PublicIndex | string,
    lines: ReadLines,
  ): void {
    const answer = shared.status === 403 ? namedFor(lines.who, shared) : shared
    const send = (): void => this.#sendLines(incoming, answer, index, lines)
    if (this.#options.audit?.wantsRead(answer.status) !== true) {
      send()
      return
    }
    // The question may have been asked by others before; the record is of who asks now.
    const { message, response } = incoming
    const remote = message.socket.remoteAddress ?? ''
    const forwarder = forwarderOf(message)?.nodeId
    const facts = {
      ...lines.facts,
      ...{ id: this.#idOf(response), remote, forwarder, recorded: false },
    }
    this.#audited(response, new Caller(lines.who, facts), { status: answer.status }, send)
  }

  #sendLines(
    { message, response }: Incoming,
    answer: Rendered,
    index: PublicIndex | string,
    { meta: plain, cacheLines, who, facts, contact }: ReadLines,
  ): void {
    const gzipped = acceptsGzip(message.headers) ? gzipOf(answer) : undefined
    const meta =
      answer.lacked.count === 0 ? plain : this.#filtered(response, answer, plain, who, facts)
    if (gzipped === undefined && index === answer.index && cacheLines === NO_LINES) {
      // The common case: all lines are the same as last time.
      if (answer.lines?.key !== meta.key) {
        const lines = this.#readLines(answer, index, meta, answer.sizeBytes)
        answer.lines = { key: meta.key, lines }
      }
      tellContact(answer.lines.lines, contact)
      this.#send(response, answer.status, answer.lines.lines, pieceOf(answer), answer)
      return
    }
    const body = gzipped === undefined ? pieceOf(answer) : [gzipped]
    const lines = this.#readLines(answer, index, meta, gzipped?.length ?? answer.sizeBytes)
    lines.push(...cacheLines)
    if (gzipped !== undefined) lines.push('Content-Encoding', 'gzip')
    tellContact(lines, contact)
    this.#send(response, answer.status, lines, body)
  }

  /** Something was left out of the answer: that is kept for its explanation, and told. */
  #filtered(
    response: ServerResponse,
    { lacked, status }: Rendered,
    meta: Meta,
    who: Who,
    facts: RequestFacts,
  ): Meta {
    const { operation, name } = facts
    const id = this.#idOf(response)
    const lacking = lacked.rights
    this.#options.authority.note({
      ...{ id, who: principalOf(who), operation, name, lacking },
      outcome: status === 403 ? 'refused' : 'filtered',
      count: lacked.count,
      unmet: unmetOf(facts),
    })
    if (isAnonymous(who) || status === 403) return meta
    return { ...meta, lines: [...meta.lines, ...FILTERED_LINES], key: `${meta.key} filtered` }
  }

  #readLines(
    answer: Rendered,
    index: PublicIndex | string,
    meta: Meta,
    sizeBytes: number,
  ): string[] {
    const lines = this.#lines(answer.type, sizeBytes, answer.headers)
    placeContact(lines)
    lines.push('X-Consul-Index', String(index), ...meta.lines)
    return lines
  }

  #lines(type: string, sizeBytes: number, headers?: Readonly<Record<string, string>>): string[] {
    const lines = this.#linesOfAny(type, sizeBytes, headers)
    lines.push('Content-Length', String(sizeBytes))
    return lines
  }

  #linesOfAny(
    type: string,
    sizeBytes: number,
    headers?: Readonly<Record<string, string>>,
  ): string[] {
    // The id stands first and is filled in as the answer goes out: all else may be the same.
    const lines = ['X-Request-Id', '', 'Vary', 'Accept-Encoding']
    if (sizeBytes > 0 || type !== 'application/json') lines.push('Content-Type', type)
    lines.push('X-Content-Type-Options', 'nosniff', 'X-Consul-Default-ACL-Policy')
    lines.push(this.#options.authority.defaultPolicy)
    lines.push(...this.#extraLines)
    if (headers !== undefined)
      for (const name of Object.keys(headers)) lines.push(name, headers[name]!)
    return lines
  }

  /** The handler of an acting operation. */
  acting(operation: Acting<Record<string, never>, unknown>, fixed: FixedParts): Handler {
    return this.#guarded(false, incoming => {
      const { message, response } = incoming
      const { asker } = this.#options
      const token = shownBy(message)
      const who = this.#authenticate(token, operation, message)
      const parsed =
        who instanceof Refusal ? who : this.#parse(incoming, fixed, operation.query, who)
      const request =
        parsed instanceof Refusal
          ? parsed
          : toActing(parsed, operation, incoming, { token, age: asker.age })
      if (request instanceof Refusal) {
        const known = who instanceof Refusal ? undefined : who
        this.#refuse(response, request, this.#strangerOf(incoming, fixed, known))
        return
      }
      const finish = (acted: Acted): void =>
        this.#reply(
          message,
          response,
          withAdvisories(operation.meta === true ? withMeta(acted) : acted, request.who.request),
          request.who,
        )
      const failed = (error: unknown): void => this.#failActed(response, error, request.who)
      const finishOrFail = (acted: Acted): void => {
        try {
          finish(acted)
        } catch (error) {
          failed(error)
        }
      }
      try {
        const reply = operation.run(request)
        if (reply instanceof Promise) reply.then(finishOrFail, failed)
        else finish(reply)
      } catch (error) {
        failed(error)
      }
    })
  }

  /** What was asked failed: that is recorded too, unless nothing can be. */
  #failActed(response: ServerResponse, error: unknown, who: Caller): void {
    const { status, text } = error instanceof Refusal ? error : faultReply(error)
    const send = (): void => this.#fail(response, error, false)
    const waiting = this.#options.audit?.answered(who, { status, reason: text })
    if (waiting === undefined) send()
    else waiting.then(send, send)
  }

  /** Answers once all is recorded that has to be; what is not sent then is `dropped`. */
  #audited(
    response: ServerResponse,
    who: Caller,
    answered: Answered,
    send: () => void,
    dropped = (): void => {},
  ): void {
    const waiting = this.#options.audit?.answered(who, answered)
    if (waiting === undefined) send()
    else {
      const failed = (error: unknown): void => this.#fail(response, error, false)
      waiting.catch(dropped)
      waiting.then(send).catch(failed)
    }
  }

  /** Whoever sent what was not even parsed, or nobody that is known. */
  #strangerOf(
    { message, response, body }: Incoming,
    { prefix, suffix, operation, isRenewal }: FixedParts,
    who: Who = NOBODY,
  ): Caller | undefined {
    if (this.#options.audit === undefined) return undefined
    const { url = '' } = message
    const path = pathIn(url)
    return new Caller(who, {
      ...factsOf(message, body),
      id: this.#idOf(response),
      operation,
      isRenewal,
      name: path.slice(prefix.length, path.length - suffix.length),
      query: queryIn(url),
    })
  }

  /**
   * Who sends a request. A token that nobody has is refused, except where no right is asked for:
   * there it is the same as none.
   */
  #authenticate(
    token: string,
    { access }: Pick<Operation, 'access'>,
    message: IncomingMessage,
  ): Who | Refusal {
    const { authority } = this.#options
    const who = authority.authenticate(token, connectionOf(message))
    return who instanceof Refusal && access === anonymous ? authority.authenticate('') : who
  }

  #parse<Q extends Parameters<typeof parseQuery>[1]>(
    { message, response, body }: Incoming,
    { prefix, suffix, operation, isRenewal }: FixedParts,
    parameters: Q,
    who: Who,
  ): Request<QueryOf<Q>> | Refusal {
    const foreign = refuseHeaders(message.headers)
    if (foreign !== undefined) return foreign
    const { url = '' } = message
    const path = pathIn(url)
    const open = path.slice(0, path.length - suffix.length)
    const part: OpenPart | Refusal = readOpenPart(open, prefix, this.#options.takesUnprintable)
    if (part instanceof Refusal) return part
    const raw = queryIn(url)
    const query = parseQuery(raw, parameters)
    if (query instanceof Refusal) return query
    const elsewhere = this.#refuseDatacenter(raw)
    if (elsewhere !== undefined) return elsewhere
    const caller = new Caller(who, {
      ...factsOf(message, body),
      id: this.#idOf(response),
      operation,
      isRenewal,
      name: part.name,
      query: raw,
    })
    const sourceIp = (): string => sourceIpOf(message)
    const forwarder = forwarderOf(message)
    return { name: part.name, bytes: part.bytes, query, who: caller, sourceIp, forwarder }
  }

  /** The id of the request that an answer belongs to. */
  #idOf(response: Tracked): string {
    response.requestId ??= this.#nextId()
    return response.requestId
  }

  #nextId(): string {
    return `${this.#idPrefix}${(this.#requests++).toString(36)}`
  }

  #refuseDatacenter(raw: string): Refusal | undefined {
    if (!raw.includes('dc=')) return undefined
    const dc = new URLSearchParams(raw).get('dc') ?? ''
    return dc === '' || dc === this.#options.datacenter
      ? undefined
      : new Refusal(500, 'No path to datacenter')
  }

  #reply(message: IncomingMessage, response: ServerResponse, reply: Acted, who: Caller): void {
    if (reply instanceof Refusal) {
      this.#refuse(response, reply, who)
      return
    }
    if ('parts' in reply) {
      this.#streams.admit(reply)
      const lines = this.#linesOfAny(reply.type, UNKNOWN_SIZE, reply.headers)
      lines[1] = this.#idOf(response)
      // What goes on ends with the rights that it began with.
      const end = (ended: () => void): (() => void) =>
        this.#options.authority.watch(who.principal, ended)
      const { status } = reply
      const send = (): void => void this.#streams.send(response, lines, reply, end)
      this.#audited(response, who, { status }, send, () => void letGo(reply.parts))
      return
    }
    if ('begin' in reply) {
      this.#push(response, reply, who)
      return
    }
    const pretty = this.#options.pretty || /[?&]pretty\b/.test(message.url ?? '')
    const answer = rendered(reply, revision(0), publicIndex(1), pretty)
    const gzipped = acceptsGzip(message.headers) ? gzipOf(answer) : undefined
    const lines = this.#lines(answer.type, gzipped?.length ?? answer.sizeBytes, answer.headers)
    if (gzipped !== undefined) lines.push('Content-Encoding', 'gzip')
    if (message.method === 'GET') this.#noteLeftOut(response, who, lines)
    else this.#noteActed(response, who, answer.status)
    const { status } = answer
    this.#audited(response, who, { status }, () =>
      this.#send(response, status, lines, gzipped === undefined ? pieceOf(answer) : [gzipped]),
    )
  }

  /** Lets an answer begin that whoever makes it pushes; its rights are looked after there, too. */
  #push(response: ServerResponse, reply: PushedReply, who: Caller): void {
    const { status, type, headers } = reply
    const lines = this.#linesOfAny(type, UNKNOWN_SIZE, headers)
    lines[1] = this.#idOf(response)
    response.once('close', () => reply.leave())
    this.#audited(response, who, { status }, () => push(response, lines, reply))
  }

  /** A list that cannot be waited for, with something left out of it. */
  #noteLeftOut(response: ServerResponse, caller: Caller, lines: string[]): void {
    const { rights, count } = caller.lacked
    if (count === 0) return
    this.#note(response, caller, { outcome: 'filtered', lacking: rights, count })
    if (!isAnonymous(caller)) lines.push(...FILTERED_LINES)
  }

  /**
   * A transaction that was refused since something in it was, or what went on although conditions
   * did not hold.
   */
  #noteActed(response: ServerResponse, caller: Caller, status: number): void {
    const { rights, count } = caller.lacked
    const { advisories, overridden } = caller.request
    if (status === 409) {
      if (count > 0) this.#note(response, caller, { outcome: 'refused', lacking: rights, count })
    } else if (status < LEAST_REFUSAL && (advisories.length > 0 || overridden.length > 0)) {
      this.#note(response, caller, { outcome: 'allowed', lacking: NO_RIGHTS, count: 0 })
    }
  }

  #note(
    response: ServerResponse,
    { principal, request }: Caller,
    what: Pick<Lack, 'outcome' | 'lacking' | 'count'>,
  ): void {
    const { operation, name } = request
    const id = this.#idOf(response)
    const unmet = unmetOf(request)
    this.#options.authority.note({ id, who: principal, operation, name, unmet, ...what })
  }

  /** Sends a refusal: its status and its text, nothing more. */
  #refuse(response: ServerResponse, refusal: Refusal, caller?: Caller): void {
    const { rights = NO_RIGHTS, count = 0 } = caller?.lacked ?? {}
    const isExplained = count > 0 || caller?.request.refusedBy !== undefined
    if (caller !== undefined && isExplained && refusal.status === 403) {
      this.#note(response, caller, { outcome: 'refused', lacking: rights, count })
    }
    const { status, text } = refusal
    const body = fromText(text)
    const send = (): void => this.#send(response, status, this.#lines(TEXT_TYPE, body.length), body)
    if (caller === undefined) send()
    else this.#audited(response, caller, { status, reason: text }, send)
  }

  /** Refuses what was not even routed. Its body was not read: nothing can follow it. */
  turnAway(message: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    const { status, text } = refusal
    this.#noteEarly(message, response, refusal)
    const stranger = this.#strangerOf(
      { message, response, body: NO_BODY },
      { ...UNROUTED, operation: `${message.method} {path}` },
    )
    const send = (): void => this.plain(response, status, text, { Connection: 'close' })
    if (stranger === undefined) send()
    else this.#audited(response, stranger, { status, reason: text }, send)
  }

  /** Refuses a request before anybody looks at who sends it, and keeps why. */
  refuseEarly(message: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    this.#noteEarly(message, response, refusal)
    this.plain(response, refusal.status, refusal.text)
  }

  /** Names what the listener refuses by itself, and keeps why: gives the id for its answer. */
  readonly nameRefused: NameRefused = (status, reason, remote) => {
    const id = this.#nextId()
    this.#noteTurnedAway(id, '', { status, reason, remote })
    return id
  }

  #noteEarly(message: IncomingMessage, response: Tracked, { status, text }: Refusal): void {
    const { method, url = '', socket } = message
    const operation = `${method} ${pathIn(url).slice(0, limits.auditPathChars)}`
    const why = { status, reason: text, remote: socket.remoteAddress ?? '' }
    this.#noteTurnedAway(this.#idOf(response), operation, why)
  }

  #noteTurnedAway(id: string, operation: string, turnedAway: Required<Lack>['turnedAway']): void {
    const nothing = { name: '', lacking: NO_RIGHTS, count: 0, unmet: nothingUnmet }
    const what = { id, who: NOBODY, operation, outcome: 'refused' as const, turnedAway }
    this.#options.authority.note({ ...what, ...nothing })
  }

  /** Sends any reply outside of a declared operation, with the headers of all. */
  plain(
    response: ServerResponse,
    status: number,
    text: string,
    headers?: Readonly<Record<string, string>>,
  ): void {
    const body = fromText(text)
    this.#send(response, status, this.#lines(TEXT_TYPE, body.length, headers), body)
  }

  #fail(response: ServerResponse, error: unknown, read: boolean): void {
    const { status, text } = error instanceof Refusal ? error : faultReply(error)
    if (!(error instanceof OperatingError || error instanceof Refusal))
      this.#options.log.error('a request failed', { error: messageOf(error) })
    const headers = read ? FAILED_READ_HEADERS : undefined
    const body = fromText(text)
    this.#send(response, status, this.#lines(TEXT_TYPE, body.length, headers), body)
  }

  /** `body`: a string of bytes leaves in one piece with the head. `kept`: whose body that is. */
  #send(
    response: Tracked,
    status: number,
    lines: string[],
    body: string | readonly Buffer[],
    kept?: Kept,
  ): void {
    if (response.destroyed || response.headersSent) return
    const { timing } = response
    if (timing !== undefined) timing.sample.add(timing.clock.monotonic() - timing.beganMs)
    lines[1] = this.#idOf(response)
    if (kept !== undefined && answerAgain(response, status, lines, kept)) return
    const isLate = response.isLate === true && typeof body === 'string'
    if (isLate && leaveTogether(response, status, lines, body)) return
    response.writeHead(status, lines)
    if (typeof body === 'string') endText(response, body)
    else endWhole(response, body)
  }
}

const KNOWN_URLS = 20_000
/** Longer ones are hardly sent twice, and would leave it to clients how much memory they take. */
const KNOWN_URL_CHARS = 1_024
const NO_BODY = Buffer.alloc(0)
const UNROUTED = { prefix: '', suffix: '', isRenewal: false, where: 'agent' } as const
const LEAST_REFUSAL = 400
const UNKNOWN_SIZE = 1
const TEXT_TYPE = 'text/plain; charset=utf-8'
/** The answer with the conditions that do not hold and let the request pass. */
function withAdvisories(acted: Acted, { advisories }: RequestFacts): Acted {
  if (acted instanceof Refusal || advisories.length === 0) return acted
  const headers = { ...acted.headers, 'X-Gatehouse-Advisory': advisories.join(', ') }
  return { ...acted, headers }
}

/** Reads with nothing in their headers that could be refused, so that the URL says all. */
const hasPlainHeaders = ({ headers }: IncomingMessage): boolean =>
  headers['cache-control'] === undefined &&
  headers['x-consul-namespace'] === undefined &&
  headers['x-consul-partition'] === undefined

/** A refusal names whoever asks, while an answer is shared by all who have equal rights. */
function namedFor(who: Who, shared: Rendered): Rendered {
  const [lacking] = shared.lacked.rights
  if (lacking === undefined) return shared
  const { text, status } = denied(who, lacking)
  const named = rendered({ status, body: text, type: TEXT_TYPE }, shared.newest, shared.index)
  return { ...named, lacked: shared.lacked }
}

function toActing(
  request: Request<unknown>,
  operation: Acting<Record<string, never>, unknown>,
  { message, body }: Incoming,
  given: { readonly token: string; readonly age: Age },
): ActingRequest<never, unknown> | Refusal {
  const isStream = operation.body !== undefined && 'stream' in operation.body
  const decoded = isStream ? piecesOf(message) : bodyOf(operation, body)
  if (decoded instanceof Refusal) return decoded
  const { accept = '', 'last-event-id': last } = message.headers
  const lastEventId = typeof last === 'string' ? last : ''
  const query = request.query as never
  request.who.request.body = isStream ? undefined : decoded
  return { ...request, query, body: decoded, accept, lastEventId, ...given }
}

const NO_LINES: readonly string[] = []
const NO_RIGHTS: readonly Access[] = []
/** A response with what is known of its request: an id, and when it began. */
interface Tracked extends ServerResponse {
  /** What answers it does so later than it came. */
  isLate?: boolean
  requestId?: string
  timing?: { readonly sample: Sample; readonly clock: Clock; readonly beganMs: number }
}
