/**
 * The checks that this agent runs, and what each of them says right now.
 *
 * Owns the runner and one HeldCheck for every check that is defined in the store. Follows what the
 * store says; decides nothing about it.
 */
import { type Bytes, toText } from '../base/bytes.ts'
import { type Clock, type Random, sleep } from '../base/clock.ts'
import { same } from '../base/equal.ts'
import { messageOf } from '../base/errors.ts'
import type { Resolver } from '../base/io/dns2.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { checkKinds } from '../checks/mod.ts'
import { CheckRunner } from '../checks/runner.run.ts'
import { clipOutput } from '../checks/ttl.ts'
import { type Said, updateLocalCheck } from '../registry/local.ts'
import type { Store } from '../store/store.ts'
import { CheckStatus, checks } from '../store/tables/check.ts'
import { localChecks } from '../store/tables/local.ts'
import { onNode, underNode } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { HeldCheck, type HeldPorts } from './held-check.ts'

export interface LocalChecksPorts {
  readonly store: Store
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly random: Random
  readonly log: Log
  readonly resolver: Resolver
}

export interface LocalChecksOptions {
  readonly node: string
  /** How long a new output alone may wait before it is written. */
  readonly outputDelayMs: number
  readonly outputMaxSizeBytes: number
}

export class LocalChecks {
  readonly #node: string
  readonly #outputMaxSizeBytes: number
  readonly #clock: Clock
  readonly #timeouts: Timeouts
  readonly #log: Log
  readonly #heldPorts: HeldPorts
  readonly #runner: CheckRunner
  readonly #held = new Map<string, HeldCheck>()
  #failures = 0

  constructor(ports: LocalChecksPorts, options: LocalChecksOptions) {
    const { store, clock, timeouts, random, log, resolver } = ports
    const { node, outputDelayMs, outputMaxSizeBytes } = options
    this.#node = node
    this.#outputMaxSizeBytes = outputMaxSizeBytes
    this.#clock = clock
    this.#timeouts = timeouts
    this.#log = log
    this.#heldPorts = {
      clock,
      timeouts,
      outputDelayMs,
      write: (id, said) => store.write(view => updateLocalCheck(view, node, id, said)),
      failed: error => this.#noteFailure(error),
    }
    this.#runner = new CheckRunner({
      kinds: checkKinds,
      timeouts,
      random,
      tools: { resolver },
      outputMaxSizeBytes,
      onResult: (id, said) => this.#held.get(id)?.sayLater(said),
    })
  }

  /** What a check says; undefined for one that is not defined here. */
  said(id: string): Said | undefined {
    return this.#held.get(id)?.said
  }

  /** Brings all checks in line with the store. */
  followAll(view: Reader): void {
    const defined = view.prefix(localChecks, underNode(this.#node))
    const ids = new Set(defined.map(({ row }) => row.check.checkId))
    for (const id of this.#held.keys()) if (!ids.has(id)) this.follow(view, id)
    for (const id of ids) this.follow(view, id)
  }

  /** Brings one check in line with its definition, and with what the catalog says of it. */
  follow(view: Reader, id: string): void {
    const key = onNode(this.#node, id)
    const defined = view.get(localChecks, key)?.row.check
    const row = view.get(checks, key)?.row
    let held = this.#held.get(id)
    if (held !== undefined && (defined === undefined || !same(defined, held.check))) {
      held.drop()
      this.#runner.stop(id)
      this.#held.delete(id)
      held = undefined
    }
    if (defined === undefined) return
    if (held === undefined) {
      const { status, output } = row ?? { status: CheckStatus.critical, output: '' }
      this.#held.set(id, new HeldCheck(defined, { status, output }, this.#heldPorts))
      this.#runner.start(defined)
    } else if (row?.agentOwned === true) held.adopt({ status: row.status, output: row.output })
  }

  /** The client of a TTL check reports. Resolves when a new status is written. */
  async report(id: string, { status, output }: Said): Promise<void> {
    const held = this.#held.get(id)
    if (held === undefined) return
    const maxSizeBytes = this.#outputMaxSizeBytes
    const own = held.check.outputMaxSizeBytes || maxSizeBytes
    const kept = clipOutput(output, Math.min(own, maxSizeBytes))
    this.#runner.heard(id, kept)
    await held.say({ status, output: kept })
  }

  /** A check was registered again: the time of a TTL check starts over. */
  heard(id: string): void {
    this.#runner.heard(id)
  }

  /** The checks that were critical for longer than their service may live with. */
  overdue(): string[] {
    const ids: string[] = []
    for (const [id, held] of this.#held) {
      const { deregisterCriticalServiceAfterMs: afterMs = 0 } = held.check.definition
      if (afterMs === 0) continue
      if (held.criticalForMs >= Math.max(afterMs, limits.checkDeregisterMinMs)) ids.push(id)
    }
    return ids
  }

  /** One line for all: when the store cannot write, thousands of checks may not be written. */
  #noteFailure(error: unknown): void {
    this.#failures++
    if (this.#failures > 1) return
    this.#timeouts.after(limits.agentSyncDelayMs, () => {
      this.#log.warn('checks were not written', { writes: this.#failures, error: messageOf(error) })
      this.#failures = 0
    })
  }

  /** Stops all checks and waits, not for long, for what is being written. */
  async stop(): Promise<void> {
    this.#runner.stopAll()
    const writes = [...this.#held.values()].map(held => {
      held.drop()
      return held.writing
    })
    await Promise.race([Promise.allSettled(writes), sleep(this.#clock, limits.agentStopMs)])
  }
}

/** The id in the key of something that belongs to a node. */
export const idIn = (key: Bytes, node: string): string => toText(key.slice(underNode(node).length))
