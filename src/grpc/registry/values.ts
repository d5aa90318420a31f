/**
 * Values of messages and what they are here: durations, statuses, keys, numbers of 64 bits.
 *
 * Owns the conversions both ways, and the refusal of what is none. Knows no message.
 */
import { type Bytes, fromBuffer, fromText, toBuffer, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { CheckStatus } from '../../store/tables/check.ts'

/** google.protobuf.Duration. */
export interface DurationMessage {
  readonly seconds: number
  readonly nanos: number
}

/** A field that holds a message: null or absent where there is none. */
export type Maybe<T> = T | null | undefined

const NS_PER_MS = 1_000_000

/** Milliseconds as a message. */
export const durationOf = (ms: number): DurationMessage => {
  const seconds = Math.trunc(ms / 1_000)
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * NS_PER_MS) }
}

/** A message as milliseconds; undefined where there is none. */
export const msOf = (given: Maybe<DurationMessage>): number | undefined =>
  given ? Number(given.seconds) * 1_000 + given.nanos / NS_PER_MS : undefined

const STATUSES = {
  HEALTH_STATUS_PASSING: CheckStatus.passing,
  HEALTH_STATUS_WARNING: CheckStatus.warning,
  HEALTH_STATUS_CRITICAL: CheckStatus.critical,
} as const

/** The names of gatehouse.v1.HealthStatus. */
export type StatusMessage = keyof typeof STATUSES | 'HEALTH_STATUS_UNSPECIFIED'

const NAMES = {
  [CheckStatus.passing]: 'HEALTH_STATUS_PASSING',
  [CheckStatus.warning]: 'HEALTH_STATUS_WARNING',
  [CheckStatus.critical]: 'HEALTH_STATUS_CRITICAL',
} as const

/** A status as a message. */
export const statusMessage = (status: CheckStatus): StatusMessage => NAMES[status]

/** A status that was given; undefined where none was. A number that is no status is refused. */
export function statusGiven(given: StatusMessage | number | undefined): CheckStatus | undefined {
  if (given === undefined || given === 'HEALTH_STATUS_UNSPECIFIED') return undefined
  if (typeof given === 'string' && Object.hasOwn(STATUSES, given)) return STATUSES[given]
  throw new Refusal(400, `Invalid check status: '${given}'`)
}

const NO_BYTES = Buffer.alloc(0)

/** A key that is text, or the bytes of one that is none. */
export const keyOf = (text: string, raw: Buffer): Bytes =>
  raw.length > 0 ? fromBuffer(raw) : fromText(text)

/** A key as text, and as bytes where text cannot say it. */
export function keyMessage(key: Bytes): { readonly key: string; readonly rawKey: Buffer } {
  const text = toText(key)
  return { key: text, rawKey: fromText(text) === key ? NO_BYTES : toBuffer(key) }
}

const FLAGS_MAX = 2n ** 64n - 1n
const FLAGS_CHARS = 20

/** Flags in decimal digits; 0 for ''. Anything else is refused. */
export function flagsGiven(text: string): bigint {
  if (text === '') return 0n
  const flags = text.length <= FLAGS_CHARS && /^[0-9]+$/.test(text) ? BigInt(text) : undefined
  if (flags !== undefined && flags <= FLAGS_MAX) return flags
  const shown = JSON.stringify(text.slice(0, FLAGS_CHARS))
  throw new Refusal(400, `Invalid flags: ${shown} is no unsigned number of 64 bits`)
}
