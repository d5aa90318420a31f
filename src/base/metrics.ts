/**
 * Metrics as numbers: counters, samples and gauges, counted where things happen, shown elsewhere.
 *
 * Owns the series, their bound and the intervals of ten seconds. Whoever counts asks for a series
 * once and keeps it: counting adds numbers, builds no text and reads no clock. Gauges are read when
 * somebody looks. Names and labels must come from a list of ours, never from a request: a series
 * lives as long as the process. Forms of output stand in metrics-forms.ts.
 */
import type { Clock, Timer } from './clock.ts'
import { limits } from './limits.ts'

export type MetricLabels = Readonly<Record<string, string>>

/** Counts and sums of one interval, or of all time. */
export interface Totals {
  count: number
  sum: number
  sumOfSquares: number
  min: number
  max: number
}

const noTotals = (): Totals => ({ count: 0, sum: 0, sumOfSquares: 0, min: 0, max: 0 })

/** What every series has. Names are Consul's, without their prefix: `raft.apply`. */
export class Series {
  readonly name: string
  readonly help: string
  readonly labels: MetricLabels

  constructor(name: string, help: string, labels: MetricLabels) {
    this.name = name
    this.help = help
    this.labels = labels
  }
}

/** A number that is read when somebody looks. */
export class Gauge extends Series {
  readonly read: () => number

  constructor(series: Series, read: () => number) {
    super(series.name, series.help, series.labels)
    this.read = read
  }
}

/** Adds up: things that happen. */
export class Counter extends Series {
  #now = noTotals()
  #last = noTotals()
  #before = { count: 0, sum: 0 }
  /** When an interval last had something, by the interval's end; undefined while it never did. */
  activeMs: number | undefined

  /** Counts one thing, or `by` of them; so many times. */
  add(by = 1, times = 1): void {
    const now = this.#now
    now.count += times
    now.sum += by * times
    now.sumOfSquares += by * by * times
    if (now.count === times) {
      now.min = by
      now.max = by
    } else if (by < now.min) now.min = by
    else if (by > now.max) now.max = by
  }

  /** The interval that ended last, and the one that runs. */
  get last(): Totals {
    return this.#last
  }

  get now(): Totals {
    return this.#now
  }

  /** Since the start. */
  get total(): { readonly count: number; readonly sum: number } {
    return {
      count: this.#before.count + this.#now.count,
      sum: this.#before.sum + this.#now.sum,
    }
  }

  /** Ends the interval. */
  rotate(nowMs: number): void {
    const ended = this.#now
    if (ended.count > 0) this.activeMs = nowMs
    this.#before.count += ended.count
    this.#before.sum += ended.sum
    this.#now = this.#last
    Object.assign(this.#now, NOTHING)
    this.#last = ended
  }
}

const NOTHING: Readonly<Totals> = noTotals()

const PER_OCTAVE = 8
const SMALLEST_OCTAVE = -10
const BUCKETS = 40 * PER_OCTAVE

/** A counter that keeps how its values are spread, to a twelfth of each: mostly milliseconds. */
export class Sample extends Counter {
  #buckets = new Uint32Array(BUCKETS)
  #lastBuckets = new Uint32Array(BUCKETS)

  override add(value = 1, times = 1): void {
    super.add(value, times)
    const at = value > 0 ? Math.floor((Math.log2(value) - SMALLEST_OCTAVE) * PER_OCTAVE) : 0
    this.#buckets[Math.max(0, Math.min(BUCKETS - 1, at))]! += times
  }

  override rotate(nowMs: number): void {
    super.rotate(nowMs)
    const ended = this.#buckets
    this.#buckets = this.#lastBuckets.fill(0)
    this.#lastBuckets = ended
  }

  /** The value below which this part of the values lies, of the last interval and this one. */
  quantile(part: number): number {
    const count = this.last.count + this.now.count
    let left = Math.ceil(part * count)
    for (let at = 0; at < BUCKETS && count > 0; at++) {
      left -= this.#buckets[at]! + this.#lastBuckets[at]!
      if (left <= 0) return middleOf(at)
    }
    return Number.NaN
  }

  /** The values of the interval that ended last, rounded, each with how often it came. */
  *lastValues(): Iterable<{ readonly value: number; readonly count: number }> {
    for (const [at, count] of this.#lastBuckets.entries()) {
      if (count > 0) yield { value: middleOf(at), count }
    }
  }
}

const middleOf = (bucket: number): number => 2 ** ((bucket + 0.5) / PER_OCTAVE + SMALLEST_OCTAVE)

/** How long one interval is. */
export const METRICS_INTERVAL_MS = 10_000

/** All series of a process. */
export class Metrics {
  readonly #clock: Clock
  readonly #series = new Map<string, Series>()
  readonly #listeners = new Set<() => void>()
  #timer: Timer | undefined
  #startedMs: number
  #lastStartedMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = startOf(clock.wall())
  }

  /** The series that counts `name`; equal labels give the same one. */
  counter(name: string, help: string, labels: MetricLabels = {}): Counter {
    return this.#add(new Counter(name, help, labels), Counter)
  }

  /** The series that measures `name`. */
  sample(name: string, help: string, labels: MetricLabels = {}): Sample {
    return this.#add(new Sample(name, help, labels), Sample)
  }

  /** Shows what `read` gives, which must be cheap. The same name again replaces it. */
  gauge(name: string, help: string, read: () => number, labels: MetricLabels = {}): void {
    const gauge = new Gauge(new Series(name, help, labels), read)
    this.#series.delete(keyOf(gauge))
    this.#add(gauge, Gauge)
  }

  /** Beyond the bound a series counts, and is not shown. */
  #add<T extends Series>(fresh: T, type: new (...given: never[]) => T): T {
    const key = keyOf(fresh)
    const known = this.#series.get(key)
    if (known instanceof type) return known
    if (this.#series.size < limits.metricSeries) this.#series.set(key, fresh)
    return fresh
  }

  /** Ends the intervals from now on, on the tens of seconds of the wall clock. */
  start(): void {
    const nowMs = this.#clock.wall()
    this.#timer = this.#clock.after(startOf(nowMs) + METRICS_INTERVAL_MS - nowMs, () => {
      this.endInterval()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.clear()
    this.#listeners.clear()
  }

  /** Ends the interval that runs: its numbers are the last ones now. */
  endInterval(): void {
    const nowMs = this.#clock.wall()
    for (const series of this.#series.values()) {
      if (series instanceof Counter) series.rotate(nowMs)
    }
    this.#lastStartedMs = this.#startedMs
    this.#startedMs = startOf(nowMs)
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls `listener` whenever an interval ended; gives what ends that. */
  onInterval(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** All series, by name. */
  all(): Series[] {
    const byName = (a: Series, b: Series): number => (a.name < b.name ? -1 : +(a.name > b.name))
    return [...this.#series.values()].sort(byName)
  }

  /** The interval that is shown: the last whole one, or the first as far as it goes. */
  get shown(): { readonly startedMs: number; readonly totalsOf: (counter: Counter) => Totals } {
    const isFirst = this.#lastStartedMs === undefined
    return {
      startedMs: this.#lastStartedMs ?? this.#startedMs,
      totalsOf: counter => (isFirst ? counter.now : counter.last),
    }
  }

  nowMs(): number {
    return this.#clock.wall()
  }
}

const startOf = (wallMs: number): number =>
  Math.floor(wallMs / METRICS_INTERVAL_MS) * METRICS_INTERVAL_MS

const keyOf = ({ name, labels }: Series): string => `${name}\n${JSON.stringify(labels)}`
