/**
 * The log as a port: what every room and face may write to.
 *
 * Owns the levels and the form of a line. Fields are plain values so that no object, and with it
 * no secret or body, slips into a log.
 */

export const LogLevel = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel]

/** The level that a name of Consul's means, in any case; undefined when it is none. */
export function logLevelOf(name: string): LogLevel | undefined {
  const lower = name.toLowerCase()
  if (lower === 'err') return LogLevel.error
  return Object.hasOwn(LogLevel, lower) ? (lower as LogLevel) : undefined
}

const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron'],
  ...['authpriv', 'ftp', '', '', '', ''],
  ...['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
]

/** The number of a facility of syslog, by its name in any case; undefined when it is none. */
export function syslogFacility(name: string): number | undefined {
  const at = name === '' ? -1 : FACILITIES.indexOf(name.toLowerCase())
  return at === -1 ? undefined : at
}

/** What a line may carry besides its message. Units belong into the names. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Writes one line per call and never throws. Messages name things, never bodies or secrets. */
export interface Log {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

/** What somebody who follows a log wants of it. */
export interface LogTap {
  readonly level: LogLevel
  /** One JSON object a line instead of readable text. */
  readonly json: boolean
  /** Gets one line, with its line end. Must not throw. */
  readonly take: (line: string) => void
}

/** The log of a running program: its level can be changed, and others can follow it. */
export interface LiveLog extends Log {
  /** From now on lines of this level and above are written. */
  setLevel(level: LogLevel): void
  /** Hands all further lines on, whatever the log's own level; gives what ends that. */
  follow(tap: LogTap): () => void
}

/** A log that keeps nothing. */
export const silentLog: LiveLog = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  follow: () => () => {},
}
