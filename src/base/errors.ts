/**
 * What can go wrong, in three kinds that are never mixed: a caller's fault (Refusal), an
 * operating fault (OperatingError), a programmer's fault (AssertionError in assert.ts).
 *
 * Owns the types and the outcome that each one promises. Messages never quote a secret or a
 * body; they may quote names that the caller gave (ids, keys), since clients match on them.
 */

/** Whether the write that failed took effect. `unknown` is an honest answer: clients must check. */
export type Outcome = 'none' | 'unknown' | 'done'

/**
 * A rule's "no": what the caller asked cannot be done, nothing was changed.
 * `status` is the HTTP status that clients match on; other faces translate it.
 */
export class Refusal {
  readonly status: number
  readonly text: string

  constructor(status: number, text: string) {
    this.status = status
    this.text = text
  }
}

/** What is said where something that must be named is not. */
export const missing = (what: string): Refusal => new Refusal(400, `Missing ${what}`)

/** What the program knows by name but does not do yet. */
export const notServed = (what: string): Refusal => new Refusal(501, `not served yet: ${what}`)

export const OperatingCode = {
  /** The engine stopped after a store fault: nothing is written until it is opened again. */
  stopped: 'stopped',
  /** Too many others wrote the same rows first. */
  busy: 'busy',
  /** The store's data is damaged; the message names what and the way out. */
  damaged: 'damaged',
  /** Another process holds the folder. */
  locked: 'locked',
  /** The disk is full or read-only. */
  disk: 'disk',
  /** No quorum, or the store cannot be reached. */
  unavailable: 'unavailable',
  /** The write was sent and its fate is not known. */
  uncertain: 'uncertain',
  /** The revision asked for was compacted. */
  compacted: 'compacted',
  /** The lease that a row should hang on has ended. */
  lease: 'lease',
  /** A bound of limits.ts was met. */
  limit: 'limit',
  /** The audit journal cannot take the record that must come before the answer. */
  unaudited: 'unaudited',
  /** The engine was closed. */
  closed: 'closed',
} as const
export type OperatingCode = (typeof OperatingCode)[keyof typeof OperatingCode]

/** The world's fault: retried, degraded or reported, never hidden. */
export class OperatingError extends Error {
  override readonly name = 'OperatingError'
  readonly code: OperatingCode
  readonly outcome: Outcome

  constructor(code: OperatingCode, message: string, outcome: Outcome = 'none', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.outcome = outcome
  }
}

/** The text of anything thrown, for logs and wrapped errors. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Several problems in one text, in the form of Go's multierror, which clients of Consul's know. */
export function severalErrors(problems: readonly string[]): string {
  const count = problems.length === 1 ? '1 error' : `${problems.length} errors`
  return `${count} occurred:\n${problems.map(one => `\t* ${one}\n`).join('')}\n`
}
