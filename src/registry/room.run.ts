/**
 * The registry as faces see it: one function per thing that can be asked or done.
 *
 * Owns joining the pure rules of this folder with the store, and the times that writes take; holds
 * no state and no rule itself.
 */
import type { PublicIndex } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Metrics, Sample } from '../base/metrics.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { type Coordinate, ORIGIN } from '../base/vivaldi.ts'
import { everybody, type Who } from '../base/who.ts'
import type { View } from '../store/ask.ts'
import { answerOf } from '../store/local.ts'
import { type Decision, isRefusal, type Store, type Written } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import type { AutopilotRow } from '../store/tables/autopilot.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { type CoordinateRow, coordinates } from '../store/tables/coordinate.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { type SessionRow, sessions } from '../store/tables/session.ts'
import type { Renewals } from '../store/timekeeper.ts'
import type { Reader } from '../store/view.ts'
import type { DecideFor, Writer } from '../store/writer.ts'
import { type AutopilotPut, autopilotConfig, putAutopilot } from './autopilot.ts'
import { type Deregistration, deregister, type Registration, register } from './catalog.ts'
import type { Entry } from './config-entry/kind.ts'
import {
  bootstrapEntry,
  deleteEntry,
  type EntryDeletion,
  type EntryPut,
  putEntry,
} from './config-entry.ts'
import { refuseCoordinate } from './coordinate.ts'
import { PendingCoordinates } from './coordinates.run.ts'
import { endKvTree, type Stepped, stepKvTree, stepNode, stepSession } from './ending.ts'
import {
  type CheckRequest,
  checkIntention,
  createIntention,
  deleteIntention,
  deleteIntentionById,
  type IntentionPut,
  type OldIntention,
  type Pair,
  putIntention,
  updateIntention,
} from './intention.ts'
import { deleteKv, type KvDone, type KvPut, putKv, setKv } from './kv.ts'
import { catalogOverview, type Overview, type Usage, usage } from './overview.ts'
import {
  afterBeat,
  beatCheck,
  beatenCheck,
  type Heartbeat,
  registrationTtlMs,
  rewriteCheck,
} from './registration-ttl.ts'
import { createSession, destroySession, renewable, type SessionRequest } from './session.ts'
import { checkTtl, sessionTtl } from './timers.ts'
import { type TxnAnswer, type TxnOp, transact } from './txn.ts'

export interface RegistryOptions {
  readonly store: Store
  readonly writer: Writer
  readonly renewals: Renewals
  readonly sessionTtlMinMs: number
  readonly timeouts: Timeouts
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
}

export class Registry {
  readonly #store: Store
  readonly #writer: Writer
  readonly #renewals: Renewals
  readonly #sessionTtlMinMs: number
  readonly #coordinates: PendingCoordinates
  readonly #clock: Clock
  readonly #times: Times

  constructor(options: RegistryOptions) {
    const { store, writer, renewals, sessionTtlMinMs, timeouts, log, clock, metrics } = options
    this.#store = store
    this.#writer = writer
    this.#clock = clock
    this.#times = timesOf(metrics)
    this.#renewals = renewals
    this.#sessionTtlMinMs = sessionTtlMinMs
    this.#coordinates = new PendingCoordinates({ store, timeouts, log })
  }

  /** Applies a rule; gives its answer once the write is durable. What fails is timed, too. */
  #write<A>(who: Who, decide: DecideFor<A>, times = this.#times.other): Promise<A | Refusal> {
    const beganMs = this.#clock.monotonic()
    return this.#writer.write(who, decide).then(
      written => {
        times.add(this.#clock.monotonic() - beganMs)
        return isRefusal(written) ? written : written.answer
      },
      (error: unknown) => {
        times.add(this.#clock.monotonic() - beganMs)
        throw error
      },
    )
  }

  /** Takes the time of what is under way, also of what fails. */
  async #timed<T>(running: Promise<T>, times: Sample): Promise<T> {
    const beganMs = this.#clock.monotonic()
    try {
      return await running
    } finally {
      times.add(this.#clock.monotonic() - beganMs)
    }
  }

  putKv(who: Who, request: KvPut): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => putKv(view, by, request), this.#times.kvs)
  }

  /** The same; the answer tells of the entry as it stands then. */
  setKv(who: Who, request: KvPut): Promise<KvDone | Refusal> {
    return this.#write(who, (view, by) => setKv(view, by, request), this.#times.kvs)
  }

  deleteKv(who: Who, key: Bytes, cas: number | undefined): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deleteKv(view, by, { key, cas }), this.#times.kvs)
  }

  /** Deletes all keys under a prefix; more than one transaction holds go in several. */
  async deleteKvTree(who: Who, prefix: Bytes): Promise<boolean | Refusal> {
    const answer = await this.#write(
      who,
      (view, by) => endKvTree(view, by, prefix),
      this.#times.kvs,
    )
    if (isRefusal(answer)) return answer
    if (answer.more) await this.#finish(view => stepKvTree(view, prefix))
    return true
  }

  /** Does the steps of what was marked; the timekeeper goes on with it where this server ends. */
  async #finish(step: (view: Reader) => Decision<Stepped>): Promise<void> {
    for (;;) {
      const done = await this.#store.write(step)
      if (isRefusal(done) || !done.answer.more) return
    }
  }

  register(who: Who, request: Registration): Promise<true | Refusal> {
    const decide: DecideFor<true> = (view, by) => register(view, by, request)
    const before = this.#store.view()
    const answered = this.#write(who, decide, this.#times.register)
    if (!request.checks.some(row => registrationTtlMs(row) > 0)) return answered
    return answered.then(async answer => {
      if (!isRefusal(answer)) await this.#renewChecks(before, request.checks)
      return answer
    })
  }

  /**
   * Who registers again is alive: the times of checks with a TTL start over, also where they are
   * as they were `before` and nothing was written.
   */
  async #renewChecks(before: Reader, given: readonly CheckRow[]): Promise<void> {
    for (const row of given) {
      if (registrationTtlMs(row) === 0) continue
      const known = before.get(checks, onNode(row.node, row.checkId))
      if (known === undefined) continue
      const { key, modRevision } = known
      // What was written meanwhile is timed anew by that.
      if (this.#store.view().get(checks, key)?.modRevision !== modRevision) continue
      if (await this.#isRenewed(key)) continue
      await this.#write(everybody, view => rewriteCheck(view, known), this.#times.register)
    }
  }

  /**
   * Starts the time of a check of the catalog over, and says how it is; gives its TTL in
   * milliseconds. What changes nothing costs no write.
   */
  async heartbeat(who: Who, beat: Heartbeat): Promise<number | Refusal> {
    await this.#store.readIndex()
    const found = beatenCheck(this.#store.view(), who, beat)
    if (isRefusal(found)) return found
    const { row, key } = found
    const ttlMs = registrationTtlMs(row)
    if (afterBeat(row, beat) === row) {
      // Critical has no time that could run out.
      if (row.status === CheckStatus.critical || (await this.#isRenewed(key))) return ttlMs
    }
    const decide: DecideFor<true> = (view, by) => beatCheck(view, by, beat)
    const answer = await this.#write(who, decide, this.#times.register)
    return isRefusal(answer) ? answer : ttlMs
  }

  /** Whether a check's time started over; a write does it where nobody can be asked soon. */
  async #isRenewed(key: Bytes): Promise<boolean> {
    try {
      return await this.#renewals.renew(checkTtl.name, key, limits.renewalBriefHoldMs)
    } catch (error) {
      if (error instanceof OperatingError) return false
      throw error
    }
  }

  async deregister(who: Who, request: Deregistration): Promise<true | Refusal> {
    const decide: DecideFor<true> = (view, by) => deregister(view, by, request)
    const answer = await this.#write(who, decide, this.#times.deregister)
    const key = fold(request.node)
    const isMarked = this.#store.view().get(nodes, key)?.row.ending !== undefined
    if (isMarked && !isRefusal(answer)) await this.#finish(view => stepNode(view, key))
    return answer
  }

  createSession(who: Who, request: SessionRequest): Promise<string | Refusal> {
    return this.#write(
      who,
      (view, by, _now, random) =>
        createSession(view, by, random.uuid(), request, this.#sessionTtlMinMs),
      this.#times.session,
    )
  }

  async destroySession(who: Who, id: string): Promise<boolean | Refusal> {
    const decide: DecideFor<boolean> = (view, by) => destroySession(view, by, id)
    const answer = await this.#write(who, decide, this.#times.session)
    const key = fromText(id)
    const isMarked = this.#store.view().get(sessions, key)?.row.ending !== undefined
    if (isMarked && !isRefusal(answer)) await this.#finish(view => stepSession(view, key))
    return answer
  }

  /** Applies operations as one; gives where it was committed, for the indexes of the results. */
  async transact(who: Who, ops: readonly TxnOp[]): Promise<Written<TxnAnswer> | Refusal> {
    const limit = this.#store.supports.transactionOps
    const before = this.#store.view()
    const writing = this.#writer.write(who, (view, by) => transact(view, by, ops, limit))
    const written = await this.#timed(writing, this.#times.txn)
    if (isRefusal(written) || 'faults' in written.answer) return written
    await this.#renewChecks(before, registeredBy(ops))
    return written
  }

  /** Applies operations that only read. Stale reads do not ask whether the view is the newest. */
  async transactReading(
    who: Who,
    ops: readonly TxnOp[],
    isStale: boolean,
  ): Promise<Written<TxnAnswer>> {
    if (!isStale) await this.#store.readIndex()
    const view = this.#store.view()
    const { answer } = transact(view, who, ops, this.#store.supports.transactionOps)
    const at = { revision: view.revision, index: this.#store.indexOf(view.revision) }
    return { ...at, answer: answerOf(answer, at) }
  }

  /** Takes where a node stands; it is written with others a moment later. */
  updateCoordinate(who: Who, row: CoordinateRow): true | Refusal {
    const refusal = refuseCoordinate(who, row)
    if (refusal !== undefined) return refusal
    this.#coordinates.add(row)
    return true
  }

  /** The catalog summed up, step by step. */
  overview(): Generator<undefined, Overview> {
    return catalogOverview(this.#store.view() as View)
  }

  /** How much is registered, counted step by step, and the index that it is counted at. */
  async usage(isStale: boolean): Promise<{
    readonly index: PublicIndex
    readonly counts: Generator<undefined, Usage>
  }> {
    if (!isStale) await this.#store.readIndex()
    const view = this.#store.view() as View
    return { index: this.#store.indexOf(view.revision), counts: usage(view) }
  }

  /** Where a node stands; the origin where it is not known. */
  coordinateOf(node: string): Coordinate {
    return this.#store.view().get(coordinates, fold(node))?.row.coordinate ?? ORIGIN
  }

  /** Starts a session's TTL over; gives the session. */
  renewSession(who: Who, id: string): Promise<Cell<SessionRow> | Refusal> {
    return this.#timed(this.#renewSession(who, id), this.#times.renew)
  }

  async #renewSession(who: Who, id: string): Promise<Cell<SessionRow> | Refusal> {
    await this.#store.readIndex()
    const session = renewable(this.#store.view(), who, id)
    if (isRefusal(session) || session.row.ttlMs === 0) return session
    const isRenewed = await this.#renewals.renew(sessionTtl.name, session.key)
    return isRenewed ? session : new Refusal(404, `Session id '${id}' not found`)
  }

  putEntry(who: Who, request: EntryPut): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => putEntry(view, by, request), this.#times.entry)
  }

  deleteEntry(who: Who, request: EntryDeletion): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => deleteEntry(view, by, request), this.#times.entry)
  }

  /**
   * Writes entries where there are none. One that needs another may stand before it; gives the
   * refusals of those that do not fit whatever comes first.
   */
  async bootstrapEntries(entries: readonly Entry[], datacenter: string): Promise<Refusal[]> {
    let left = entries
    for (;;) {
      const refused: { entry: Entry; refusal: Refusal }[] = []
      for (const entry of left) {
        const answer = await this.#write(everybody, view => bootstrapEntry(view, entry, datacenter))
        if (isRefusal(answer)) refused.push({ entry, refusal: answer })
      }
      if (refused.length === 0 || refused.length === left.length) {
        return refused.map(({ refusal }) => refusal)
      }
      left = refused.map(({ entry }) => entry)
    }
  }

  putIntention(who: Who, request: IntentionPut): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => putIntention(view, by, request), this.#times.intention)
  }

  deleteIntention(who: Who, pair: Pair, datacenter: string): Promise<boolean | Refusal> {
    return this.#write(
      who,
      (view, by) => deleteIntention(view, by, { pair, datacenter }),
      this.#times.intention,
    )
  }

  /** The answer is the new intention's id. */
  createIntention(who: Who, request: IntentionPut): Promise<string | Refusal> {
    return this.#write(
      who,
      (view, by, now, random) => createIntention(view, now, by, { ...request, id: random.uuid() }),
      this.#times.intention,
    )
  }

  updateIntention(who: Who, request: OldIntention): Promise<string | Refusal> {
    return this.#write(
      who,
      (view, by, now) => updateIntention(view, now, by, request),
      this.#times.intention,
    )
  }

  deleteIntentionById(who: Who, id: string, datacenter: string): Promise<boolean | Refusal> {
    return this.#write(
      who,
      (view, by) => deleteIntentionById(view, by, { id, datacenter }),
      this.#times.intention,
    )
  }

  putAutopilot(who: Who, request: AutopilotPut): Promise<boolean | Refusal> {
    return this.#write(who, (view, by) => putAutopilot(view, by, request))
  }

  /** What operators have said; undefined where the defaults hold. */
  async autopilotConfig(who: Who): Promise<Cell<AutopilotRow> | undefined | Refusal> {
    await this.#store.readIndex()
    return autopilotConfig(this.#store.view(), who)
  }

  /** Whether a service may call another. */
  async checkIntention(who: Who, request: CheckRequest): Promise<boolean | Refusal> {
    await this.#store.readIndex()
    return checkIntention(this.#store.view(), who, request)
  }
}

/** The checks that a transaction registers, or registers again. */
const registeredBy = (ops: readonly TxnOp[]): CheckRow[] =>
  ops.flatMap(op => (op.kind === 'Check' && ['set', 'cas'].includes(op.verb) ? [op.check] : []))

/** The samples of writes, by what they write. */
type Times = ReturnType<typeof timesOf>

/** The names are Consul's. */
function timesOf(metrics: Metrics) {
  const of = (name: string, what: string): Sample =>
    metrics.sample(name, `Milliseconds until ${what} was durable.`)
  return {
    kvs: of('kvs.apply', 'a write of keys'),
    txn: of('txn.apply', 'a transaction'),
    register: of('catalog.register', 'a registration'),
    deregister: of('catalog.deregister', 'a deregistration'),
    session: of('session.apply', 'a session or its end'),
    renew: metrics.sample('session.renew', 'Milliseconds that the renewal of a session took.'),
    entry: of('config_entry.apply', 'a configuration entry'),
    intention: of('intention.apply', 'an intention'),
    other: of('registry.apply', 'any other write'),
  }
}
