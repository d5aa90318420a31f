/**
 * Join tokens: what lets a new agent into the cluster.
 *
 * Owns their form, how both sides show that they know a secret without sending it, and the rules
 * about their rows. The secret is in no row: only what it is derived to, sealed.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { WallMs } from '../base/brand.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { AgentKind } from '../base/rpc.ts'
import { isUuid } from '../base/uuid.ts'
import { access, type Who } from '../base/who.ts'
import { type Decision, del, put } from '../store/store.ts'
import { type JoinTokenRow, joinTokenKey, joinTokens } from '../store/tables/cluster.ts'
import type { Reader } from '../store/view.ts'

/** What whoever joins was given: `<id>.<secret>`. */
export interface JoinToken {
  readonly id: string
  readonly secret: string
}

export const JOIN_SECRET_SIZE_BYTES = 32

const SECRET = /^[A-Za-z0-9_-]{32,128}$/

/** Reads a token; undefined where the text is none. Nothing of it may stand in an error. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const at = text.indexOf('.')
  const id = text.slice(0, at).toLowerCase()
  const secret = text.slice(at + 1)
  return at > 0 && isUuid(id) && SECRET.test(secret) ? { id, secret } : undefined
}

export const joinTokenText = ({ id, secret }: JoinToken): string => `${id}.${secret}`

/** What the secret of a token is derived to: what both sides know. */
export function joinKeyOf({ id, secret }: JoinToken): Buffer {
  const bytes = hkdfSync('sha256', secret, id, 'gatehouse join', JOIN_SECRET_SIZE_BYTES)
  return Buffer.from(bytes)
}

/** Two ends of one TLS connection by their certificates: SHA-256 of each, in hexadecimal. */
export interface Ends {
  readonly server: string
  readonly client: string
}

/**
 * Shows that a side knows the key, to the other end of this connection and to nobody else: both
 * certificates are in it, and each side has shown in the handshake that its own is its own.
 */
export function proofOf(key: Buffer, side: keyof Ends, purpose: string, ends: Ends): Buffer {
  const words = ['gatehouse join', side, purpose, ends.server, ends.client]
  return createHmac('sha256', key).update(words.join('\u0000')).digest()
}

/** Whether a proof is the one that is expected, in constant time. */
export function isProof(given: Uint8Array, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** The place that a token's key is sealed for. */
export const joinTokenPlace = (id: string): string => `join-token/${id}`

const WRITING = [access('write', 'operator')]

/** What a new token is to be. */
export interface JoinTokenWish {
  readonly description: string
  readonly kind: AgentKind
  readonly maxUses: number
  /** How long it is honoured; 0 for ever. */
  readonly ttlMs: number
}

/** Makes a token. The secret's derived key was sealed by the caller. */
export function createJoinToken(
  view: Reader,
  who: Who,
  now: WallMs,
  wish: JoinTokenWish,
  made: { readonly id: string; readonly sealedKey: string },
): Decision<JoinTokenRow> | Refusal {
  const refusal = refuse(who, WRITING)
  if (refusal !== undefined) return refusal
  const problem = problemOf(wish)
  if (problem !== undefined) return new Refusal(400, problem)
  if (view.prefix(joinTokens, '', limits.joinTokens).length >= limits.joinTokens) {
    return new Refusal(400, `there are ${limits.joinTokens} join tokens already: revoke some`)
  }
  const { ttlMs, ...kept } = wish
  const expiresAtMs = ttlMs === 0 ? 0 : now + ttlMs
  const row = { ...kept, ...made, uses: 0, createdAtMs: now, expiresAtMs, revokedAtMs: 0 }
  return { txn: [put(joinTokens, joinTokenKey(row.id), row)], answer: row }
}

function problemOf({ description, kind, maxUses, ttlMs }: JoinTokenWish): string | undefined {
  if (kind !== 'server' && kind !== 'client') return 'Kind must be server or client'
  if (description.length > limits.aclDescriptionChars) return 'Description is too long'
  if (!Number.isSafeInteger(maxUses) || maxUses < 0) return 'MaxUses must be 0 or more'
  return ttlMs < 0 ? 'TTL must not be negative' : undefined
}

/** Gives a token another secret: the old one lets nobody in any more. */
export function rotateJoinToken(
  view: Reader,
  who: Who,
  id: string,
  sealedKey: string,
): Decision<JoinTokenRow> | Refusal {
  const refusal = refuse(who, WRITING)
  if (refusal !== undefined) return refusal
  const cell = view.get(joinTokens, joinTokenKey(id))
  if (cell === undefined) return NO_TOKEN
  if (cell.row.revokedAtMs > 0) return new Refusal(400, 'this join token was revoked')
  const row = { ...cell.row, sealedKey }
  return { txn: [put(joinTokens, cell.key, row)], answer: row }
}

/** Ends a token; whom it let in stays. One that was revoked already is removed. */
export function revokeJoinToken(
  view: Reader,
  who: Who,
  now: WallMs,
  id: string,
): Decision<true> | Refusal {
  const refusal = refuse(who, WRITING)
  if (refusal !== undefined) return refusal
  const cell = view.get(joinTokens, joinTokenKey(id))
  if (cell === undefined) return NO_TOKEN
  if (cell.row.revokedAtMs > 0) return { txn: [del(joinTokens, cell.key)], answer: true }
  const row = { ...cell.row, revokedAtMs: now }
  return { txn: [put(joinTokens, cell.key, row)], answer: true }
}

const NO_TOKEN = new Refusal(404, 'there is no such join token')

/**
 * Why a token lets an agent not in; undefined where it does. `isAgain`: it let this one in already,
 * whose answer was lost. Texts are for who joins.
 */
export function joinTokenProblem(
  row: JoinTokenRow | undefined,
  { kind, isAgain }: { readonly kind: AgentKind; readonly isAgain: boolean },
  now: WallMs,
): string | undefined {
  if (row === undefined) return 'this join token is not known here'
  if (row.revokedAtMs > 0) return 'this join token was revoked'
  if (row.expiresAtMs > 0 && row.expiresAtMs <= now) return 'this join token has expired'
  if (row.maxUses > 0 && row.uses >= row.maxUses && !isAgain) {
    return `this join token has let in all ${row.maxUses} that it was made for`
  }
  return row.kind === kind ? undefined : `this join token is for ${row.kind}s, not for a ${kind}`
}
