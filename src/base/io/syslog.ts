/**
 * Syslog through the system's own `logger`: Node has no sockets of its kind.
 *
 * Owns that one child, which gets a line each with its priority on stdin, and nothing else. Lines
 * wait in a bounded pipe and are dropped beyond it; a child that ended is started again, but not
 * at once.
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
  const program = findProgram(path ?? process.env.PATH ?? '')
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

function findProgram(searchPath: string): string {
  for (const folder of searchPath.split(':').filter(Boolean)) {
    const program = join(folder, PROGRAM)
    try {
      accessSync(program, constants.X_OK)
      return program
    } catch {
      // Not in this folder.
    }
  }
  const text = `enable_syslog needs the program ${PROGRAM}, which is not in the search path`
  throw new OperatingError(OperatingCode.unavailable, text)
}
