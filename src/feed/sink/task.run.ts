/**
 * A task at work: follows, and keeps its target right.
 *
 * Owns the target and all that is done to it, one thing at a time; what is done when is decided by
 * task.ts. A target that hangs is left after the task's time-out; whatever it throws is this task's
 * failure and nobody else's. Never logs or tells a secret.
 */
import type { Clock, Random, Timer } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { FollowPort } from '../follow.ts'
import {
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from './declare.ts'
import { Gathered, type GatheredTopic } from './gather.ts'
import type { Once } from './once.run.ts'
import { renderTask } from './render.ts'
import {
  type Act,
  firstState,
  NEVER_MS,
  nextAct,
  onApplied,
  onBusy,
  onCompared,
  onLost,
  onRendered,
  onState,
  phaseOf,
  retryAfterMs,
  type TaskState,
} from './task.ts'
import type { TaskDefinition } from './task-definition.ts'
import { nextTimeMs } from './task-schedule.ts'
import {
  boundedLines,
  boundedText,
  type TaskCounts,
  type TaskEvent,
  type TaskStatus,
} from './task-status.ts'

/** What a task is given. */
export interface TaskPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** What it follows by, with the rights of its token. */
  readonly follow: FollowPort
  /** What its target works with, by the name of the task. */
  readonly portsOf: (task: string) => SinkPorts
}

export class SinkTask {
  readonly definition: TaskDefinition
  readonly #ports: TaskPorts
  readonly #target: SinkTarget
  readonly #gathered: Gathered
  readonly #end = new AbortController()
  #state: TaskState
  #timer: Timer | undefined
  #nextAtMs: number | undefined
  /** What the newest state that was looked at comes to. */
  #wanted: Wanted | undefined
  /** What was applied last. */
  #last: Wanted | undefined
  /** What is under way at the target; the next one waits for it. */
  #turn: Promise<unknown> = Promise.resolve()
  #applied: { readonly revision: number; readonly atMs: number } | undefined
  #lastPlan: TaskStatus['lastPlan']
  #lastError: TaskStatus['lastError']
  #problems: readonly string[] = []
  readonly #counts = { states: 0, applied: 0, unchanged: 0, refused: 0, failed: 0, held: 0 }
  readonly #events: TaskEvent[] = []

  constructor(definition: TaskDefinition, ports: TaskPorts) {
    const { name, kind, settings } = definition
    this.definition = definition
    this.#ports = ports
    this.#target = kind.open(settings, ports.portsOf(name))
    this.#state = firstState(definition.isEnabled)
    this.#gathered = new Gathered(definition)
  }

  /** Begins to follow, and goes on by itself until it is stopped. */
  start(): void {
    this.#note('started', '')
    if (!this.definition.isEnabled) return
    this.#gathered.follow(this.#ports.follow, this.definition.filter, {
      whole: topic => this.#came(topic),
      lost: problem => this.#lost(boundedText(problem)),
    })
  }

  /** Stops; the target stays as it is. Resolves once nothing is under way. */
  async stop(): Promise<void> {
    this.#gathered.stop()
    this.#timer?.clear()
    this.#end.abort()
    await this.#turn
    await this.#target.close().catch((error: unknown) => {
      this.#ports.log.warn('a sink was not closed in order', this.#fields(messageOf(error)))
    })
  }

  /** How it stands. */
  status(): TaskStatus {
    const { clock } = this.#ports
    const { name, kind } = this.definition
    const leadMs = clock.wall() - clock.monotonic()
    return {
      ...{ name, kind: kind.kind, phase: phaseOf(this.#state), detail: this.#detail() },
      revision: this.#state.revision,
      appliedRevision: this.#applied?.revision ?? 0,
      appliedAtMs: this.#applied?.atMs,
      summary: this.#last?.summary ?? '',
      problems: this.#problems,
      ...{ lastPlan: this.#lastPlan, lastError: this.#lastError },
      nextTryAtMs: this.#nextAtMs === undefined ? undefined : leadMs + this.#nextAtMs,
      counts: { ...this.#counts } satisfies TaskCounts,
      events: [...this.#events],
    }
  }

  /** Compares the target with the newest state, whatever condition and schedule say. */
  async plan(): Promise<Once> {
    const state = this.#gathered.state()
    if (state === undefined) return { how: 'lost', text: this.#detail() || 'it follows nothing' }
    const { outcome, wanted } = renderTask(this.definition, state, this.#last?.state)
    if (outcome.kind === 'held') return { how: 'held', text: outcome.reason }
    if (outcome.kind === 'refused') return { how: 'unrenderable', text: outcome.problem }
    const found = await this.#atTarget(signal => this.#target.plan(wanted!, signal))
    if (found instanceof TargetRefusal) return { how: 'refused', text: boundedText(found.text) }
    return {
      how: 'plan',
      changes: boundedLines(found.changes),
      problems: boundedLines([...wanted!.problems, ...found.problems]),
      summary: wanted!.summary,
      revision: state.revision,
    }
  }

  // --- what comes

  #came(topic: GatheredTopic): void {
    const wasLost = this.#state.feed.kind === 'lost'
    this.#counts.states++
    if (wasLost) this.#note('feed back', '')
    const { condition } = this.definition
    const goesBy = topic === 'health' ? 'services' : 'kv'
    this.#state = onState(
      this.#state,
      {
        revision: this.#gathered.revision,
        isTrigger: condition === 'any' || condition === goesBy || wasLost,
        notBeforeMs: this.#notBeforeMs(),
      },
      this.#nowMs(),
    )
    this.#pump()
  }

  #lost(problem: string): void {
    if (this.#state.feed.kind !== 'lost') {
      this.#note('feed lost', problem)
      this.#ports.log.warn('a sink keeps its last state', this.#fields(problem))
    }
    this.#state = onLost(this.#state, problem)
    this.#pump()
  }

  #notBeforeMs(): number {
    const { schedule } = this.definition
    if (schedule === undefined) return 0
    const { clock } = this.#ports
    const wallMs = clock.wall()
    const atMs = nextTimeMs(schedule, wallMs)
    return atMs === undefined ? NEVER_MS : clock.monotonic() + atMs - wallMs
  }

  // --- what is done

  #pump(): void {
    this.#timer?.clear()
    this.#nextAtMs = undefined
    for (let act = this.#next(); ; act = this.#next()) {
      if (act.act === 'render') this.#look()
      else {
        if (act.act === 'wait') this.#wait(act.untilMs)
        else if (act.act !== 'rest') this.#begin(act.act)
        break
      }
    }
  }

  #next(): Act {
    if (this.#end.signal.aborted) return { act: 'rest' }
    return nextAct(this.#state, this.definition.pace, this.#nowMs())
  }

  #wait(untilMs: number): void {
    this.#nextAtMs = untilMs
    this.#timer = this.#ports.clock.after(untilMs - this.#nowMs(), () => this.#pump())
  }

  #look(): void {
    const { outcome, wanted } = renderTask(
      this.definition,
      this.#gathered.state()!,
      this.#last?.state,
    )
    this.#wanted = wanted
    this.#problems = boundedLines(wanted?.problems ?? [])
    this.#state = onRendered(this.#state, outcome)
    if (outcome.kind === 'wanted') {
      if (this.#state.has === outcome.digest) this.#counts.unchanged++
    } else if (outcome.kind === 'held') {
      this.#counts.held++
      this.#note('held', outcome.reason)
    } else this.#wrong('unrenderable', outcome.problem)
  }

  #begin(what: 'compare' | 'apply'): void {
    const wanted = this.#wanted!
    const { renderedRevision: revision } = this.#state
    this.#state = onBusy(this.#state, what === 'compare' ? 'comparing' : 'applying')
    const doing = what === 'compare' ? this.#compare(wanted) : this.#apply(wanted, revision)
    void doing.then(() => this.#pump())
  }

  async #compare(wanted: Wanted): Promise<void> {
    const wasRight = this.#state.has === wanted.digest
    const found = await this.#atTarget(signal => this.#target.plan(wanted, signal))
    if (this.#end.signal.aborted) return
    const { digest } = wanted
    const retryMs = this.#retryMs(found)
    if (found instanceof TargetRefusal) {
      this.#state = onCompared(this.#state, { digest, how: 'failed', retryMs }, this.#nowMs())
      this.#wrong('failed', found.text)
      return
    }
    this.#keepPlan(wanted, found)
    const isSame = found.changes.length === 0
    const how = isSame ? 'same' : 'differs'
    if (isSame && !wasRight) this.#isNow(wanted, 'in order')
    if (!isSame && wasRight) this.#note('drifted', found.changes[0] ?? '')
    this.#state = onCompared(this.#state, { digest, how, retryMs }, this.#nowMs())
  }

  async #apply(wanted: Wanted, revision: number): Promise<void> {
    const isAgain = this.#state.has === wanted.digest
    const found = await this.#atTarget(signal => this.#target.apply(wanted, signal))
    if (this.#end.signal.aborted) return
    const { digest } = wanted
    const retryMs = this.#retryMs(found)
    if (found instanceof TargetRefusal) {
      const how = found.target === 'unknown' ? 'failed' : 'refused'
      this.#state = onApplied(this.#state, { digest, how, retryMs }, this.#nowMs())
      this.#wrong(
        how,
        found.target === 'put back' ? `${found.text} (put back)` : found.text,
        revision,
      )
      return
    }
    const { againMs } = found
    this.#state = onApplied(
      this.#state,
      { digest, how: 'applied', retryMs, againMs },
      this.#nowMs(),
    )
    if (isAgain && found.changes.length === 0) return
    this.#counts.applied++
    this.#keepPlan(wanted, found)
    this.#isNow(wanted, 'applied')
    this.#ports.log.info('a sink was applied', { ...this.#fields(), summary: wanted.summary })
  }

  /** Has one thing done at the target, after what is under way there and within the time-out. */
  #atTarget<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | TargetRefusal> {
    const run = async (): Promise<T | TargetRefusal> => {
      if (this.#end.signal.aborted) return new TargetRefusal('stopped', true)
      const { timeoutMs } = this.definition
      const late = new AbortController()
      const timer = this.#ports.clock.after(timeoutMs, () => late.abort())
      const signal = AbortSignal.any([late.signal, this.#end.signal])
      try {
        return await Promise.race([work(signal), this.#hangs(signal)])
      } catch (error) {
        const text = late.signal.aborted ? `took longer than ${timeoutMs} ms` : messageOf(error)
        return new TargetRefusal(text, true, 'unknown')
      } finally {
        timer.clear()
      }
    }
    const done = this.#turn.then(run)
    this.#turn = done
    return done
  }

  /** Rejects where a target does not end although it was told to. */
  #hangs(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      const told = (): void => {
        this.#ports.clock.after(limits.sinkStopMs, () => reject(new Error('the target hangs')))
      }
      signal.addEventListener('abort', told, { once: true })
    })
  }

  #retryMs(found: unknown): number {
    if (!(found instanceof TargetRefusal)) return 0
    if (!found.mayRetry) return NEVER_MS
    const fraction = this.#ports.random.fraction()
    return retryAfterMs(this.#state.failures, this.definition.pace, fraction)
  }

  // --- what is told

  /** The target has it. */
  #isNow(wanted: Wanted, what: 'applied' | 'in order'): void {
    this.#last = wanted
    const revision = this.#state.renderedRevision
    this.#applied = { revision, atMs: this.#ports.clock.wall() }
    this.#note(what, wanted.summary)
  }

  #keepPlan(wanted: Wanted, { changes, problems }: Plan): void {
    this.#lastPlan = { atMs: this.#ports.clock.wall(), changes: boundedLines(changes) }
    this.#problems = boundedLines([...new Set([...wanted.problems, ...problems])])
  }

  #wrong(
    what: 'refused' | 'failed' | 'unrenderable',
    given: string,
    revision = this.#state.renderedRevision,
  ): void {
    const text = boundedText(given)
    if (what !== 'unrenderable') this.#counts[what]++
    this.#lastError = { atMs: this.#ports.clock.wall(), revision, text }
    this.#note(what, text)
    this.#ports.log.warn('a sink could not be applied', this.#fields(text))
  }

  #note(what: TaskEvent['what'], given: string): void {
    const text = boundedText(given)
    const last = this.#events.at(-1)
    // What is still so is no event.
    if (last !== undefined && last.what === what && last.text === text && what === 'held') return
    this.#events.push({
      atMs: this.#ports.clock.wall(),
      what,
      revision: this.#state.revision,
      text,
    })
    if (this.#events.length > limits.sinkEvents) this.#events.shift()
  }

  #detail(): string {
    const { feed, rendered } = this.#state
    if (feed.kind === 'lost') return feed.problem
    const phase = phaseOf(this.#state)
    if (phase === 'held' && rendered?.kind === 'held') return rendered.reason
    if (phase === 'unrenderable' && rendered?.kind === 'refused') return rendered.problem
    if (phase === 'rejected') return this.#lastError?.text ?? ''
    if (phase !== 'waiting') return ''
    const { missing } = this.#gathered
    return missing.length === 0 ? '' : `waits for ${missing.join(', ')}`
  }

  #fields(problem?: string): { sink: string; kind: string; problem?: string } {
    const { name, kind } = this.definition
    return { sink: name, kind: kind.kind, ...(problem === undefined ? {} : { problem }) }
  }

  #nowMs(): number {
    return this.#ports.clock.monotonic()
  }
}
