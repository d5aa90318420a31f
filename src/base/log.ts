/**
 * The log as a port: what every room and face may write to.
 *
 * Owns the levels and the form of a line. Fields are plain values so that no object, and with it
 * no secret or body, slips into a log.
 */

export const LogLevel = { debug: 'debug', info: 'info', warn: 'warn', error: 'error' } as const
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel]

/** What a line may carry besides its message. Units belong into the names. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Writes one line per call and never throws. Messages name things, never bodies or secrets. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

/** A log that keeps nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
}
