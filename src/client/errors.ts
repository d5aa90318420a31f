/**
 * What everything in the client fails with: one class.
 *
 * Owns what a failure says of itself: whether trying again makes sense, and whether the request may
 * have been carried out. Never holds a token, a key or a value.
 */
import type { RpcCode } from '../base/rpc.ts'

/** gRPC's names of how a call ends otherwise than well. */
export type ErrorCode = RpcCode | 'UNKNOWN'

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'RESOURCE_EXHAUSTED',
  'ABORTED',
  'DEADLINE_EXCEEDED',
])

/** What is known of a failure besides its code and its text. */
export interface ErrorFacts {
  /** True where a server may have carried the request out although it failed. */
  readonly mayHaveHappened?: boolean
  /** The id by which the server's log and audit know the request; empty where none was given. */
  readonly requestId?: string
  /** The server's word for why, in upper case; empty where it gave none. */
  readonly reason?: string
  /** How long the server wants to be left alone, in milliseconds. */
  readonly retryAfterMs?: number
}

/** The only error that this package throws or rejects with. */
export class GatehouseError extends Error {
  override readonly name = 'GatehouseError'
  readonly code: ErrorCode
  /** Whether the same request may well succeed later. */
  readonly retryable: boolean
  /** Whether a server may have carried the request out: look before you repeat a write. */
  readonly mayHaveHappened: boolean
  /** The id by which the server's log and audit know the request; empty where none was given. */
  readonly requestId: string
  /** The server's word for why, such as RATE_LIMITED; empty where it gave none. */
  readonly reason: string
  /** How long the server wants to be left alone; undefined where it did not say. */
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message)
    this.code = code
    this.retryable = RETRYABLE.has(code)
    this.mayHaveHappened = facts.mayHaveHappened ?? false
    this.requestId = facts.requestId ?? ''
    this.reason = facts.reason ?? ''
    this.retryAfterMs = facts.retryAfterMs
  }
}

/** What waits is told this once the client was closed. */
export const closedError = (): GatehouseError =>
  new GatehouseError('CANCELLED', 'the client was closed')
