/**
 * The log of the process, by pino: JSON lines, or one readable line each, to several outputs.
 *
 * Owns the only import of pino. Writes never block the loop: lines wait in a bounded buffer
 * while a reader is slow and are dropped beyond it. JSON lines have the keys of Consul's
 * (`@level`, `@message`, `@timestamp`), which log shippers already parse.
 */
import { openSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
import { limits } from '../limits.ts'
import type { LiveLog, LogFields, LogLevel, LogTap } from '../log.ts'
import { type LogFileOptions, RotatingFile } from './log-file.ts'
import { openSyslog } from './syslog.ts'

export interface LogOptions {
  readonly level: LogLevel
  /** One JSON object a line instead of readable text. */
  readonly json: boolean
  /** Where lines go instead of stderr. */
  readonly file?: LogFileOptions | undefined
  /** The facility of syslog that gets the lines as well. */
  readonly syslogFacility?: string | undefined
}

/** The log of this process. Throws when the file or syslog cannot be opened. */
export function createLog(options: LogOptions, output = openOutput(options.file)): LiveLog {
  const own = [loggerOf(options, output)]
  if (options.syslogFacility !== undefined) {
    const syslog = openSyslog({ facility: options.syslogFacility })
    own.push(loggerOf({ level: options.level, json: true }, { write: syslogLine(syslog.write) }))
  }
  const all = new Set<Logger>(own)
  const write =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      for (const logger of all) logger[level](fields ?? {}, message)
    }
  return {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    setLevel(level) {
      for (const logger of own) logger.level = level
    },
    follow({ level, json, take }: LogTap) {
      const logger = loggerOf({ level, json }, { write: take })
      all.add(logger)
      return () => all.delete(logger)
    },
  }
}

function loggerOf(
  { level, json }: Pick<LogOptions, 'level' | 'json'>,
  output: DestinationStream,
): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: '@message',
      timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ '@level': label }) },
    },
    json ? output : readable(output),
  )
}

function openOutput(file: LogFileOptions | undefined): DestinationStream {
  const STDERR = 2
  return file === undefined ? openBuffered(STDERR) : new RotatingFile(file, openAppending)
}

/** A file that is appended to, made 0600 when it is not there. */
function openAppending(path: string): DestinationStream & { end(): void } {
  return openBuffered(openSync(path, 'a', 0o600))
}

function openBuffered(fd: number): DestinationStream & { end(): void } {
  return pino.destination({
    dest: fd,
    sync: false,
    minLength: 0,
    maxLength: limits.logBufferSizeBytes,
  })
}

/** Rewrites pino's lines as `2026-11-23T08:00:00.000Z [INFO]  message: key=value`. */
function readable(output: DestinationStream): DestinationStream {
  return {
    write(line) {
      const { '@timestamp': time, '@level': level, text } = taken(line)
      const label = `[${String(level).toUpperCase()}]`.padEnd(7)
      output.write(`${time} ${label} ${text}\n`)
    },
  }
}

/** Syslog knows the time itself. */
function syslogLine(write: (level: LogLevel, text: string) => void): (line: string) => void {
  return line => {
    const { '@level': level, text } = taken(line)
    write(level as LogLevel, text)
  }
}

/** A line of pino's: what it is about, and message with fields as one line of text. */
function taken(line: string): { '@level': unknown; '@timestamp': unknown; text: string } {
  const entry: Record<string, unknown> = JSON.parse(line)
  const { '@level': level, '@timestamp': time, '@message': message, ...fields } = entry
  const pairs = Object.entries(fields).map(([key, value]) => `${key}=${word(String(value))}`)
  const tail = pairs.length === 0 ? '' : `: ${pairs.join(' ')}`
  return { '@level': level, '@timestamp': time, text: `${oneLine(String(message))}${tail}` }
}

const word = (text: string): string => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text))

// biome-ignore lint/suspicious/noControlCharactersInRegex: they must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

/** A message must not forge a second line nor steer a terminal. */
const oneLine = (text: string): string => text.replace(CONTROL, ' ')
