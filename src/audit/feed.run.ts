/**
 * The way of records from the journal to one device.
 *
 * Owns the device's place: the number of the newest record that it has. Records are read from the
 * journal by number, so what a device lacks waits on disk and not in memory, and a device that
 * stalls, hangs or fails lags behind and holds nobody up. What was not taken in time is sent again,
 * later and later: a device may see a record twice, never a gap, unless the journal was trimmed.
 * After each write to it records gather for a moment, since one write costs as much as many.
 */
import type { Clock, Random, Timer } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Counter, Metrics } from '../base/metrics.ts'
import type { Journal, JournalRecord } from '../store/journal.ts'
import { type Device, type Shipment, type SinkSettings, writeTimeoutMsOf } from './device.ts'
import { lineSizeBytes, linesOf } from './line.ts'

export interface FeedPorts {
  readonly journal: Journal
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** How a device fares. */
export interface FeedState {
  readonly name: string
  readonly type: string
  /** The newest record that it has. */
  readonly sequence: number
  /** Records that it lacks. */
  readonly lag: number
  /** Why it takes nothing, or ''. */
  readonly fault: string
}

export class Feed {
  readonly name: string
  readonly #settings: SinkSettings
  readonly #device: Device
  readonly #ports: FeedPorts
  readonly #counters: Counters
  /** The newest record that was handed over, and the newest that outlives a power cut there. */
  #sequence: number
  #settled: number
  #fault = ''
  #failures = 0
  #isStopped = false
  #wake: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #ending = new AbortController()
  #wantsReopen = false
  readonly #taken = new Set<() => void>()

  /** Goes on behind a record that the device has, by what was noted of it; 0 for none. */
  constructor(settings: SinkSettings, device: Device, ports: FeedPorts, sequence: number) {
    this.name = settings.name
    this.#settings = settings
    this.#device = device
    this.#ports = ports
    this.#sequence = sequence
    this.#settled = sequence
    this.#counters = countersOf(ports.metrics, settings)
    const labels = { sink: settings.name }
    ports.metrics.gauge('audit.sink.lag', 'Records that a device lacks.', () => this.lag, labels)
    ports.metrics.gauge(
      'audit.sink.failing',
      'Whether a device takes nothing: 1 or 0.',
      () => (this.#fault === '' ? 0 : 1),
      labels,
    )
  }

  get sequence(): number {
    return this.#sequence
  }

  /** The newest record that the journal need not keep for it. */
  get settled(): number {
    return this.#settled
  }

  get lag(): number {
    return Math.max(0, this.#ports.journal.head().sequence - this.#sequence)
  }

  get state(): FeedState {
    const { name, type } = this.#settings
    return { name, type, sequence: this.#sequence, lag: this.lag, fault: this.#fault }
  }

  /** Starts to feed; goes on by itself until it is stopped. */
  start(): void {
    const unfollow = this.#ports.journal.onAppend(() => this.#wake?.())
    this.#running = this.#run().finally(unfollow)
  }

  /** Calls whenever the device has taken more; gives the end of that. */
  onTaken(told: () => void): () => void {
    this.#taken.add(told)
    this.#wake?.()
    return () => void this.#taken.delete(told)
  }

  /** The device lets go of what may have been replaced, before its next write. */
  reopen(): void {
    this.#wantsReopen = true
    this.#wake?.()
  }

  /** Stops, once the device has what is there now, or after a while; at once while it fails. */
  async stop(): Promise<void> {
    const { clock } = this.#ports
    this.#isStopped = true
    const end = (): void => this.#ending.abort(new Error('stopped'))
    const timer = clock.after(limits.auditStopMs, end)
    // Between two tries nothing but a timer would hold the process.
    if (this.#fault !== '') end()
    this.#wake?.()
    await this.#running
    timer.clear()
    await this.settle().catch(() => {})
    await this.#device.close()
  }

  /** Sees to it that what the device took outlives a power cut. */
  async settle(): Promise<void> {
    const reached = this.#sequence
    if (reached === this.#settled) return
    await this.#device.settle?.()
    this.#settled = reached
  }

  async #run(): Promise<void> {
    let isPlaced = false
    const { signal } = this.#ending
    while (!signal.aborted) {
      if (this.#wantsReopen) {
        this.#wantsReopen = false
        await this.#attempt(() => this.#device.reopen?.() ?? Promise.resolve())
      }
      const work = isPlaced ? () => this.#ship() : () => this.#findPlace()
      const isIdle = isPlaced && this.lag === 0
      if (isIdle && this.#isStopped) return
      if (isIdle) await this.#idle()
      else if (!(await this.#attempt(work))) await this.#pause()
      else if (isPlaced) await this.#rest()
      else isPlaced = true
    }
  }

  /** Whether what is there should go to the device at once. */
  get #isUrgent(): boolean {
    const isAwaited = this.#isStopped || this.#wantsReopen || this.#taken.size > 0
    return isAwaited || this.lag >= limits.auditBatchRecords
  }

  /** Lets records gather. */
  #rest(): Promise<void> {
    if (this.#isUrgent) return Promise.resolve()
    return new Promise(resolve => {
      const over = (): void => {
        timer.clear()
        this.#wake = undefined
        resolve()
      }
      const timer = this.#ports.clock.after(limits.auditRestMs, over)
      this.#wake = () => {
        if (this.#isUrgent) over()
      }
    })
  }

  /** What the device says itself is newer than what was noted, but never newer than the journal. */
  async #findPlace(): Promise<void> {
    const head = this.#ports.journal.head().sequence
    const newest = await this.#device.newest?.()
    const known = Math.max(this.#sequence, newest ?? 0)
    if (known > head) {
      // The journal began anew: nothing of it is there yet.
      this.#ports.log.warn('an audit device has records of another journal', { sink: this.name })
      this.#place(0)
      return
    }
    this.#place(known)
  }

  #place(sequence: number): void {
    this.#sequence = sequence
    this.#settled = sequence
  }

  /** Runs work that may fail; whether it did not. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      this.#failures = 0
      if (this.#fault !== '') {
        this.#fault = ''
        this.#ports.log.info('an audit device takes records again', { sink: this.name })
      }
      return true
    } catch (error) {
      this.#failed(error)
      await this.#device.close().catch(() => {})
      return false
    }
  }

  #failed(error: unknown): void {
    this.#failures++
    this.#counters.errors.add()
    const reason = messageOf(error)
    if (this.#fault === '') {
      const { lag } = this
      this.#ports.log.warn('an audit device takes nothing', { sink: this.name, reason, lag })
    }
    this.#fault = reason
  }

  async #ship(): Promise<void> {
    const { journal } = this.#ports
    const records = await journal.read(this.#sequence + 1, limits.auditBatchRecords)
    const first = records[0]
    if (first === undefined) return
    const lost = first.sequence - this.#sequence - 1
    const shipment = shipmentOf(records)
    await this.#within(writeTimeoutMsOf(this.#settings), signal =>
      this.#device.write(shipment, signal),
    )
    if (lost > 0) this.#tellLost(lost)
    this.#sequence = shipment.records.at(-1)!.sequence
    this.#counters.records.add(shipment.records.length)
    for (const told of [...this.#taken]) told()
  }

  #tellLost(records: number): void {
    this.#counters.lost.add(records)
    this.#ports.log.error('an audit device will never get records that were trimmed', {
      sink: this.name,
      records,
    })
  }

  /** Runs work with a signal that ends it in time, or when the feed ends. */
  async #within(timeoutMs: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const deadline = new AbortController()
    const { clock } = this.#ports
    const late = new Error(`nothing was taken within ${timeoutMs} ms`)
    const timer = clock.after(timeoutMs, () => deadline.abort(late))
    const signal = AbortSignal.any([deadline.signal, this.#ending.signal])
    try {
      // Whether the device minds the signal or not.
      await Promise.race([work(signal), abortOf(signal)])
    } finally {
      timer.clear()
      deadline.abort()
    }
  }

  /** Waits for records. */
  #idle(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }

  /** Waits before the next try, longer each time; a stop ends it. */
  #pause(): Promise<void> {
    const { clock, random } = this.#ports
    const stepMs = limits.auditRetryMs * 2 ** Math.min(this.#failures - 1, MOST_DOUBLINGS)
    const delayMs = Math.min(stepMs, limits.auditRetryMaxMs) * (1 + random.fraction() / 4)
    if (this.#ending.signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      let timer: Timer | undefined
      const over = (): void => {
        timer?.clear()
        this.#ending.signal.removeEventListener('abort', over)
        resolve()
      }
      this.#ending.signal.addEventListener('abort', over)
      timer = clock.after(delayMs, over)
    })
  }
}

const MOST_DOUBLINGS = 10

interface Counters {
  readonly records: Counter
  readonly errors: Counter
  readonly lost: Counter
}

function countersOf(metrics: Metrics, { name }: SinkSettings): Counters {
  const labels = { sink: name }
  return {
    records: metrics.counter('audit.sink.records', 'Records that a device took.', labels),
    errors: metrics.counter('audit.sink.errors', 'Writes to a device that failed.', labels),
    lost: metrics.counter('audit.sink.lost', 'Records that a device will never get.', labels),
  }
}

/** As many records as one write carries, at least one. */
function shipmentOf(records: readonly JournalRecord[]): Shipment {
  let count = 0
  let sizeBytes = 0
  for (const record of records) {
    sizeBytes += lineSizeBytes(record)
    if (count > 0 && sizeBytes > limits.auditBatchSizeBytes) break
    count++
  }
  const shipped = records.slice(0, count)
  return { records: shipped, lines: linesOf(shipped) }
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const ended = (): void => reject(signal.reason)
    if (signal.aborted) ended()
    else signal.addEventListener('abort', ended, { once: true })
  })
}
