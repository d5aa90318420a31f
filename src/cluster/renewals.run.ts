/**
 * Renewals that arrive on any server, for the one that keeps time.
 *
 * Owns the gathering of what goes to another server together, and the trying again while the role
 * moves. Nothing is acknowledged that the holder did not acknowledge inside its own lease, and
 * nothing is stored: when the role moves all times start over. Holds no deadline: timekeeper.ts.
 */
import type { Bytes } from '../base/bytes.ts'
import { type Clock, sleep, type Timer } from '../base/clock.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Store } from '../store/store.ts'
import type { Renewals, Timekeeper } from '../store/timekeeper.ts'

export interface RenewalItem {
  /** The kind of deadline. */
  readonly kind: string
  readonly key: Bytes
}

/** `elsewhere`: the server that was asked does not keep its time, or did not answer. */
export type RenewalOutcome = 'renewed' | 'gone' | 'elsewhere'

export interface RenewalPorts {
  readonly timekeeper: Pick<Timekeeper, 'renewal'>
  readonly clock: Clock
  /** Asks the server that holds the role; undefined while none other is known to. */
  readonly ask:
    | ((items: readonly RenewalItem[]) => Promise<readonly RenewalOutcome[]> | undefined)
    | undefined
}

interface Waiting extends RenewalItem {
  settle(outcome: RenewalOutcome): void
}

export class SharedRenewals implements Renewals {
  readonly #ports: RenewalPorts
  #gathered: Waiting[] = []
  #timer: Timer | undefined
  #pending = 0

  constructor(ports: RenewalPorts) {
    this.#ports = ports
  }

  async renew(kind: string, key: Bytes, holdMs: number = limits.renewalHoldMs): Promise<boolean> {
    if (this.#pending >= limits.renewalsPending) {
      throw new OperatingError(OperatingCode.busy, 'too many renewals wait for a timekeeper')
    }
    const { clock } = this.#ports
    const untilMs = clock.monotonic() + holdMs
    this.#pending++
    try {
      for (;;) {
        const outcome = await this.#once({ kind, key })
        if (outcome !== 'elsewhere') return outcome === 'renewed'
        if (clock.monotonic() + limits.renewalRetryMs > untilMs) break
        await sleep(clock, limits.renewalRetryMs)
      }
    } finally {
      this.#pending--
    }
    const text = 'no server keeps the time of sessions now'
    throw new OperatingError(OperatingCode.unavailable, text)
  }

  async #once({ kind, key }: RenewalItem): Promise<RenewalOutcome> {
    const own = this.#ports.timekeeper.renewal(kind, key)
    if (own !== 'elsewhere' || this.#ports.ask === undefined) return own
    return new Promise(settle => {
      this.#gathered.push({ kind, key, settle })
      if (this.#gathered.length >= limits.renewalBatch) this.#send()
      else this.#timer ??= this.#ports.clock.after(limits.renewalGatherMs, () => this.#send())
    })
  }

  #send(): void {
    this.#timer?.clear()
    this.#timer = undefined
    const items = this.#gathered
    this.#gathered = []
    const settle = (outcomes: readonly RenewalOutcome[]): void => {
      for (const [at, item] of items.entries()) item.settle(outcomes[at] ?? 'elsewhere')
    }
    const asked = this.#ports.ask?.(items.map(({ kind, key }) => ({ kind, key })))
    if (asked === undefined) settle([])
    else asked.then(settle, () => settle([]))
  }
}

/**
 * Renews what another server handed on. Its rows may be newer than this server's view, so that is
 * brought up to date first.
 */
export async function renewHere(
  store: Pick<Store, 'readIndex'>,
  timekeeper: Pick<Timekeeper, 'renewal' | 'knows' | 'holding'>,
  items: readonly RenewalItem[],
): Promise<readonly RenewalOutcome[]> {
  if (!timekeeper.holding) return items.map(() => 'elsewhere')
  await store.readIndex()
  return items.map(({ kind, key }) =>
    timekeeper.knows(kind) ? timekeeper.renewal(kind, key) : 'elsewhere',
  )
}
