/**
 * The checks that this server runs for nodes without an agent, as long as it holds the timekeeper's
 * role: of all servers of a store one probes.
 *
 * Owns a runner and one HeldCheck for every check that is to be run. Follows the store's feed, so
 * that checks come, change and go with their registrations; decides nothing (registry/external.ts).
 * Programs are never started: who registers such a check names the kind, but not this machine.
 */
import type { Bytes } from '../base/bytes.ts'
import { sleep } from '../base/clock.ts'
import { same } from '../base/equal.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout } from '../base/timeouts.ts'
import type { CheckResult } from '../checks/define.ts'
import { kindOf, networkKinds } from '../checks/mod.ts'
import { CheckRunner } from '../checks/runner.run.ts'
import { isExternal, reapExternal, updateExternalCheck } from '../registry/external.ts'
import { type Decide, type Event, isRefusal } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, checks } from '../store/tables/check.ts'
import type { LocalCheck } from '../store/tables/local.ts'
import { fold, underNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import type { Duty } from '../store/timekeeper.ts'
import type { Reader } from '../store/view.ts'
import type { Config } from './config.ts'
import { failuresTold, HeldCheck, type HeldPorts } from './held-check.ts'
import type { CheckPorts } from './local-checks.ts'

/** What such checks need of the configuration: the agent's own checks go by the same. */
export type ExternalConfig = Pick<
  Config,
  | 'checkUpdateIntervalMs'
  | 'checkOutputMaxSizeBytes'
  | 'discardCheckOutput'
  | 'checkReapIntervalMs'
  | 'checkDeregisterMinMs'
>

type Fenced = <A>(decide: Decide<A>) => Decide<A>

/** Runs the checks of external nodes while the role is held. */
export const externalChecks =
  (ports: CheckPorts, config: ExternalConfig): Duty =>
  (signal, fenced) =>
    new ExternalChecks(ports, config, fenced).serve(signal)

/**
 * What is run for a check of the catalog; undefined where that is nobody's business here. Its id is
 * the key of its row, since those of two nodes may be the same.
 */
export function probeOf(view: Reader, key: Bytes): LocalCheck | undefined {
  const row = view.get(checks, key)?.row
  if (row === undefined || row.agentOwned) return undefined
  const node = view.get(nodes, fold(row.node))
  if (node === undefined || !isExternal(node.row)) return undefined
  const { intervalMs = 0 } = row.definition
  const given = intervalMs > 0 ? {} : { intervalMs: limits.checkExternalIntervalMs }
  const found = kindOf({ ...row.definition, ...given })
  if ('invalid' in found || !networkKinds.some(({ kind }) => kind === found.kind)) return undefined
  return {
    checkId: key,
    name: row.name,
    notes: '',
    kind: found.kind,
    serviceId: row.serviceId,
    definition: found.definition,
    ttlMs: 0,
    // Definitions of the catalog have no thresholds on the wire.
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
    outputMaxSizeBytes: Math.max(found.definition.outputMaxSizeBytes ?? 0, 0),
  }
}

/**
 * Whether a check's change says nothing of whether it is run: most changes are of its health. Parts
 * that did not change are shared with the row before.
 */
function isSameProbe(before: Cell<unknown> | undefined, after: Cell<unknown> | undefined): boolean {
  if (before === undefined || after === undefined) return false
  const [was, is] = [before.row as CheckRow, after.row as CheckRow]
  return was.definition === is.definition && was.agentOwned === is.agentOwned
}

class ExternalChecks {
  readonly #ports: CheckPorts
  readonly #config: ExternalConfig
  readonly #fenced: Fenced
  readonly #failed: (error: unknown) => void
  readonly #runner: CheckRunner
  readonly #held = new Map<Bytes, HeldCheck>()
  #reaping: Timeout | undefined

  constructor(ports: CheckPorts, config: ExternalConfig, fenced: Fenced) {
    const { timeouts, random, tools } = ports
    this.#ports = ports
    this.#config = config
    this.#fenced = fenced
    this.#failed = failuresTold(ports)
    this.#runner = new CheckRunner({
      kinds: networkKinds,
      timeouts,
      random,
      tools,
      outputMaxSizeBytes: config.checkOutputMaxSizeBytes,
      onResult: (key, said) => this.#held.get(key)?.sayLater(this.#kept(said)),
    })
  }

  /** Runs all checks until the signal aborts, starting over where the feed cannot go on. */
  async serve(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports
    this.#reapLater()
    while (!signal.aborted) {
      try {
        await this.#followFeed(signal)
      } catch (error) {
        log.warn('following the store', { error: messageOf(error) })
        await sleep(clock, limits.agentSyncDelayMs)
      }
    }
    await this.#stop()
  }

  async #followFeed(signal: AbortSignal): Promise<void> {
    const { store } = this.#ports
    const view = store.view()
    const feed = store.feed(view.revision)
    for (const key of [...this.#held.keys()]) this.#follow(view, key)
    await inSlices(view.entries(checks), ({ key }) => this.#follow(view, key))
    for (;;) {
      const soon = feed.next(signal)
      const change = soon instanceof Promise ? await soon : soon
      if (change === undefined || change === 'resync') return
      for (const event of change.events) this.#note(event)
    }
  }

  #note({ table, key, before, after }: Event): void {
    const view = this.#ports.store.view()
    if (table === checks && (this.#held.has(key) || !isSameProbe(before, after))) {
      this.#follow(view, key)
    }
    if (table !== nodes) return
    const rows = [before, after].flatMap(cell => (cell === undefined ? [] : [cell.row as NodeRow]))
    if (before !== undefined && !rows.some(isExternal)) return
    const [{ node }] = rows as [NodeRow]
    for (const cell of view.prefix(checks, underNode(node))) this.#follow(view, cell.key)
  }

  /** Brings one check in line with its registration. */
  #follow(view: Reader, key: Bytes): void {
    const held = this.#held.get(key)
    const check = probeOf(view, key)
    if (check === undefined) {
      if (held !== undefined) this.#drop(key, held)
      return
    }
    const { status, output } = view.get(checks, key)!.row
    if (held !== undefined && same(held.check, check)) {
      held.adopt({ status, output })
      return
    }
    if (held !== undefined) this.#drop(key, held)
    this.#held.set(key, new HeldCheck(check, { status, output }, this.#heldPorts(check)))
    this.#runner.start(check, status)
  }

  #heldPorts(check: LocalCheck): HeldPorts {
    const { store, clock, timeouts } = this.#ports
    return {
      clock,
      timeouts,
      outputDelayMs: this.#config.checkUpdateIntervalMs,
      write: (key, said) =>
        store.write(
          this.#fenced(view => {
            // A result of a definition that has just been replaced says nothing of the new one.
            const isSame = same(probeOf(view, key), check)
            return isSame ? updateExternalCheck(view, key, said) : { txn: [], answer: false }
          }),
        ),
      failed: this.#failed,
    }
  }

  #drop(key: Bytes, held: HeldCheck): void {
    held.drop()
    this.#runner.stop(key)
    this.#held.delete(key)
  }

  #kept({ status, output }: CheckResult): CheckResult {
    return { status, output: this.#config.discardCheckOutput ? '' : output }
  }

  #reapLater(): void {
    this.#reaping = this.#ports.timeouts.after(this.#config.checkReapIntervalMs, () => {
      this.#reapLater()
      this.#reap().catch(this.#failed)
    })
  }

  /** Deregisters the services whose checks were critical for longer than they may be. */
  async #reap(): Promise<void> {
    const overdue = [...this.#held].filter(([, { check, criticalForMs }]) => {
      const { deregisterCriticalServiceAfterMs: afterMs = 0 } = check.definition
      const leastMs = Math.max(afterMs, this.#config.checkDeregisterMinMs)
      return afterMs > 0 && check.serviceId !== '' && criticalForMs >= leastMs
    })
    const { store, log } = this.#ports
    for (const [key] of overdue) {
      const reaped = await store.write(this.#fenced(view => reapExternal(view, key)))
      if (isRefusal(reaped) || reaped.answer === undefined) continue
      const { node, serviceId: service } = reaped.answer
      log.info('deregistered a service that stayed critical', { node, service })
    }
  }

  /** Stops all checks and waits, not for long, for what is being written. */
  async #stop(): Promise<void> {
    this.#reaping?.cancel()
    this.#runner.stopAll()
    const writes = [...this.#held.values()].map(held => {
      held.drop()
      return held.writing
    })
    await Promise.race([Promise.allSettled(writes), sleep(this.#ports.clock, limits.agentStopMs)])
  }
}
