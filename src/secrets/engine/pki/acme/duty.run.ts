/**
 * The queue of challenges, on the one server that keeps the time for all.
 *
 * Owns how many are looked at at a time and how often one is tried. What came of it stands in rows,
 * for whoever does it next.
 */

import { messageOf } from '../../../../base/errors.ts'
import { createResolver } from '../../../../base/io/dns2.ts'
import { limits } from '../../../../base/limits.ts'
import { plainAddress } from '../../../../base/networks.ts'
import type { Duty } from '../../../../store/timekeeper.ts'
import { untilChanged } from '../../../../store/until-changed.ts'
import type { DutyPorts } from '../../../declare.ts'
import { draftNow, type Fenced, writeFenced } from '../../../duty.run.ts'
import { mountStill, storageOf } from '../../../mount/mount.ts'
import type { Draft } from '../../../storage.ts'
import { settleChallenge } from './authorization.ts'
import { type AcmeConfig, acmeConfigOf, resolverAddress } from './config.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import { type ValidationRow, validationRows } from './rows.ts'
import { validate } from './validate.run.ts'

/** The duty of looking at challenges. */
export const validationDuty =
  (acme: AcmePorts, ports: DutyPorts): Duty =>
  (signal, fenced) =>
    new Validator(acme, ports, fenced).run(signal)

class Validator {
  readonly #acme: AcmePorts
  readonly #ports: DutyPorts
  readonly #fenced: Fenced
  readonly #running = new Map<string, Promise<void>>()

  constructor(acme: AcmePorts, ports: DutyPorts, fenced: Fenced) {
    this.#acme = acme
    this.#ports = ports
    this.#fenced = fenced
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#ports
    while (!signal.aborted) {
      this.#startAll()
      await untilChanged({ scopes: store.scopes, clock }, [], limits.acmeTickMs, signal)
    }
    await Promise.all(this.#running.values())
  }

  /** Starts what is due, as far as there is room. */
  #startAll(): void {
    const draft = draftNow(this.#ports)
    if (draft === undefined) return
    const rows = validationRows(draft)
    for (const key of rows.keys('', limits.acmeWaiting)) {
      if (this.#running.size >= limits.acmeValidations) return
      const row = rows.kept<ValidationRow>(key)!
      if (this.#running.has(key) || row.nextMs > draft.now) continue
      const done = this.#look(draft, key, row).finally(() => this.#running.delete(key))
      this.#running.set(key, done)
    }
  }

  /** Never rejects. */
  async #look(draft: Draft, key: string, row: ValidationRow): Promise<void> {
    try {
      const mount = mountStill(draft, row.mount)
      const problem =
        mount === undefined
          ? new Problem('serverInternal', 'the mount is gone')
          : await validate(row, this.#toolsFor(acmeConfigOf(storageOf(draft, mount))))
      await this.#settle(draft, key, problem)
    } catch (error) {
      // The row is as it was: it is looked at again.
      this.#ports.log.warn('a challenge could not be settled', { error: messageOf(error) })
    }
  }

  #toolsFor({ dnsResolver, permittedRanges, excludedRanges }: AcmeConfig) {
    const { clock } = this.#ports
    const { guard, mayReachItself, httpPort, tlsPort, resolver: own } = this.#acme
    const named = resolverAddress(dnsResolver)
    const resolver =
      named === undefined ? own : createResolver({ clock, server: named.host, port: named.port })
    const isPermitted = guard(permittedRanges)
    const isItself = guard(['127.0.0.0/8', '::1', '0.0.0.0/8', '::'])
    const isExcluded = excludedRanges.length === 0 ? () => false : guard(excludedRanges)
    const mayReach = (address: string): boolean => {
      const plain = plainAddress(address)
      if (!isPermitted(plain) || isExcluded(plain)) return false
      return mayReachItself || permittedRanges.length > 0 || !isItself(plain)
    }
    return { resolver, mayReach, clock, httpPort, tlsPort }
  }

  async #settle({ barrier }: Draft, key: string, problem: Problem | undefined): Promise<void> {
    await writeFenced(this.#ports, this.#fenced, barrier, draft => {
      const rows = validationRows(draft)
      const row = rows.get<ValidationRow>(key)
      if (row === undefined) return
      const mount = mountStill(draft, row.mount)
      const isToBeTried = problem !== undefined && row.tries + 1 < limits.acmeTries
      if (mount !== undefined && isToBeTried) {
        const nextMs = draft.now + limits.acmeRetryMs * 2 ** row.tries
        rows.put(key, { ...row, tries: row.tries + 1, nextMs })
      } else {
        rows.delete(key)
        if (mount !== undefined) settleChallenge(storageOf(draft, mount), row, problem, draft.now)
      }
    })
  }
}
