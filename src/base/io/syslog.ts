/**
 * Syslog through the system's own `logger`: Node has no sockets of its kind.
 *
 * Owns that child, which gets lines on stdin and nothing else. Of the log, lines wait in a bounded
 * pipe and are dropped beyond it, and a child that ended is started again, but not at once. What
 * must not be dropped is written through a pipe that says when it was taken.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { OperatingCode, OperatingError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type LogLevel, syslogFacility } from '../log.ts'

export interface SyslogOptions {
  /** `LOCAL0`, `DAEMON` and so on, in any case. */
  readonly facility: string
  readonly path?: string | undefined
  readonly clock?: Clock
}

export interface Syslog {
  write(level: LogLevel, text: string): void
  close(): void
}

const SEVERITIES: Readonly<Record<LogLevel, number>> = {
  trace: 7,
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
}

const RESTART_MS = 5_000
const PROGRAM = 'logger'

/** Opens syslog. Throws OperatingError when the machine has no `logger`. */
export function openSyslog({ facility, path, clock = systemClock }: SyslogOptions): Syslog {
  const program = findProgram(path ?? process.env.PATH ?? '', 'enable_syslog')
  const base = (syslogFacility(facility) ?? 0) * 8
  let child: ChildProcess | undefined
  let endedMs = Number.NEGATIVE_INFINITY
  const start = (): ChildProcess | undefined => {
    if (clock.monotonic() - endedMs < RESTART_MS) return undefined
    const started = spawn(program, ['--tag', 'gatehouse', '--prio-prefix'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = (): void => {
      endedMs = clock.monotonic()
      if (child === started) child = undefined
    }
    started.on('error', ended)
    started.on('exit', ended)
    started.stdin?.on('error', () => {})
    // It must not hold the process; it ends by itself with its stdin.
    started.unref()
    return started
  }
  return {
    write(level, text) {
      child ??= start()
      const input = child?.stdin
      if (!input || input.writableLength > limits.logBufferSizeBytes) return
      input.write(`<${base + SEVERITIES[level]}>${text}\n`)
    },
    close() {
      child?.stdin?.end()
    },
  }
}

export interface SyslogPipeOptions {
  readonly facility: string
  readonly tag: string
  /** A longer line becomes several messages. */
  readonly messageSizeBytes: number
  readonly path?: string | undefined
}

/** Lines on their way to syslog, one message each. */
export interface SyslogPipe {
  /** Resolves once the program has taken all of it; rejects when it ended, or by the signal. */
  write(lines: Buffer, signal: AbortSignal): Promise<void>
  close(): void
}

/** Starts the program. Throws OperatingError when the machine has none. */
export function openSyslogPipe(options: SyslogPipeOptions): SyslogPipe {
  const { facility, tag, messageSizeBytes, path } = options
  const program = findProgram(path ?? process.env.PATH ?? '', 'the audit device')
  const priority = `${facility.toLowerCase()}.notice`
  // Without a syslog that listens it ends, instead of saying nothing.
  const words = ['--tag', tag, '--priority', priority, '--size', String(messageSizeBytes)]
  const child = spawn(program, [...words, '--socket-errors=on'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new AbortController()
  const end = (): void => ended.abort(new Error(`${PROGRAM} ended: is there a syslog?`))
  child.on('error', end)
  child.on('exit', end)
  child.stdin.on('error', end)
  child.unref()
  return {
    write: (lines, signal) =>
      new Promise((resolve, reject) => {
        const either = AbortSignal.any([signal, ended.signal])
        const stop = (): void => reject(either.reason)
        if (either.aborted) stop()
        either.addEventListener('abort', stop, { once: true })
        child.stdin.write(lines, error => {
          either.removeEventListener('abort', stop)
          if (error) reject(error)
          else resolve()
        })
      }),
    close() {
      // What it has not read yet it will never read.
      if (child.stdin.writableLength === 0) {
        child.stdin.end()
        return
      }
      child.stdin.destroy()
      child.kill()
    },
  }
}

function findProgram(searchPath: string, who: string): string {
  for (const folder of searchPath.split(':').filter(Boolean)) {
    const program = join(folder, PROGRAM)
    try {
      accessSync(program, constants.X_OK)
      return program
    } catch {
      // Not in this folder.
    }
  }
  const text = `${who} needs the program ${PROGRAM}, which is not in the search path`
  throw new OperatingError(OperatingCode.unavailable, text)
}
