/**
 * A log file that does not grow without end: renamed by size and by age, the oldest removed.
 *
 * Owns the names of the old files (`agent-<ms>.log` beside `agent.log`) and how many are kept. What
 * goes wrong with a rename must not lose lines: writing goes on in the file that is open.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'

export interface LogFileOptions {
  readonly path: string
  /** A larger file is renamed; 0 for no bound. */
  readonly rotateSizeBytes: number
  /** An older one too; 0 for no bound. */
  readonly rotateAfterMs: number
  /** Old files that are kept; 0 for all, below 0 for none. */
  readonly keptFiles: number
}

interface Output {
  write(line: string): void
  end(): void
}

export class RotatingFile {
  readonly #options: LogFileOptions
  readonly #open: (path: string) => Output
  readonly #clock: Clock
  #output: Output
  #sizeBytes: number
  #openedMs: number

  constructor(options: LogFileOptions, open: (path: string) => Output, clock = systemClock) {
    this.#options = options
    this.#open = open
    this.#clock = clock
    this.#output = open(options.path)
    this.#sizeBytes = sizeOf(options.path)
    this.#openedMs = clock.monotonic()
  }

  write(line: string): void {
    if (this.#isDue()) this.#rotate()
    this.#output.write(line)
    this.#sizeBytes += Buffer.byteLength(line)
  }

  #isDue(): boolean {
    const { rotateSizeBytes, rotateAfterMs } = this.#options
    if (this.#sizeBytes === 0) return false
    if (rotateSizeBytes > 0 && this.#sizeBytes >= rotateSizeBytes) return true
    return rotateAfterMs > 0 && this.#clock.monotonic() - this.#openedMs >= rotateAfterMs
  }

  #rotate(): void {
    const { path } = this.#options
    this.#openedMs = this.#clock.monotonic()
    this.#sizeBytes = 0
    try {
      // Others may have moved it away already: then only a new one is due.
      if (existsSync(path)) renameSync(path, this.#oldName())
      const next = this.#open(path)
      this.#output.end()
      this.#output = next
      this.#prune()
    } catch {
      // The folder is full or gone: the open file still takes lines, and the next turn tries again.
    }
  }

  /** The wall clock may stand still or go back: a name that is taken is not taken twice. */
  #oldName(): string {
    const { path } = this.#options
    const [stem, end] = partsOf(path)
    const taken = new Set(this.#oldFiles())
    let ms = Math.floor(this.#clock.wall())
    while (taken.has(`${stem}-${ms}${end}`)) ms++
    return join(dirname(path), `${stem}-${ms}${end}`)
  }

  /** The names of old files, oldest first. */
  #oldFiles(): string[] {
    const { path } = this.#options
    const [stem, end] = partsOf(path)
    const isOld = (name: string): boolean =>
      name.startsWith(`${stem}-`) &&
      name.endsWith(end) &&
      /^\d{13,}$/.test(name.slice(stem.length + 1, name.length - end.length))
    return readdirSync(dirname(path)).filter(isOld).sort()
  }

  #prune(): void {
    const { path, keptFiles } = this.#options
    if (keptFiles === 0) return
    const old = this.#oldFiles()
    for (const name of old.slice(0, Math.max(0, old.length - Math.max(0, keptFiles)))) {
      rmSync(join(dirname(path), name), { force: true })
    }
  }
}

function partsOf(path: string): [stem: string, end: string] {
  const end = extname(path)
  return [basename(path, end), end]
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
