/**
 * What a member writes into its log, as lines of ours.
 *
 * Owns the level that a line gets (etcd's information is our debug; its warnings stay) and which
 * of its fields are taken: those that say where and why, never what was asked. Pure.
 */
import { limits } from '../../../base/limits.ts'
import type { LogFields, LogLevel } from '../../../base/log.ts'

/** A line for our log. */
export interface MemberLine {
  readonly level: LogLevel
  readonly message: string
  readonly fields: LogFields
}

const LEVELS: ReadonlyMap<unknown, LogLevel> = new Map<unknown, LogLevel>([
  ['debug', 'trace'],
  ['info', 'debug'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['dpanic', 'error'],
  ['panic', 'error'],
  ['fatal', 'error'],
])

/**
 * Warnings of what is so by intention (nobody logs in by tokens of etcd's), and of connections that
 * come and go: that a peer became inactive stays.
 */
const EXPECTED = new RegExp(
  [
    '^simple token is not cryptographically signed',
    '^(established|closed|stopped) TCP streaming connection',
    '^stopped (remote peer|stream|HTTP)',
  ].join('|'),
)

/** What the gRPC of Go writes past the logger when a connection ends under an answer. */
const CHATTER = /\[core\] ?grpc: /

/** Etcd's names of fields that are taken, and ours. */
const FIELDS: readonly (readonly [string, string])[] = [
  ['error', 'error'],
  ['took', 'took'],
  ['alarm', 'alarm'],
  ['remote-peer-id', 'peer'],
  ['remote-addr', 'remote'],
  ['address', 'address'],
]

/** Reads one line of a member's log. What is no line of its logger (a panic) is a warning. */
export function readMemberLine(line: string): MemberLine | undefined {
  const text = line.trim()
  if (text === '') return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { level: CHATTER.test(text) ? 'debug' : 'warn', message: cut(text), fields: {} }
  }
  if (typeof parsed !== 'object' || parsed === null) {
    return { level: 'warn', message: cut(text), fields: {} }
  }
  const given = parsed as Readonly<Record<string, unknown>>
  const fields: Record<string, string | number> = {}
  for (const [theirs, ours] of FIELDS) {
    const value = Object.hasOwn(given, theirs) ? given[theirs] : undefined
    if (typeof value === 'string') fields[ours] = cut(value)
    else if (typeof value === 'number') fields[ours] = value
  }
  const message = typeof given.msg === 'string' ? cut(given.msg) : ''
  const level = LEVELS.get(given.level) ?? 'warn'
  return { level: level === 'warn' && EXPECTED.test(message) ? 'debug' : level, message, fields }
}

/** Whether a member says that the others have removed it: it will never be let in again. */
export function saysRemoved(line: string): boolean {
  return /permanently removed from the cluster|data-dir used by this member must be removed/.test(
    line,
  )
}

const cut = (text: string): string =>
  text.length > limits.memberLogChars ? `${text.slice(0, limits.memberLogChars)}…` : text
