/**
 * The committer: what is decided goes to etcd, many transactions at a time.
 *
 * Owns the lanes and what waits for them. Takes transactions that are independent of each other
 * (the engine sees to that, see holds.ts), lets as many as fit share one of etcd's, and tells each
 * what became of it. Sends nothing twice: what lost is decided anew by the engine.
 */
import { type MonotonicMs, monotonicMs } from '../../base/brand.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import { afterPoll } from '../../base/slices.ts'
import {
  doneParts,
  isAlone,
  type Parcel,
  packAlone,
  packShared,
  takeShared,
  tracedParts,
  tracesOf,
} from './batch.ts'
import { isFull, isUnclear } from './client.ts'
import type { Draft } from './draft.ts'
import { Lane, type LanePlace, type Sent } from './lane.ts'
import { patiently } from './patience.ts'

/** A transaction on its way. */
export interface Unit {
  readonly draft: Draft
  readonly untilMs: MonotonicMs
  /** It was applied at this revision; or another one came first, and by then it can be seen. */
  settle(sent: Settled): void
  /** An OperatingError, with the outcome. */
  fail(error: unknown): void
}

/** What became of a transaction. */
export interface Settled {
  readonly applied: boolean
  readonly at: number
  /** It lost, and who came first is in the view as soon as that shows `at`. */
  readonly isSeenAt: boolean
}

/** What is not made of drafts: it has a lane for itself. */
interface Special {
  readonly parcel: Parcel
  readonly untilMs: MonotonicMs
  readonly resolve: (sent: Sent) => void
  readonly reject: (error: unknown) => void
}

export class Committer {
  readonly #place: LanePlace
  readonly #onCommit: ((transactions: number, tookMs: number) => void) | undefined
  readonly #idle: Lane[]
  #shared: Unit[] = []
  #alone: Unit[] = []
  readonly #specials: Special[] = []
  #isScheduled = false

  constructor(place: LanePlace, onCommit?: (transactions: number, tookMs: number) => void) {
    this.#place = place
    this.#onCommit = onCommit
    this.#idle = Array.from({ length: limits.etcdLanes }, (_, at) => new Lane(place, at)).reverse()
  }

  /** Sends a transaction as soon as a lane is free; it must conflict with no other one here. */
  submit(unit: Unit): void {
    if (isAlone(unit.draft)) this.#alone.push(unit)
    else this.#shared.push(unit)
    this.#schedule()
  }

  /** Sends something of its own; resolves when that is settled. */
  commit(parcel: Parcel, untilMs: MonotonicMs): Promise<Sent> {
    return new Promise((resolve, reject) => {
      this.#specials.push({ parcel, untilMs, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#idle.length === 0) return
    this.#isScheduled = true
    // All requests that this turn of the loop read share what is sent.
    afterPoll(() => {
      this.#isScheduled = false
      this.#send()
    })
  }

  #send(): void {
    while (this.#idle.length > 0) {
      const special = this.#specials.shift()
      const alone = special === undefined ? this.#alone.shift() : undefined
      if (special !== undefined) this.#use(lane => sendSpecial(lane, special))
      else if (alone !== undefined) this.#use(lane => this.#sendAlone(lane, alone))
      else if (this.#shared.length > 0) {
        const count = takeShared(this.#shared.map(({ draft }) => draft))
        const units = this.#shared.slice(0, count)
        this.#shared = this.#shared.slice(count)
        this.#use(lane => this.#sendShared(lane, units))
      } else return
    }
  }

  #use(work: (lane: Lane) => Promise<void>): void {
    // The one that was used last: few head rows are needed where few writes come.
    const lane = this.#idle.pop()!
    void work(lane).then(() => {
      this.#idle.push(lane)
      this.#schedule()
    })
  }

  async #sendAlone(lane: Lane, unit: Unit): Promise<void> {
    try {
      const parcel = packAlone(unit.draft, this.#place.keys)
      const { applied, at } = await this.#timed(1, () => lane.commit(parcel, unit.untilMs))
      unit.settle({ applied, at, isSeenAt: false })
    } catch (error) {
      unit.fail(error)
    }
  }

  async #sendShared(lane: Lane, units: readonly Unit[]): Promise<void> {
    const [first] = units
    if (units.length === 1) {
      await this.#sendAlone(lane, first!)
      return
    }
    const untilMs = monotonicMs(Math.max(...units.map(unit => unit.untilMs)))
    const drafts = units.map(({ draft }) => draft)
    try {
      const parcel = packShared(drafts, this.#place.keys)
      const sent = await this.#timed(units.length, () => lane.commit(parcel, untilMs))
      const done = sent.applied ? await this.#doneParts(drafts, sent, untilMs) : undefined
      const { at } = sent
      units.forEach((unit, part) => {
        unit.settle({ applied: done?.[part] === true, at, isSeenAt: sent.applied })
      })
    } catch (error) {
      if (!isOfOne(error)) for (const unit of units) unit.fail(error)
      // One of them is refused by etcd, and all of them with it: each finds out for itself.
      else this.#alone.push(...units)
    }
  }

  async #timed(count: number, work: () => Promise<Sent>): Promise<Sent> {
    const { clock } = this.#place
    const beganMs = clock.monotonic()
    const sent = await work()
    if (sent.applied) this.#onCommit?.(count, clock.monotonic() - beganMs)
    return sent
  }

  /** Which parts were done; read from etcd where the answer that said so was lost. */
  async #doneParts(
    drafts: readonly Draft[],
    { response, at }: Sent,
    untilMs: MonotonicMs,
  ): Promise<boolean[]> {
    if (response !== undefined) return doneParts(response, drafts.length)
    const { etcd, clock } = this.#place
    try {
      const read = await patiently(clock, untilMs, () =>
        etcd.txn({ success: tracesOf(drafts, at) }),
      )
      return tracedParts(read, drafts.length)
    } catch (error) {
      const text = `etcd did not say whether the write was applied: ${messageOf(error)}`
      throw new OperatingError(OperatingCode.uncertain, text, 'unknown', error)
    }
  }
}

async function sendSpecial(lane: Lane, special: Special): Promise<void> {
  try {
    special.resolve(await lane.commit(special.parcel, special.untilMs))
  } catch (error) {
    special.reject(error)
  }
}

/** Whether etcd clearly refused something in the transaction, so that nothing was done. */
function isOfOne(error: unknown): boolean {
  if (!(error instanceof OperatingError) || error.outcome !== 'none') return false
  const { cause } = error
  return cause instanceof RpcError && !isUnclear(cause) && !isFull(cause)
}
