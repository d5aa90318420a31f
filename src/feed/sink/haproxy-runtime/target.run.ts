/**
 * The target of the sink `haproxy-runtime`: a running HAProxy.
 *
 * Owns that all of it is done or what was done is undone, what this HAProxy turned out not to be
 * able to do, and since when servers drain. What HAProxy has is read anew each time, so that a
 * process that was started anew gets back what its predecessor knew.
 */
import { messageOf } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import {
  type Applied,
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from '../declare.ts'
import { bounded } from '../lines.ts'
import { shown } from '../place.ts'
import { type BackendPlan, type Command, planBackend, type Step } from './plan.ts'
import { readBackends, readProcess, readRows, type ServerRow } from './rows.ts'
import type { RuntimeSettings } from './settings.ts'
import { askHaproxy } from './socket.run.ts'
import { placeKey, type WantedBackend } from './want.ts'

type Backends = Wanted<readonly WantedBackend[]>

/** What there is to do. */
interface Way {
  readonly plans: readonly BackendPlan[]
  readonly problems: readonly string[]
  readonly process: number
}

export class RuntimeTarget implements SinkTarget<readonly WantedBackend[]> {
  readonly #settings: RuntimeSettings
  readonly #ports: SinkPorts
  /** Backends to which HAProxy adds no servers, and those whose balance knows no weights. */
  readonly #without = { servers: new Set<string>(), weights: new Set<string>() }
  /** Since when servers drain, by name and place. */
  #drainingMs = new Map<string, number>()
  #process = 0

  constructor(settings: RuntimeSettings, ports: SinkPorts) {
    this.#settings = settings
    this.#ports = ports
  }

  async plan(wanted: Backends, signal: AbortSignal): Promise<Plan | TargetRefusal> {
    try {
      const way = await this.#way(wanted, signal)
      if (way instanceof TargetRefusal) return way
      const lines = stepsOf(way).flatMap(({ commands }) => commands.map(({ text }) => text))
      return { changes: bounded(lines), problems: way.problems }
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  async apply(wanted: Backends, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    try {
      const way = await this.#way(wanted, signal)
      if (way instanceof TargetRefusal) return way
      return await this.#go(way, signal)
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  async close(): Promise<void> {}

  async #way({ what }: Backends, signal: AbortSignal): Promise<Way | TargetRefusal> {
    const process = readProcess(await this.#ask('show info', signal))
    const known = new Set(readBackends(await this.#ask('show backend', signal)))
    const rows = readRows(
      await this.#ask('show servers state', signal),
      await this.#ask('show stat -1 4 -1', signal),
    )
    if (rows === undefined) {
      const text = 'HAProxy does not show its servers: is the socket one of level admin?'
      return new TargetRefusal(text, true)
    }
    const unknown = what.find(({ backend }) => !known.has(backend))
    if (unknown !== undefined) {
      return new TargetRefusal(`HAProxy has no backend ${shown(unknown.backend)}`, true)
    }
    if (process !== this.#process) {
      // Another one may be able to do other things.
      for (const set of Object.values(this.#without)) set.clear()
    }
    this.#noteDraining(rows)
    const plans = what.flatMap(one => (one.isHeld ? [] : [this.#planOf(rows, one)]))
    const problems = plans.flatMap(one => one.problems)
    return { plans, problems, process }
  }

  #planOf(rows: readonly ServerRow[], wanted: WantedBackend): BackendPlan {
    const { slots, add_servers, server_options, failing, drain_timeout } = this.#settings
    const nowMs = this.#ports.clock.monotonic()
    return planBackend(rows, wanted, {
      slots,
      mayAdd: add_servers && !this.#without.servers.has(wanted.backend),
      mayWeigh: !this.#without.weights.has(wanted.backend),
      serverOptions: server_options,
      isHealthOurs: failing === 'down',
      isOverdue: row => nowMs - (this.#drainingMs.get(rowKey(row)) ?? nowMs) >= drain_timeout,
    })
  }

  #noteDraining(rows: readonly ServerRow[]): void {
    const nowMs = this.#ports.clock.monotonic()
    const draining = rows.filter(({ mode }) => mode === 'drain').map(rowKey)
    this.#drainingMs = new Map(draining.map(key => [key, this.#drainingMs.get(key) ?? nowMs]))
  }

  async #go(way: Way, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    const changes: string[] = []
    const problems = [...way.problems]
    const isAnew = this.#process !== 0 && way.process !== this.#process
    if (isAnew) {
      changes.push(`HAProxy was started anew: process ${way.process}, before ${this.#process}`)
    }
    const undo: string[] = []
    let isAgain = way.plans.some(one => one.isDraining)
    for (const step of stepsOf(way)) {
      const done = await this.#run(step, problems, signal)
      changes.push(...done.lines)
      if (done.fault === undefined) undo.unshift(...done.undo)
      else if (step.what === 'set') return await this.#undo([...done.undo, ...undo], done.fault)
      else {
        isAgain = true
        await this.#undo(done.undo, done.fault)
        if (step.what === 'add') {
          this.#without.servers.add(step.backend)
          problems.push(done.fault)
        }
      }
    }
    this.#process = way.process
    const againMs = isAgain ? limits.sinkDrainLookMs : undefined
    return { changes: bounded(changes), problems, againMs }
  }

  /** Runs the commands of a step, up to the one that is refused. */
  async #run(step: Step, problems: string[], signal: AbortSignal) {
    const lines: string[] = []
    const undo: string[] = []
    for (const command of step.commands) {
      const fault = await this.#faultOf(command, signal)
      if (fault === undefined) {
        lines.push(command.text)
        undo.unshift(...command.undo)
      } else if (command.isWeight === true && /static LB/.test(fault)) {
        this.#without.weights.add(step.backend)
        problems.push(`backend ${step.backend}: its balance knows no weights`)
      } else {
        return { lines, undo, fault: `${command.text}: ${fault}` }
      }
    }
    return { lines, undo, fault: undefined }
  }

  async #faultOf({ text, isDone }: Command, signal: AbortSignal): Promise<string | undefined> {
    try {
      const answer = await this.#ask(text, signal)
      return isDone.test(answer) ? undefined : shown(answer.replaceAll('\n', ' '))
    } catch (error) {
      return messageOf(error)
    }
  }

  /** Undoes what was done, also where the work was stopped in the middle. */
  async #undo(commands: readonly string[], why: string): Promise<TargetRefusal> {
    const { signal } = new AbortController()
    let isWhole = true
    for (const command of commands) {
      const answer = await this.#ask(command, signal).catch(() => 'none')
      isWhole = isWhole && UNDONE.test(answer)
    }
    const target = commands.length === 0 ? 'as it was' : isWhole ? 'put back' : 'unknown'
    return new TargetRefusal(why, true, target)
  }

  #ask(command: string, signal: AbortSignal): Promise<string> {
    const { socket, address } = this.#settings
    return askHaproxy({ socket, address }, this.#ports, command, signal)
  }
}

const UNDONE = /^$|changed from|no need|Server deleted/

const stepsOf = ({ plans }: Way): readonly Step[] => plans.flatMap(({ steps }) => steps)

const rowKey = (row: ServerRow): string => `${row.backend}/${row.name} ${placeKey(row)}`
