/**
 * From a question to its answer: kept where possible, else made by the form of its name.
 *
 * Owns both caches and the rule when a kept answer still holds. Answers that stand on things of
 * the store are kept apart from all others (names that do not exist, addresses as names): of
 * those an asker can invent as many as he likes. Must never answer from rows that are not
 * durable, nor hold the loop for long: a large answer is made in slices.
 */
import { revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { Caller, Lacked, nothingUnmet, ownCall } from '../base/who.ts'
import type { Asker } from '../store/ask.ts'
import type { Interest } from '../store/replica/interest.ts'
import type { Scope } from '../store/wait.ts'
import {
  ExtendedError,
  extendedErrorOption,
  labelsOf,
  nameToText,
  type Question,
  Rcode,
  typeName,
} from '../wire/dns/mod.ts'
import { type Built, build } from './build.ts'
import { AnswerCache, type Kept } from './cache.ts'
import type { DnsConfig } from './config.ts'
import { Follower } from './follow.ts'
import { type Ask, noAnswers, type Said } from './form/declare.ts'
import { forms } from './form/mod.ts'
import { soaRecord } from './form/records.ts'
import { type Name, Place, placeOf, readName, type Zone, zoneOf } from './name.ts'
import { foreignNegative, Negatives } from './negative.ts'
import type { Recursors } from './recursors.ts'
import type { DnsRights } from './rights.ts'
import type { DnsViews } from './views.ts'

export interface AnswererOptions {
  readonly asker: Asker
  readonly rights: DnsRights
  readonly clock: Clock
  readonly config: DnsConfig
  readonly random: Random
  readonly recursors: Recursors
  /** Of an agent that keeps a part of a store. */
  readonly views?: DnsViews | undefined
  readonly counts: AnswererCounts
}

/** What happened since the start. */
export interface AnswererCounts {
  /** How many answers had to be made. */
  made: number
  /** How many records had values that no message can carry. */
  unencodable: number
}

/** Types that ask for more than records: zone transfers, mailbox agents, TKEY, TSIG. */
const FIRST_REFUSED_TYPE = 249
const LAST_REFUSED_TYPE = 254
/** A kept answer beside its template, about. */
const KEPT_SIZE_BYTES = 256

/** Whoever asks that should be told by the recursors. */
export const ELSEWHERE = -1

/** An answer that is kept, a response code where there is nothing else to say, or ELSEWHERE. */
export type Found = Kept | Rcode | typeof ELSEWHERE

/** A question, and what its answer will stand on. */
interface Making {
  readonly key: Bytes
  readonly ask: Ask
  readonly said: Said
  /** The scope that the form named, if the store knows it. */
  readonly scope: Scope | undefined
  readonly revision: Kept['revision']
  /** False when the form named a scope and the store does not know it. */
  readonly mayKeep: boolean
  /** Whether the name lies in none of our zones. */
  readonly isForeign: boolean
}

export class Answerer {
  readonly #options: AnswererOptions
  readonly #zones: readonly Zone[]
  readonly #negatives: Negatives
  readonly #follower: Follower
  /** Answers with records of things that are there. */
  readonly #present = new AnswerCache<Kept>(limits.dnsCacheEntries, limits.dnsCacheSizeBytes)
  readonly #others = new AnswerCache<Kept>(limits.dnsNegativeEntries, limits.dnsCacheSizeBytes)
  /** Whose rights decide: one answerer's are always the same. */
  readonly #caller: Caller
  /** Ids of denials are this and a number. */
  readonly #idPrefix: string
  #denials = 0
  /** Large answers that are being made, by their question. */
  readonly #underWay = new Map<Bytes, Promise<Kept>>()
  /** Questions that wait for what their answers stand on. */
  readonly #lacking = new Map<Bytes, Promise<Found>>()

  constructor(options: AnswererOptions) {
    const { domain, altDomain } = options.config
    this.#options = options
    this.#caller = ownCall(options.rights.who(), 'DNS')
    this.#idPrefix = `dns-${options.random.uuid().slice(0, 13)}-`
    this.#zones = (altDomain === undefined ? [domain] : [domain, altDomain]).map(zoneOf)
    this.#negatives = new Negatives(options.config)
    this.#follower = new Follower(options.random, options.recursors, {
      askOf: (name, typeCode) => this.#askOf(name, typeCode),
      say: (name, ask) => say(name, ask),
      ensure: (name, ask) => this.#ensure(name, ask),
      build: (key, ask, answers) => this.#build(key, ask, answers),
    })
  }

  /** How much is kept: answers with records, and all others. */
  get kept(): { readonly present: number; readonly others: number; readonly sizeBytes: number } {
    const sizeBytes = this.#present.sizeBytes + this.#others.sizeBytes
    return { present: this.#present.size, others: this.#others.size, sizeBytes }
  }

  /**
   * The answer to a question of class IN: nearly always at once; a promise for a large one that is
   * being made, or of which not everything is here. One that has `hosts` can be completed by
   * `follow`.
   */
  find({ key, typeCode }: Question): Found | Promise<Found> {
    const kept = this.#present.get(key) ?? this.#others.get(key)
    if (kept !== undefined && this.#holds(kept)) {
      if (kept.scope !== undefined) kept.scope.isUsed = true
      return kept
    }
    const lacking = this.#lacking.get(key)
    if (lacking !== undefined) return lacking
    const question = { key, typeCode }
    const made = this.#underWay.get(key) ?? this.#make(question)
    // A large answer takes some slices: until then the last one is better than none. Of what is
    // not here nobody knows how old the last one is.
    const isLarge = made instanceof Promise && !this.#lacking.has(key)
    return kept !== undefined && isLarge ? kept : made
  }

  /** The same answer with what is known of the host names that it leads to. It is not kept. */
  follow(question: Pick<Question, 'key' | 'typeCode' | 'hasEdns'>, kept: Kept): Promise<Kept> {
    return this.#follower.follow(question, kept)
  }

  /**
   * Whether whoever knows the mark of its scope may give an answer out as well: it is kept, holds,
   * and leads nowhere else.
   */
  isLendable(key: Bytes, kept: Kept): boolean {
    const { asker } = this.#options
    const isKept = this.#present.get(key) === kept || this.#others.get(key) === kept
    if (!isKept || kept.hosts.length > 0 || !this.#holds(kept)) return false
    if (kept.scope !== undefined) asker.scopes.mark(kept.scope)
    return true
  }

  #holds({ scope, revision: at, second }: Kept): boolean {
    if (scope !== undefined && scope.revision !== at) return false
    return second === 0 || second === this.#nowS()
  }

  #nowS(): number {
    return Math.floor(this.#options.clock.wall() / 1_000)
  }

  /** What a name asks, with the view as it is now; undefined for a name that is not ours. */
  #askOf(key: Bytes, typeCode: number): { name: Name; ask: Ask } | undefined {
    const { asker, config, rights } = this.#options
    const name = readName(labelsOf(key), this.#zones)
    if (name === undefined) return undefined
    const view = asker.view()
    const nowS = this.#nowS()
    const { principal, request } = this.#caller
    const who = new Caller(principal, request, new Lacked())
    return {
      name,
      ask: {
        ...{ name: nameToText(key), typeCode, zone: name.zone, view, who, config, nowS },
        seerOf: query => rights.seerOf(who, query),
      },
    }
  }

  #make(question: Pick<Question, 'key' | 'typeCode'>): Found | Promise<Found> {
    const { key, typeCode } = question
    const { asker, recursors, counts } = this.#options
    counts.made++
    if (typeCode >= FIRST_REFUSED_TYPE && typeCode <= LAST_REFUSED_TYPE) return Rcode.refused
    const elsewhere = recursors.areConfigured ? ELSEWHERE : undefined
    const asked = this.#askOf(key, typeCode)
    if (asked === undefined) return elsewhere ?? Rcode.refused
    const { name, ask } = asked
    const lacking = this.#ensure(name, ask)
    if (lacking !== undefined) return this.#makeLater(question, lacking)
    const answer = say(name, ask)
    if (answer === undefined) return Rcode.notImp
    if (answer === 'withheld') return Rcode.servFail
    if (answer === 'elsewhere' && elsewhere !== undefined) return elsewhere
    const said = answer === 'elsewhere' ? NO_SUCH_NAME : answer
    const scope = said.scope === undefined ? undefined : asker.scopes.known(said.scope)
    const isForeign = name.kind === 'reverse'
    const making: Making = {
      ...{ key, ask, said, scope, isForeign },
      revision: scope?.revision ?? revision(0),
      mayKeep:
        said.isFleeting !== true && !isForeign && (said.scope === undefined || scope !== undefined),
    }
    const built = this.#build(key, ask, said.answers)
    return built instanceof Promise ? this.#keepLater(making, built) : this.#keep(making, built)
  }

  #ensure(name: Name, ask: Ask): Promise<void> | undefined {
    const { views } = this.#options
    return views?.ensure(standsOn(name, ask))
  }

  /** What is here then tells whether there is more to wait for, as with the service of a query. */
  #makeLater(question: Pick<Question, 'key' | 'typeCode'>, lacking: Promise<void>): Promise<Found> {
    const { key } = question
    const found = lacking.then(() => {
      this.#lacking.delete(key)
      return this.#make(question)
    })
    this.#lacking.set(key, found)
    found.catch(() => this.#lacking.delete(key))
    return found
  }

  #build(key: Bytes, ask: Ask, answers: Said['answers']): Built | Promise<Built> {
    const { clock, config } = this.#options
    return build(key, answers, {
      compress: !config.dns.disableCompression,
      clock,
      soa: () => soaRecord(ask.zone, config, ask.nowS),
    })
  }

  #keepLater(making: Making, built: Promise<Built>): Promise<Kept> {
    const kept = built
      .then(all => this.#keep(making, all))
      .finally(() => this.#underWay.delete(making.key))
    this.#underWay.set(making.key, kept)
    // Who waits is told of a failure; where nobody does, the next question makes it again.
    kept.catch(() => {})
    return kept
  }

  #keep({ key, ask, said, scope, revision: at, mayKeep, isForeign }: Making, built: Built): Kept {
    const { template: own, exists, isDated, hosts, isOneOf } = built
    const rcode = exists ? Rcode.noError : Rcode.nxDomain
    const template =
      own ??
      (isForeign
        ? foreignNegative(key, rcode, ask)
        : this.#negatives.template(rcode, ask.zone, key.length - 4, ask.nowS))
    const kept: Kept = {
      template,
      scope,
      revision: at,
      second: own === undefined || isDated ? ask.nowS : 0,
      wantedAnswers: isOneOf ? 1 : (said.most ?? 0),
      hosts: this.#follower.known(hosts, this.#zones),
      isOrdered: said.isOrdered?.() === true,
      denial: own === undefined ? this.#denialOf(ask) : undefined,
      sizeBytes: KEPT_SIZE_BYTES + key.length + (own?.sizeBytes ?? 0),
      isUsed: false,
    }
    this.#options.counts.unencodable += template.unencodable
    const isPresent = own !== undefined && scope !== undefined
    const [cache, other] = isPresent ? [this.#present, this.#others] : [this.#others, this.#present]
    other.delete(key)
    if (mayKeep) cache.set(key, kept)
    return kept
  }

  /** What an answer without records says of the rights that were lacking; undefined for none. */
  #denialOf({ who, name, typeCode }: Ask): Buffer | undefined {
    const { rights: lacking, count } = who.lacked
    if (count === 0) return undefined
    const id = `${this.#idPrefix}${(this.#denials++).toString(36)}`
    const operation = `DNS ${typeName(typeCode)}`
    this.#options.rights.note({
      ...{ id, who: who.principal, operation, name, lacking, count },
      outcome: 'filtered',
      unmet: nothingUnmet,
    })
    return extendedErrorOption(ExtendedError.prohibited, `not permitted, request ${id}`)
  }
}

/** What the forms say to a name; undefined when it is not served yet. */
function say(name: Name, ask: Ask): Said | 'elsewhere' | 'withheld' | undefined {
  const place = placeOf(name.after, ask.config.datacenter)
  if (place === Place.later) return undefined
  if (place === Place.nowhere) return NO_SUCH_NAME
  for (const form of forms) {
    const answer = form.answer(name, ask)
    if (answer !== 'other') return answer
  }
  return NO_SUCH_NAME
}

/** What an agent must have to know what the forms say to a name. */
function standsOn(name: Name, ask: Ask): readonly Interest[] {
  if (placeOf(name.after, ask.config.datacenter) !== Place.here) return []
  for (const form of forms) {
    const interests = form.standsOn(name, ask)
    if (interests !== 'other') return interests
  }
  return []
}

/** Made anew for each question: nothing is used up. */
const NO_SUCH_NAME: Said = { scope: undefined, answers: noAnswers(false) }
