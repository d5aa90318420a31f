/**
 * The log on stderr or in a file, by pino: JSON lines, or one readable line each.
 *
 * Owns the only import of pino. Writes never block the loop: lines wait in a bounded buffer
 * while a reader is slow and are dropped beyond it. JSON lines have the keys of Consul's
 * (`@level`, `@message`, `@timestamp`), which log shippers already parse.
 */
import { openSync } from 'node:fs'
import { type DestinationStream, pino } from 'pino'
import { limits } from '../limits.ts'
import type { Log, LogLevel } from '../log.ts'

export interface LogOptions {
  readonly level: LogLevel
  /** One JSON object a line instead of readable text. */
  readonly json: boolean
  /** Appended to, made 0600 when it is not there; undefined for stderr. */
  readonly file?: string | undefined
}

/** The log of this process. Throws when the file cannot be opened. */
export function createLog(options: LogOptions, output = openOutput(options.file)): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: '@message',
      timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ '@level': label }) },
    },
    options.json ? output : readable(output),
  )
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  }
}

function openOutput(file: string | undefined): DestinationStream {
  const STDERR = 2
  return pino.destination({
    dest: file === undefined ? STDERR : openSync(file, 'a', 0o600),
    sync: false,
    minLength: 0,
    maxLength: limits.logBufferSizeBytes,
  })
}

/** Rewrites pino's lines as `2026-11-23T08:00:00.000Z [INFO]  message: key=value`. */
function readable(output: DestinationStream): DestinationStream {
  return {
    write(line) {
      const entry: Record<string, unknown> = JSON.parse(line)
      const { '@level': level, '@timestamp': time, '@message': message, ...fields } = entry
      const label = `[${String(level).toUpperCase()}]`.padEnd(7)
      const pairs = Object.entries(fields).map(([key, value]) => `${key}=${word(String(value))}`)
      const tail = pairs.length === 0 ? '' : `: ${pairs.join(' ')}`
      output.write(`${time} ${label} ${oneLine(String(message))}${tail}\n`)
    },
  }
}

const word = (text: string): string => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text))

// biome-ignore lint/suspicious/noControlCharactersInRegex: they must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

/** A message must not forge a second line nor steer a terminal. */
const oneLine = (text: string): string => text.replace(CONTROL, ' ')
