/**
 * The checks that this agent runs, and what each of them says right now.
 *
 * Owns the runner and one HeldCheck for every check that is defined in the store. Follows what the
 * store says; decides nothing about it.
 */
import { type Bytes, toText } from '../base/bytes.ts'
import { type Clock, type Random, sleep } from '../base/clock.ts'
import { same } from '../base/equal.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { Mirror, Programs, RunTools } from '../checks/define.ts'
import { checkKinds, startsPrograms } from '../checks/mod.ts'
import { CheckRunner } from '../checks/runner.run.ts'
import { clipOutput } from '../checks/ttl.ts'
import { type Said, updateLocalCheck } from '../registry/local.ts'
import { type Event, isRefusal, type Store } from '../store/store.ts'
import { CheckStatus, checks } from '../store/tables/check.ts'
import { type LocalCheck, localChecks } from '../store/tables/local.ts'
import { onNode, underNode } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import type { Writer } from '../store/writer.ts'
import { failuresTold, HeldCheck, type HeldPorts } from './held-check.ts'
import { Mirrors } from './mirrors.ts'
import { isLack, type Publishers } from './publishers.ts'

/** What it takes to run checks. */
export interface CheckPorts {
  readonly store: Store
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly random: Random
  readonly log: Log
  /** What the runs of checks share. */
  readonly tools: RunTools
}

export interface LocalChecksPorts extends CheckPorts {
  readonly writer: Writer
  readonly publishers: Publishers
}

export interface LocalChecksOptions {
  readonly node: string
  /** How long a new output alone may wait before it is written. */
  readonly outputDelayMs: number
  readonly outputMaxSizeBytes: number
  /** Whether outputs are not kept at all. */
  readonly discardsOutput: boolean
  /** Whose definitions may start programs. */
  readonly programs: ProgramRights
  /** Services go no sooner than this for a check that stays critical. */
  readonly deregisterMinMs: number
}

/** Whose definitions may start programs: those of everybody, or those of files. */
export interface ProgramRights {
  readonly byAnybody: boolean
  readonly byFiles: boolean
}

/** Why a check that starts programs is not taken; undefined where it may. */
export function programProblem(
  { kind }: Pick<LocalCheck, 'kind'>,
  fromFile: boolean,
  { byAnybody, byFiles }: ProgramRights,
): string | undefined {
  if (!startsPrograms(kind) || byAnybody || (fromFile && byFiles)) return undefined
  const which = fromFile
    ? "; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true"
    : " from remote calls; to enable, configure 'enable_script_checks' to true"
  return `Scripts are disabled on this agent${which}`
}

export class LocalChecks {
  readonly #ports: LocalChecksPorts
  readonly #node: string
  readonly #options: LocalChecksOptions
  readonly #store: Store
  readonly #clock: Clock
  readonly #timeouts: Timeouts
  readonly #heldPorts: HeldPorts
  readonly #runner: CheckRunner
  readonly #programs: Programs
  readonly #held = new Map<string, HeldCheck>()
  /** What definitions say of checks that the catalog was not told of. */
  readonly #initial = new Map<string, CheckStatus>()
  readonly #mirrors = new Mirrors()
  /** Mirrors that are to be read again. */
  readonly #stale = new Set<string>()
  #reading: Timeout | undefined

  constructor(ports: LocalChecksPorts, options: LocalChecksOptions) {
    const { store, clock, timeouts, random, tools } = ports
    const { node, outputDelayMs, outputMaxSizeBytes } = options
    this.#ports = ports
    this.#node = node
    this.#options = options
    this.#store = store
    this.#clock = clock
    this.#timeouts = timeouts
    this.#heldPorts = {
      clock,
      timeouts,
      outputDelayMs,
      write: (id, said) => this.#publish(id, said),
      failed: failuresTold(ports),
    }
    this.#programs = tools.programs
    this.#runner = new CheckRunner({
      kinds: checkKinds,
      timeouts,
      random,
      tools,
      outputMaxSizeBytes,
      onResult: (id, said) => this.#held.get(id)?.sayLater(this.#kept(said)),
    })
  }

  /**
   * Writes what a check says for whoever publishes it. Where a right is lacking that stays here: it
   * is written when the agent looks over its entries and may.
   */
  async #publish(check: string, said: Said): Promise<void> {
    const { publishers, writer } = this.#ports
    const who = publishers.of(this.#store.view(), { check })
    const written = isRefusal(who)
      ? who
      : await writer.write(who, (view, by) => updateLocalCheck(view, by, this.#node, check, said))
    if (isLack(written)) publishers.heldBack({ check }, written)
  }

  /** What a check says; undefined for one that is not defined here. */
  said(id: string): Said | undefined {
    return this.#held.get(id)?.said
  }

  /** The status that a check begins with, where the catalog says none. */
  begin(id: string, status: CheckStatus): void {
    this.#initial.set(id, status)
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
    const defined = view.get(localChecks, key)?.row
    const row = view.get(checks, key)?.row
    let held = this.#held.get(id)
    if (held !== undefined && (defined === undefined || !same(defined.check, held.check))) {
      this.#drop(id, held)
      held = undefined
    }
    if (defined === undefined) return
    if (held === undefined) {
      const initial = this.#initial.get(id) ?? CheckStatus.critical
      this.#initial.delete(id)
      const { status, output } = row ?? { status: initial, output: '' }
      this.#start(defined.check, { status, output }, defined.fromFile)
    } else if (row?.agentOwned === true) held.adopt({ status: row.status, output: row.output })
  }

  #start(check: LocalCheck, said: Said, fromFile: boolean): void {
    const { checkId, definition } = check
    const held = new HeldCheck(check, said, this.#heldPorts)
    this.#held.set(checkId, held)
    // What was registered while programs were allowed must not run now that they are not.
    const problem = programProblem(check, fromFile, this.#options.programs)
    if (problem !== undefined) {
      held.sayLater({ status: CheckStatus.critical, output: problem })
      return
    }
    const mirror = mirrorOf(check)
    if (mirror === undefined) this.#runner.start(check, said.status)
    else {
      this.#mirrors.add(checkId, mirror.target(definition, this.#node))
      this.#readSoon([checkId])
    }
  }

  #drop(id: string, held: HeldCheck): void {
    held.drop()
    this.#runner.stop(id)
    this.#mirrors.remove(id)
    this.#held.delete(id)
  }

  /** Something changed in the catalog: the checks that mirror it follow. */
  note(event: Event): void {
    this.#readSoon(this.#mirrors.concernedBy(event))
  }

  /** Anything may have changed: all mirrors are read again. */
  noteAll(): void {
    this.#readSoon(this.#held.keys())
  }

  /** Gathers what changes at about the same time. */
  #readSoon(ids: Iterable<string>): void {
    for (const id of ids) this.#stale.add(id)
    if (this.#stale.size === 0) return
    this.#reading ??= this.#timeouts.after(0, () => {
      this.#reading = undefined
      const stale = [...this.#stale]
      this.#stale.clear()
      const view = this.#store.view()
      void inSlices(stale, id => this.#read(view, id))
    })
  }

  #read(view: Reader, checkId: string): void {
    const held = this.#held.get(checkId)
    const mirror = held === undefined ? undefined : mirrorOf(held.check)
    if (held === undefined || mirror === undefined) return
    const self = { node: this.#node, checkId }
    held.sayLater(this.#kept(mirror.read(view, held.check.definition, self)))
  }

  #kept({ status, output }: Said): Said {
    return { status, output: this.#options.discardsOutput ? '' : output }
  }

  /** The client of a TTL check reports. Resolves when a new status is written. */
  async report(id: string, { status, output }: Said): Promise<void> {
    const held = this.#held.get(id)
    if (held === undefined) return
    const maxSizeBytes = this.#options.outputMaxSizeBytes
    const own = held.check.outputMaxSizeBytes || maxSizeBytes
    const kept = clipOutput(output, Math.min(own, maxSizeBytes))
    this.#runner.heard(id, kept)
    await held.say(this.#kept({ status, output: kept }))
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
      if (held.criticalForMs >= Math.max(afterMs, this.#options.deregisterMinMs)) ids.push(id)
    }
    return ids
  }

  /** Stops all checks and waits, not for long, for what is being written. */
  async stop(): Promise<void> {
    this.#runner.stopAll()
    this.#reading?.cancel()
    const writes = [...this.#held.values()].map(held => {
      held.drop()
      return held.writing
    })
    const rest = Promise.allSettled([...writes, this.#programs.close()])
    await Promise.race([rest, sleep(this.#clock, limits.agentStopMs)])
  }
}

function mirrorOf({ kind }: LocalCheck): Mirror | undefined {
  return checkKinds.find(one => one.kind === kind)?.mirror
}

/** The id in the key of something that belongs to a node. */
export const idIn = (key: Bytes, node: string): string => toText(key.slice(underNode(node).length))
