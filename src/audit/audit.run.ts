/**
 * The audit room: nothing that is audited is answered before its record is durable.
 *
 * Owns which requests are recorded, the feeding of devices, and the bounds of the journal. The
 * oldest records go first, and only when every device has them; where a device lacks so many that
 * the journal outgrows its second bound they go nevertheless, which is told in the log, in a metric
 * and in the journal itself. What a record says is record.ts's.
 */
import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import { wallMs } from '../base/brand.ts'
import type { Clock, Random, Timer } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, type Outcome } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Counter, Metrics } from '../base/metrics.ts'
import { inSlices } from '../base/slices.ts'
import type { Who } from '../base/who.ts'
import {
  chainFault,
  chainOver,
  type Journal,
  type JournalBody,
  type JournalEntry,
  type JournalMark,
  type JournalRecord,
} from '../store/journal.ts'
import { deviceKinds } from './device/mod.ts'
import type { DeviceKind, DevicePorts, SinkSettings } from './device.ts'
import { Feed, type FeedState } from './feed.run.ts'
import { readNotes, writeNotes } from './notes.run.ts'
import {
  type Answered,
  type RuleOf,
  recordOfAnswer,
  recordOfEvent,
  recordOfWrite,
} from './record.ts'
import { type AuditSearch, fits } from './search.ts'

/** What the configuration says. */
export interface AuditSettings {
  readonly enabled: boolean
  /** Whether reads that were answered are recorded too. */
  readonly reads: boolean
  /** Devices that must have a record before its answer. */
  readonly require: number
  readonly maxSizeBytes: number
  readonly retentionMs: number
  /** How much more is kept while a device lacks records; below 0 for no bound. */
  readonly unshippedSizeBytes: number
  readonly sinks: readonly SinkSettings[]
}

export interface AuditPorts extends DevicePorts {
  readonly journal: Journal
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** This server's id. */
  readonly server: string
  /** What decides about rights, where access control is on. */
  readonly ruleOf?: RuleOf
  /** Where it is noted what devices have; undefined where nothing outlives the process. */
  readonly dataDir: string | undefined
}

/** A page of a search, newest first. */
export interface FoundRecords {
  readonly records: readonly JournalRecord[]
  /** Search on below this number; undefined at the end of the journal. */
  readonly before: number | undefined
}

/** What a walk over the journal came to. */
export interface Verified {
  readonly floor: JournalMark
  readonly head: JournalMark
  readonly count: number
  /** The first fault; '' where every record is there and fits. */
  readonly fault: string
}

/** What the journal promised, and what is told of it. */
interface Waits {
  readonly kept: Promise<void>
  readonly isDone: boolean
  readonly told: Promise<void>
}

export class Audit {
  readonly #settings: AuditSettings
  readonly #ports: AuditPorts
  readonly #clock: Clock
  readonly #recorded: Counter
  readonly #dropped: Counter
  #feeds: readonly Feed[] = []
  readonly #timers = new Map<string, Timer>()
  /** What was noted last of the devices, as text. */
  #noted = ''
  #isStopped = false
  /** What the newest answers wait for. */
  #waits: Waits | undefined
  #verifying: Promise<Verified> | undefined

  constructor(settings: AuditSettings, ports: AuditPorts) {
    this.#settings = settings
    this.#ports = ports
    this.#clock = ports.clock
    const { metrics, journal } = ports
    this.#recorded = metrics.counter('audit.records', 'Records that were made for requests.')
    const dropped = 'Records that went from the journal although a device lacked them.'
    this.#dropped = metrics.counter('audit.dropped', dropped)
    if (!settings.enabled) return
    metrics.gauge('audit.sequence', 'Number of the newest record.', () => journal.head().sequence)
    metrics.gauge('audit.size', 'Bytes of records in the journal.', () => journal.sizeBytes())
  }

  get isOn(): boolean {
    return this.#settings.enabled
  }

  /** Begins to feed the devices, each behind what it has. */
  async start(): Promise<void> {
    if (!this.isOn) return
    const notes = this.#notesPath === undefined ? {} : await readNotes(this.#notesPath)
    this.#feeds = this.#settings.sinks.map(sink => {
      const device = kindOf(sink).open(sink.values, this.#ports)
      const noted = Object.hasOwn(notes, sink.name) ? notes[sink.name]! : 0
      return new Feed(sink, device, this.#ports, noted)
    })
    for (const feed of this.#feeds) feed.start()
    this.#every('note', limits.auditNoteIntervalMs, () => this.#note())
    this.#every('prune', limits.auditPruneIntervalMs, () => this.prune())
  }

  /** Lets devices catch up for a while, notes what they have, and lets go of them. */
  async stop(): Promise<void> {
    if (!this.isOn) return
    this.#isStopped = true
    for (const timer of this.#timers.values()) timer.clear()
    await Promise.all(this.#feeds.map(feed => feed.stop()))
    await this.#note()
  }

  /** Devices let go of files that may have been replaced. */
  reopen(): void {
    for (const feed of this.#feeds) feed.reopen()
  }

  /** How each device fares. */
  get sinks(): readonly FeedState[] {
    return this.#feeds.map(({ state }) => state)
  }

  /** Runs work again and again; what goes wrong with it is told in the log. */
  #every(name: string, intervalMs: number, work: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      await work().catch((error: unknown) =>
        this.#ports.log.warn('audit', { work: name, reason: messageOf(error) }),
      )
      if (!this.#isStopped) this.#every(name, intervalMs, work)
    }
    this.#timers.set(
      name,
      this.#clock.after(intervalMs, () => void run()),
    )
  }

  get #notesPath(): string | undefined {
    const { dataDir } = this.#ports
    return dataDir === undefined ? undefined : join(dataDir, NOTES)
  }

  async #note(): Promise<void> {
    await Promise.all(this.#feeds.map(feed => feed.settle().catch(() => {})))
    const notes = Object.fromEntries(this.#feeds.map(({ name, settled }) => [name, settled]))
    const text = JSON.stringify(notes)
    if (this.#notesPath === undefined || text === this.#noted) return
    await writeNotes(this.#notesPath, notes)
    this.#noted = text
  }

  // --- records

  /** What makes the record of a write that is made for somebody; undefined where none is wanted. */
  readonly recordOf = (who: Who): JournalEntry | undefined => {
    const { request } = who
    if (!this.isOn || request === undefined || request.isRenewal) return undefined
    return outcome => {
      request.recorded = true
      this.#recorded.add()
      return recordOfWrite(this.#ports.server, who, outcome, this.#ports.ruleOf)
    }
  }

  /** Whether the answer to a read waits for its record. */
  wantsRead(status: number): boolean {
    return this.isOn && (this.#settings.reads || status === 401 || status === 403)
  }

  /**
   * What an answer has to wait for: its record, where no write of the store made one, and the
   * devices that must have it. Undefined for nothing. Rejects with OperatingError `unaudited`.
   */
  answered(who: Who, answered: Answered): Promise<void> | undefined {
    const { request } = who
    if (!this.isOn || request === undefined) return undefined
    if (request.recorded) return this.#required()
    const isRefused = answered.status === 401 || answered.status === 403
    const isRead = request.isRead ?? request.operation.startsWith('GET ')
    const isWrite = !isRead && !request.isRenewal
    const isSecret = request.detail !== undefined
    if (!(isRefused || isWrite || isSecret || this.#settings.reads)) return undefined
    request.recorded = true
    this.#recorded.add()
    const isDone = isWrite && answered.status < LEAST_REFUSAL
    const { server, ruleOf } = this.#ports
    return this.#append(recordOfAnswer(server, who, answered, ruleOf), isDone)
  }

  #append(body: JournalBody, isDone: boolean): Promise<void> {
    const kept = this.#ports.journal.append(body)
    if (this.#settings.require > 0) {
      return kept.then(() => this.#required(), lost(isDone))
    }
    // Those that the journal takes together wait for the same.
    const known = this.#waits
    if (known?.kept === kept && known.isDone === isDone) return known.told
    const told = kept.catch(lost(isDone))
    this.#waits = { kept, isDone, told }
    return told
  }

  /** Waits until so many devices have the newest record; undefined where none has to. */
  #required(): Promise<void> | undefined {
    const { require } = this.#settings
    if (require === 0) return undefined
    const { sequence } = this.#ports.journal.head()
    const isTaken = (): boolean =>
      this.#feeds.filter(feed => feed.sequence >= sequence).length >= require
    if (isTaken()) return undefined
    return new Promise((resolve, reject) => {
      const over = (): void => {
        timer.clear()
        for (const unfollow of unfollows) unfollow()
      }
      const unfollows = this.#feeds.map(feed =>
        feed.onTaken(() => {
          if (!isTaken()) return
          over()
          resolve()
        }),
      )
      const timer = this.#clock.after(limits.auditRequireTimeoutMs, () => {
        over()
        const text = `fewer than ${require} audit devices have taken its record in time`
        reject(unaudited(text, true))
      })
    })
  }

  // --- the bounds of the journal

  /** Forgets what is too old or too much. */
  async prune(): Promise<void> {
    const { journal } = this.#ports
    const { maxSizeBytes, retentionMs, unshippedSizeBytes } = this.#settings
    const keepFromMs = wallMs(this.#clock.wall() - retentionMs)
    const shipped = Math.min(...this.#feeds.map(({ settled }) => settled), journal.head().sequence)
    const due = Math.min(journal.excess(maxSizeBytes, keepFromMs), shipped + 1)
    const forced =
      unshippedSizeBytes < 0 ? 0 : journal.excess(maxSizeBytes + unshippedSizeBytes, wallMs(0))
    for (const below of [due, forced]) await this.#trim(below, shipped)
  }

  /** Trims batch by batch. */
  async #trim(below: number, shipped: number): Promise<void> {
    const { journal, server } = this.#ports
    for (let before = -1; before !== journal.floor().sequence; ) {
      before = journal.floor().sequence
      await journal.trim(below, ({ sequence }) => {
        const unshipped = Math.max(0, sequence - Math.max(shipped, before))
        const lacking = this.#feeds.filter(({ settled }) => settled < sequence)
        return recordOfEvent(server, 'journal trimmed', {
          first: before + 1,
          last: sequence,
          unshipped,
          lacking: lacking.map(({ name }) => name).join(' '),
        })
      })
      this.#tellDropped(before, journal.floor().sequence, shipped)
    }
  }

  #tellDropped(before: number, floor: number, shipped: number): void {
    const records = floor - Math.max(before, shipped)
    if (records <= 0) return
    this.#dropped.add(records)
    const sinks = this.#feeds.filter(({ settled }) => settled < floor).map(({ name }) => name)
    const fields = { records, lacking: sinks.join(' ') }
    this.#ports.log.error('the audit journal was trimmed before every device had it', fields)
  }

  // --- looking at it

  /** Looks for records, newest first, below a number; as many as a page holds. */
  async search(search: AuditSearch, below: number, limit: number): Promise<FoundRecords> {
    const { journal } = this.#ports
    const records: JournalRecord[] = []
    let next = Math.min(below, journal.head().sequence + 1)
    for (let looked = 0; looked < limits.auditSearchLooked; looked += SEARCH_STEP) {
      const floor = journal.floor().sequence
      if (next <= floor + 1) return { records, before: undefined }
      const from = Math.max(floor + 1, next - SEARCH_STEP)
      const page = await journal.read(from, next - from)
      const fitting: JournalRecord[] = []
      await inSlices(page.toReversed(), record => {
        if (fits(record, search)) fitting.push(record)
      })
      for (const record of fitting) {
        records.push(record)
        if (records.length === limit) return { records, before: record.sequence }
      }
      next = from
    }
    return { records, before: next }
  }

  /** Walks all that is there, and proves every record; whoever asks meanwhile shares the walk. */
  verify(): Promise<Verified> {
    this.#verifying ??= this.#verify().finally(() => {
      this.#verifying = undefined
    })
    return this.#verifying
  }

  async #verify(): Promise<Verified> {
    const { journal } = this.#ports
    const floor = journal.floor()
    const head = journal.head()
    let mark: JournalMark = floor
    let fault = ''
    let count = 0
    try {
      while (mark.sequence < head.sequence && fault === '') {
        if (mark.sequence < journal.floor().sequence) mark = journal.floor()
        const wanted = Math.min(SEARCH_STEP, head.sequence - mark.sequence)
        const page = await journal.read(mark.sequence + 1, wanted)
        if (page.length === 0) fault = `record ${mark.sequence + 1} is missing`
        await inSlices(page, record => {
          if (fault !== '') return
          fault = faultOf(mark, record)
          mark = record
          count++
        })
      }
    } catch (error) {
      fault = messageOf(error)
    }
    if (fault === '' && !mark.chain.equals(head.chain)) fault = `the chain ends in another record`
    return { floor, head, count, fault }
  }
}

const NOTES = 'audit-devices.json'
const LEAST_REFUSAL = 400
/** Records that one step of a search or of a proof reads. */
const SEARCH_STEP = 500

function faultOf(after: JournalMark, record: JournalRecord): string {
  const fault = chainFault(after, record)
  if (fault !== undefined) return fault
  const isWhole = chainOver(after.chain, record.text).equals(record.chain)
  return isWhole ? '' : `record ${record.sequence} does not fit its chain`
}

function kindOf({ type }: SinkSettings): DeviceKind {
  const kind = deviceKinds.find(each => each.type === type)
  assert(kind !== undefined, 'the configuration was read')
  return kind
}

/** Tells why a record could not be kept. */
const lost =
  (isDone: boolean) =>
  (error: unknown): never => {
    throw unaudited(`its audit record cannot be kept: ${messageOf(error)}`, isDone, error)
  }

function unaudited(text: string, isDone: boolean, cause?: unknown): OperatingError {
  const outcome: Outcome = isDone ? 'done' : 'none'
  const what = isDone ? 'what was asked is done, but ' : ''
  return new OperatingError(OperatingCode.unaudited, `${what}${text}`, outcome, cause)
}
