/**
 * Taking back what leases were given for, on the one server that holds the role `secrets`.
 *
 * Owns the queue's work: so many at a time, and so many of one mount, so that an engine that does
 * not answer never holds up another; tried again for ever, at ever longer intervals. What is done
 * and what is not stands in the queue's rows, for whoever holds the role next.
 */

import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Duty } from '../../store/timekeeper.ts'
import { untilChanged } from '../../store/until-changed.ts'
import type { Barrier } from '../barrier/keyring.ts'
import type { DutyPorts, Engine, Settling } from '../declare.ts'
import { draftNow, type Fenced, writeFenced } from '../duty.run.ts'
import { mountStill } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import { type LeaseRow, type RevocationRow, revocationRows } from './lease.ts'

export interface RevokerPorts extends DutyPorts {
  readonly engines: readonly Engine[]
}

/** The duty of taking back. */
export const revocationDuty =
  (ports: RevokerPorts): Duty =>
  (signal, fenced) =>
    new Revoker(ports, fenced).run(signal)

class Revoker {
  readonly #ports: RevokerPorts
  readonly #fenced: Fenced
  /** What is under way, by its key in the queue, with its mount. */
  readonly #running = new Map<string, { readonly mount: string; readonly done: Promise<void> }>()

  constructor(ports: RevokerPorts, fenced: Fenced) {
    this.#ports = ports
    this.#fenced = fenced
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#ports
    while (!signal.aborted) {
      this.#startAll()
      await untilChanged({ scopes: store.scopes, clock }, [], limits.revocationTickMs, signal)
    }
    await Promise.all([...this.#running.values()].map(({ done }) => done))
  }

  /** Starts what is due, as far as there is room. */
  #startAll(): void {
    const draft = draftNow(this.#ports)
    if (draft === undefined) return
    const rows = revocationRows(draft)
    for (const key of rows.keys()) {
      if (this.#running.size >= limits.revocations) return
      if (this.#running.has(key)) continue
      const row = rows.kept<RevocationRow>(key)!
      if (row.nextMs > draft.now || !this.#hasRoom(row.lease.mount.uuid)) continue
      const done = this.#revoke(draft, key, row).finally(() => this.#running.delete(key))
      this.#running.set(key, { mount: row.lease.mount.uuid, done })
    }
  }

  #hasRoom(mount: string): boolean {
    let ofMount = 0
    for (const running of this.#running.values()) if (running.mount === mount) ofMount++
    return ofMount < limits.revocationsOfMount
  }

  /** Never rejects. */
  async #revoke(draft: Draft, key: string, row: RevocationRow): Promise<void> {
    try {
      const came = await this.#tryOne(draft, row.lease).then(
        settling => ({ settling }),
        error => ({ error: messageOf(error) }),
      )
      await this.#settle(draft.barrier, key, row, came)
    } catch (error) {
      // The row is as it was: it is tried again.
      this.#ports.log.warn('a revocation could not be written down', { error: messageOf(error) })
    }
  }

  async #tryOne(draft: Draft, lease: LeaseRow): Promise<Settling | undefined> {
    const { mount } = lease
    const engine = this.#ports.engines.find(
      one => one.kind === mount.kind && one.type === mount.type,
    )
    if (engine?.revoke === undefined) throw new Error('its engine takes nothing back')
    // A mount that is about to go keeps its rows until then.
    return engine.revoke(draft, mountStill(draft, mount) ?? mount, lease)
  }

  async #settle(
    barrier: Barrier,
    key: string,
    { lease, tries }: RevocationRow,
    came: { readonly error: string } | { readonly settling: Settling | undefined },
  ): Promise<void> {
    const error = 'error' in came ? came.error : undefined
    await writeFenced(this.#ports, this.#fenced, barrier, inside => {
      const rows = revocationRows(inside)
      // Who forced it out of the queue has the last word.
      if (!rows.has(key)) return
      if ('settling' in came) {
        rows.delete(key)
        came.settling?.(inside)
      } else {
        const nextMs = inside.now + pauseMs(tries, inside.random.fraction())
        const text = came.error.slice(0, limits.revocationErrorChars)
        const row: RevocationRow = { lease, tries: tries + 1, nextMs, error: text }
        rows.put(key, row)
      }
    })
    if (error === undefined) return
    this.#ports.log.warn('what a lease was given for could not be taken back', {
      ...{ mount: lease.mount.path, tries: tries + 1, error },
    })
  }
}

/** Twice as long each time, and never at the same time as others. */
const pauseMs = (tries: number, fraction: number): number =>
  Math.min(limits.revocationRetryMs * 2 ** tries, limits.revocationRetryMaxMs) *
  (0.5 + fraction / 2)
