/**
 * The registry as faces see it: one function per thing that can be asked or done.
 *
 * Owns joining the pure rules of this folder with the store; holds no state and no rule itself.
 */
import type { Bytes } from '../base/bytes.ts'
import { OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Timeouts } from '../base/timeouts.ts'
import type { Who } from '../base/who.ts'
import { answerOf } from '../store/local.ts'
import { type Decide, isRefusal, type Store, type Written } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import type { AutopilotRow } from '../store/tables/autopilot.ts'
import { type Coordinate, type CoordinateRow, coordinates } from '../store/tables/coordinate.ts'
import { fold } from '../store/tables/names.ts'
import type { SessionRow } from '../store/tables/session.ts'
import type { Timekeeper } from '../store/timekeeper.ts'
import { type AutopilotPut, autopilotConfig, putAutopilot } from './autopilot.ts'
import { type Deregistration, deregister, type Registration, register } from './catalog.ts'
import { deleteEntry, type EntryDeletion, type EntryPut, putEntry } from './config-entry.ts'
import { ORIGIN, refuseCoordinate } from './coordinate.ts'
import { PendingCoordinates } from './coordinates.run.ts'
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
import { deleteKv, deleteKvTree, type KvPut, putKv } from './kv.ts'
import { createSession, destroySession, renewable, type SessionRequest } from './session.ts'
import { sessionTtl } from './timers.ts'
import { type TxnAnswer, type TxnOp, transact } from './txn.ts'

export interface RegistryOptions {
  readonly store: Store
  readonly timekeeper: Timekeeper
  readonly sessionTtlMinMs: number
  readonly timeouts: Timeouts
  readonly log: Log
}

export class Registry {
  readonly #store: Store
  readonly #timekeeper: Timekeeper
  readonly #sessionTtlMinMs: number
  readonly #coordinates: PendingCoordinates

  constructor({ store, timekeeper, sessionTtlMinMs, timeouts, log }: RegistryOptions) {
    this.#store = store
    this.#timekeeper = timekeeper
    this.#sessionTtlMinMs = sessionTtlMinMs
    this.#coordinates = new PendingCoordinates({ store, timeouts, log })
  }

  /** Applies a rule; gives its answer once the write is durable. */
  async #write<A>(decide: Decide<A>): Promise<A | Refusal> {
    const written: Written<A> | Refusal = await this.#store.write(decide)
    return isRefusal(written) ? written : written.answer
  }

  putKv(who: Who, request: KvPut): Promise<boolean | Refusal> {
    return this.#write(view => putKv(view, who, request))
  }

  deleteKv(who: Who, key: Bytes, cas: number | undefined): Promise<boolean | Refusal> {
    return this.#write(view => deleteKv(view, who, { key, cas }))
  }

  /** Deletes all keys under a prefix; more than the store's transaction holds go in several. */
  async deleteKvTree(who: Who, prefix: Bytes): Promise<boolean | Refusal> {
    const limit = this.#store.supports.transactionOps
    for (;;) {
      const answer = await this.#write(view => deleteKvTree(view, who, { prefix, limit }))
      if (isRefusal(answer)) return answer
      if (!answer.more) return true
    }
  }

  register(who: Who, request: Registration): Promise<true | Refusal> {
    return this.#write(view => register(view, who, request))
  }

  deregister(who: Who, request: Deregistration): Promise<true | Refusal> {
    return this.#write(view => deregister(view, who, request))
  }

  createSession(who: Who, request: SessionRequest): Promise<string | Refusal> {
    return this.#write((view, _now, random) =>
      createSession(view, who, random.uuid(), request, this.#sessionTtlMinMs),
    )
  }

  destroySession(who: Who, id: string): Promise<boolean | Refusal> {
    return this.#write(view => destroySession(view, who, id))
  }

  /** Applies operations as one; gives where it was committed, for the indexes of the results. */
  async transact(who: Who, ops: readonly TxnOp[]): Promise<Written<TxnAnswer> | Refusal> {
    const limit = this.#store.supports.transactionOps
    return this.#store.write(view => transact(view, who, ops, limit))
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

  /** Where a node stands; the origin where it is not known. */
  coordinateOf(node: string): Coordinate {
    return this.#store.view().get(coordinates, fold(node))?.row.coordinate ?? ORIGIN
  }

  /** Starts a session's TTL over; gives the session. */
  async renewSession(who: Who, id: string): Promise<Cell<SessionRow> | Refusal> {
    await this.#store.readIndex()
    const session = renewable(this.#store.view(), who, id)
    if (isRefusal(session) || session.row.ttlMs === 0) return session
    if (this.#timekeeper.renew(sessionTtl.name, session.key)) return session
    if (this.#timekeeper.holding) return new Refusal(404, `Session id '${id}' not found`)
    throw new OperatingError(
      OperatingCode.unavailable,
      'this server does not keep the time of sessions now',
    )
  }

  putEntry(who: Who, request: EntryPut): Promise<boolean | Refusal> {
    return this.#write(view => putEntry(view, who, request))
  }

  deleteEntry(who: Who, request: EntryDeletion): Promise<boolean | Refusal> {
    return this.#write(view => deleteEntry(view, who, request))
  }

  putIntention(who: Who, request: IntentionPut): Promise<boolean | Refusal> {
    return this.#write(view => putIntention(view, who, request))
  }

  deleteIntention(who: Who, pair: Pair, datacenter: string): Promise<boolean | Refusal> {
    return this.#write(view => deleteIntention(view, who, { pair, datacenter }))
  }

  /** The answer is the new intention's id. */
  createIntention(who: Who, request: IntentionPut): Promise<string | Refusal> {
    return this.#write((view, now, random) =>
      createIntention(view, now, who, { ...request, id: random.uuid() }),
    )
  }

  updateIntention(who: Who, request: OldIntention): Promise<string | Refusal> {
    return this.#write((view, now) => updateIntention(view, now, who, request))
  }

  deleteIntentionById(who: Who, id: string, datacenter: string): Promise<boolean | Refusal> {
    return this.#write(view => deleteIntentionById(view, who, { id, datacenter }))
  }

  putAutopilot(who: Who, request: AutopilotPut): Promise<boolean | Refusal> {
    return this.#write(view => putAutopilot(view, who, request))
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
