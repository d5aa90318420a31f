/**
 * Archives of the store that are saved by themselves, on each server's own disk.
 *
 * Owns the names (`gatehouse-<time>-<index>.snap`), that a file under such a name is whole (written
 * beside, synced, read back and checked, then renamed), how many are kept, and how old the last
 * good one is. A failure, such as a full disk, is told and tried again; older files are removed
 * only after a newer one was found whole.
 */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Random, Timer } from '../base/clock.ts'
import { messageOf, OperatingError, Refusal } from '../base/errors.ts'
import { ensurePrivateFolder, hasCode, syncFolder } from '../base/io/file.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'

/** When archives are saved, and where. */
export interface SnapshotSettings {
  readonly folder: string
  /** From one to the next. */
  readonly intervalMs: number
  /** How many are kept. */
  readonly retain: number
}

export interface SchedulePorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** One archive, in pieces. */
  readonly save: () => AsyncIterable<Buffer>
  /** The index that clients see. */
  readonly index: () => number
}

const NAME = /^gatehouse-(\d{8}T\d{6}Z)-(\d+)\.snap$/
/** Told where there is no good one. */
const NEVER = -1

export class SnapshotSchedule {
  readonly #ports: SchedulePorts
  readonly #settings: SnapshotSettings
  readonly #failed: { add(): void }
  readonly #saved: { add(): void }
  #lastMs: number | undefined
  #failures = 0
  #timer: Timer | undefined
  #isStopped = false
  #running: Promise<void> = Promise.resolve()

  constructor(ports: SchedulePorts, settings: SnapshotSettings) {
    const { metrics, clock } = ports
    this.#ports = ports
    this.#settings = settings
    this.#saved = metrics.counter('snapshot.saved', 'Archives that were saved by themselves.')
    this.#failed = metrics.counter('snapshot.failed', 'Archives that could not be saved.')
    metrics.gauge('snapshot.age_seconds', 'Since the last whole archive; -1: there is none.', () =>
      this.#lastMs === undefined ? NEVER : Math.max(0, clock.wall() - this.#lastMs) / 1_000,
    )
  }

  /** When the last whole one was saved, by the wall clock; undefined for never. */
  get lastMs(): number | undefined {
    return this.#lastMs
  }

  /** Goes on where the files say that it was. */
  async start(): Promise<void> {
    const { folder } = this.#settings
    await ensurePrivateFolder(folder)
    const files = await readdir(folder)
    // What was being written when the process ended.
    for (const file of files.filter(one => /^\.gatehouse-.*\.snap\.tmp$/.test(one))) {
      await rm(join(folder, file), { force: true })
    }
    this.#lastMs = files
      .filter(one => NAME.test(one))
      .map(timeOf)
      .sort((a, b) => b - a)[0]
    this.#wait()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.clear()
    await this.#running
  }

  #wait(): void {
    if (this.#isStopped) return
    const { clock } = this.#ports
    this.#timer = clock.after(this.#delayMs(), () => {
      this.#running = this.#attempt().then(() => this.#wait())
    })
  }

  #delayMs(): number {
    const { clock, random } = this.#ports
    const { intervalMs } = this.#settings
    if (this.#failures > 0) {
      const bound = Math.min(intervalMs, limits.snapshotRetryMaxMs)
      return Math.min(limits.snapshotRetryMs * 2 ** (this.#failures - 1), bound)
    }
    // Servers that started together save one after the other, as well as that can be had.
    const first = limits.snapshotFirstMs * (1 + random.fraction())
    if (this.#lastMs === undefined) return Math.min(first, intervalMs)
    const dueMs = this.#lastMs + intervalMs - clock.wall()
    // A file from the future is none to wait for.
    return dueMs > intervalMs ? intervalMs : Math.max(dueMs, Math.min(first, intervalMs))
  }

  async #attempt(): Promise<void> {
    const { log } = this.#ports
    try {
      const file = await this.save()
      this.#failures = 0
      this.#saved.add()
      log.debug('saved an archive of the store', { file })
    } catch (error) {
      if (error instanceof OperatingError && error.code === 'closed') return
      this.#failures++
      this.#failed.add()
      const wayOut = hasCode(error, 'ENOSPC') ? ': the disk is full, free some of it' : ''
      const fields = { folder: this.#settings.folder, error: `${messageOf(error)}${wayOut}` }
      log.error('no archive of the store was saved, will try again', fields)
    }
  }

  /** Saves one now; gives its path. */
  async save(): Promise<string> {
    const { clock } = this.#ports
    const { folder } = this.#settings
    const wallMs = clock.wall()
    const index = this.#ports.index()
    const stamp = new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '')
    const name = `gatehouse-${stamp}-${index}.snap`
    const beside = join(folder, `.${name}.tmp`)
    const path = join(folder, name)
    await ensurePrivateFolder(folder)
    try {
      const file = await open(beside, 'w', 0o600)
      try {
        await this.#write(file)
        await file.sync()
      } finally {
        await file.close()
      }
      await verify(beside)
      await rename(beside, path)
    } catch (error) {
      await rm(beside, { force: true })
      throw error
    }
    await syncFolder(folder)
    this.#lastMs = wallMs
    await this.#removeOld()
    return path
  }

  async #write(file: FileHandle): Promise<void> {
    for await (const piece of this.#ports.save()) await file.writeFile(piece)
  }

  async #removeOld(): Promise<void> {
    const { folder, retain } = this.#settings
    const files = (await readdir(folder)).filter(one => NAME.test(one))
    const byAge = files.sort((a, b) => timeOf(b) - timeOf(a) || (a < b ? 1 : -1))
    for (const file of byAge.slice(retain)) await rm(join(folder, file), { force: true })
  }
}

/** Reads a file back as a restore would. */
async function verify(path: string): Promise<void> {
  const { inspectSnapshot } = await import('../store/snapshot.ts')
  const found = await inspectSnapshot(createReadStream(path), () => {})
  if (found instanceof Refusal) throw new Error(`what was written cannot be read: ${found.text}`)
}

/** `20261126T073000Z` as milliseconds. */
function timeOf(name: string): number {
  const [, stamp = ''] = NAME.exec(name) ?? []
  const [year, month, day] = [stamp.slice(0, 4), stamp.slice(4, 6), stamp.slice(6, 8)]
  const time = `${stamp.slice(9, 11)}:${stamp.slice(11, 13)}:${stamp.slice(13, 15)}`
  return Date.parse(`${year}-${month}-${day}T${time}Z`)
}
