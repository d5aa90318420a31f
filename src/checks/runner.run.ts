/**
 * The runner: when each check of this agent runs, and what its results add up to.
 *
 * Owns intervals, time-outs, thresholds and the deadlines of TTL checks, all on one timing wheel,
 * and how many runs are under way. A check never overlaps itself. Checks whose targets hang get a
 * small share of the runs of their own, so that they cannot delay the others. Knows no store.
 */
import type { Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { CheckStatus } from '../store/tables/check.ts'
import type { LocalCheck } from '../store/tables/local.ts'
import type { CheckKind, CheckResult, Run, RunRequest, RunTools, StartRun } from './define.ts'
import { freshStreak, judge, type Streak } from './threshold.ts'
import { lapsed } from './ttl.ts'

export interface RunnerOptions {
  readonly kinds: readonly CheckKind[]
  readonly timeouts: Timeouts
  readonly random: Random
  readonly tools: RunTools
  /** Outputs are cut to this; a check may ask for less. */
  readonly outputMaxSizeBytes: number
  /** Called when a check says something, which may be what it said before. Must not throw. */
  readonly onResult: (checkId: string, result: CheckResult) => void
}

/** A share of the runs that may be under way at a time. */
class Share {
  readonly waiting = new Set<Scheduled>()
  readonly #runsMax: number
  running = 0

  constructor(runsMax: number) {
    this.#runsMax = runsMax
  }

  /** Takes out the next one that may run now. */
  next(): Scheduled | undefined {
    if (this.running >= this.#runsMax) return undefined
    const [first] = this.waiting
    if (first !== undefined) this.waiting.delete(first)
    return first
  }
}

type Probing = Extract<CheckKind, { readonly run: StartRun }>

interface Scheduled {
  readonly check: LocalCheck
  readonly kind: Probing
  readonly request: RunRequest
  readonly intervalMs: number
  share: Share
  streak: Streak
  /** Until the next run is due. */
  pause: Timeout | undefined
  stopRun: (() => void) | undefined
}

interface Lapsing {
  readonly check: LocalCheck
  lastOutput: string
  deadline: Timeout
}

export class CheckRunner {
  readonly #options: RunnerOptions
  readonly #scheduled = new Map<string, Scheduled>()
  readonly #lapsing = new Map<string, Lapsing>()
  readonly #prompt = new Share((limits.checksInFlight * 3) / 4)
  readonly #hanging = new Share(limits.checksInFlight / 4)
  #isPumping = false

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /**
   * Runs a check from now on, as newly defined; `said` is what it says until then. Checks that
   * nobody runs here are left alone.
   */
  start(check: LocalCheck, said: CheckStatus): void {
    this.stop(check.checkId)
    const kind = this.#options.kinds.find(one => one.kind === check.kind)
    if (kind === undefined || kind.mirror !== undefined) return
    if (kind.run === undefined) {
      const { checkId, ttlMs } = check
      this.#lapsing.set(checkId, { check, lastOutput: '', deadline: this.#lapseIn(checkId, ttlMs) })
      return
    }
    const one = this.#schedule(check, kind, said)
    this.#scheduled.set(check.checkId, one)
    // Spread over the interval, so that a restart does not ask all targets at once.
    this.#rest(one, this.#options.random.fraction() * one.intervalMs)
  }

  /** Stops a check; nothing is reported of it any more. */
  stop(checkId: string): void {
    this.#lapsing.get(checkId)?.deadline.cancel()
    this.#lapsing.delete(checkId)
    const one = this.#scheduled.get(checkId)
    if (one === undefined) return
    this.#scheduled.delete(checkId)
    one.pause?.cancel()
    one.share.waiting.delete(one)
    one.stopRun?.()
  }

  stopAll(): void {
    for (const checkId of [...this.#scheduled.keys(), ...this.#lapsing.keys()]) this.stop(checkId)
  }

  /** A client was heard of: the time of its TTL check starts over. */
  heard(checkId: string, output?: string): void {
    const one = this.#lapsing.get(checkId)
    if (one === undefined) return
    one.deadline.cancel()
    one.deadline = this.#lapseIn(checkId, one.check.ttlMs)
    one.lastOutput = output ?? one.lastOutput
  }

  #lapseIn(checkId: string, ttlMs: number): Timeout {
    return this.#options.timeouts.after(ttlMs, () => {
      const one = this.#lapsing.get(checkId)
      if (one !== undefined) this.#options.onResult(checkId, lapsed(one.lastOutput))
    })
  }

  #schedule(check: LocalCheck, kind: Probing, said: CheckStatus): Scheduled {
    const { definition, outputMaxSizeBytes } = check
    const { bounds } = kind
    const intervalMs = Math.max(definition.intervalMs ?? 0, bounds.intervalMinMs)
    const longestMs = bounds.isTimeoutInterval ? intervalMs : Number.POSITIVE_INFINITY
    const givenMs = Math.max(definition.timeoutMs ?? 0, 0)
    const timeoutMs = givenMs || Math.min(bounds.timeoutMs, longestMs)
    const outputMax = this.#options.outputMaxSizeBytes
    return {
      check,
      kind,
      request: {
        definition,
        timeoutMs: Math.min(timeoutMs, bounds.timeoutMaxMs),
        outputMaxSizeBytes: Math.min(outputMaxSizeBytes || outputMax, outputMax),
      },
      intervalMs,
      share: this.#prompt,
      streak: freshStreak(said),
      pause: undefined,
      stopRun: undefined,
    }
  }

  #rest(one: Scheduled, delayMs: number): void {
    one.pause = this.#options.timeouts.after(delayMs, () => {
      one.share.waiting.add(one)
      this.#pump()
    })
  }

  #pump(): void {
    // Runs that are over at once come back here: they are taken up by the loop that started them.
    if (this.#isPumping) return
    this.#isPumping = true
    for (let one = this.#next(); one !== undefined; one = this.#next()) this.#run(one)
    this.#isPumping = false
  }

  #next(): Scheduled | undefined {
    return this.#prompt.next() ?? this.#hanging.next()
  }

  #run(one: Scheduled): void {
    const { share } = one
    let isOver = false
    let run: Run | undefined
    const over = (): void => {
      isOver = true
      timeout.cancel()
      share.running--
      one.stopRun = undefined
    }
    const report = (result: CheckResult): void => {
      if (isOver) return
      over()
      this.#rest(one, one.intervalMs)
      this.#judge(one, result)
      this.#pump()
    }
    share.running++
    const timeout = this.#options.timeouts.after(one.request.timeoutMs, () => {
      one.share = this.#hanging
      run?.end('timeout')
    })
    one.share = this.#prompt
    one.stopRun = () => {
      over()
      run?.end('stopped')
      this.#pump()
    }
    run = one.kind.run(one.request, this.#options.tools, report)
  }

  #judge(one: Scheduled, { status, output }: CheckResult): void {
    const { streak, status: judged } = judge(one.streak, status, one.check)
    one.streak = streak
    if (judged !== undefined) this.#options.onResult(one.check.checkId, { status: judged, output })
  }
}
