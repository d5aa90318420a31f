/**
 * Keys that sign tokens: how one is made, rotates, and which of its public halves are told.
 *
 * Owns that a pair is told before it signs, that one which went out of use is told for as long as
 * what it signed may be shown, and that a private key goes with its use. Pure: pairs are drawn by
 * who calls.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Random } from '../../base/clock.ts'
import { DAY_MS } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { Arithmetic } from '../../base/io/arithmetic.ts'
import { limits } from '../../base/limits.ts'
import type { RowEnd, RowPlace } from '../deadline.ts'
import { enqueue, type PairRotation, storageAt } from '../rotation.ts'
import type { Draft } from '../storage.ts'
import { type Algorithm, fits, kindFor } from './algorithm.ts'
import {
  DEFAULT,
  isName,
  type Jwk,
  KEY_AREA,
  type KeyRow,
  keyRows,
  type Pair,
  type Retired,
} from './rows.ts'

/** What may be said of a key. */
export type KeyWish = Pick<
  KeyRow,
  'algorithm' | 'rotationMs' | 'verificationMs' | 'allowedClientIds'
>

/** The key `default` before anybody uses or changes it: it has no pairs yet, and no row. */
export const DEFAULT_KEY: KeyWish = {
  algorithm: 'RS256',
  rotationMs: DAY_MS,
  verificationMs: DAY_MS,
  allowedClientIds: ['*'],
}

/** The key of a name, which may be anything. The row must not be changed. */
export const keyAt = (draft: Draft, namespaceId: string, name: string): KeyRow | undefined =>
  isName(name) ? keyRows(draft, namespaceId).kept<KeyRow>(name) : undefined

/** What is said of the key of a name, with pairs or not yet. */
export const wishAt = (draft: Draft, namespaceId: string, name: string): KeyWish | undefined =>
  keyAt(draft, namespaceId, name) ?? (name === DEFAULT ? DEFAULT_KEY : undefined)

/** Whether a client's tokens may be signed with a key. */
export const allows = ({ allowedClientIds }: KeyWish, clientId: string): boolean =>
  allowedClientIds.includes('*') || allowedClientIds.includes(clientId)

// --- pairs

function pairOf(random: Random, algorithm: Algorithm, key: KeyObject): Pair {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  return {
    id: random.uuid(),
    publicKey: { ...(jwk as Record<string, string>), alg: algorithm },
    privateKey: key.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  }
}

/** What was prepared is for another key: one was changed in the meantime. */
const CHANGED = new Refusal(503, 'the key was changed by another request meanwhile: try again')

// --- what becomes of a key

/**
 * A key as it is wished. Its two pairs are new where it had none or those of another algorithm:
 * they stand in `drawn` then.
 */
export function shapedKey(
  { random, now }: Pick<Draft, 'random' | 'now'>,
  before: KeyRow | undefined,
  wish: KeyWish,
  drawn: readonly KeyObject[],
): KeyRow | Refusal {
  const nextRotationMs = Math.min(before?.nextRotationMs ?? Infinity, now + wish.rotationMs)
  if (before !== undefined && !needsPairs(before, wish)) {
    return { ...before, ...wish, nextRotationMs }
  }
  const [signing, next] = drawn
  if (signing === undefined || next === undefined) return CHANGED
  if (!fits(wish.algorithm, signing) || !fits(wish.algorithm, next)) return CHANGED
  return {
    ...{ ...wish, nextRotationMs },
    signing: pairOf(random, wish.algorithm, signing),
    next: pairOf(random, wish.algorithm, next),
    retired: before === undefined ? [] : retire(before, now, before.verificationMs),
  }
}

/** Whether a key needs pairs to become as it is wished. */
export const needsPairs = (before: KeyRow | undefined, { algorithm }: KeyWish): boolean =>
  before?.algorithm !== algorithm

/** A key whose next pair signs from now on; what it signed with is told for so long yet. */
export function rotatedKey(
  { random, now }: Pick<Draft, 'random' | 'now'>,
  row: KeyRow,
  drawn: KeyObject | undefined,
  verificationMs = row.verificationMs,
): KeyRow | Refusal {
  if (drawn === undefined || !fits(row.algorithm, drawn)) return CHANGED
  return {
    ...row,
    ...{ signing: row.next, next: pairOf(random, row.algorithm, drawn) },
    retired: retire(row, now, verificationMs),
    nextRotationMs: now + row.rotationMs,
  }
}

/** The public keys out of use once the one that signs is, without those that are over. */
function retire({ signing, retired }: KeyRow, nowMs: number, forMs: number): Retired[] {
  const { id, publicKey } = signing
  return [...retired, { id, publicKey, expiresAtMs: nowMs + forMs }].filter(
    one => one.expiresAtMs > nowMs,
  )
}

/** Whether a key has as many public keys out of use as it may have. */
export const isFull = ({ retired }: KeyRow, nowMs: number): boolean =>
  retired.filter(one => one.expiresAtMs > nowMs).length >= limits.oidcRetiredKeys

const ROTATION = 'oidc-rotation'

/** Writes a key: it rotates when it is due. */
export const putKey = (draft: Draft, namespaceId: string, name: string, row: KeyRow): void =>
  keyRows(draft, namespaceId).put(name, row, { kind: ROTATION, dueMs: row.nextRotationMs })

// --- the key that is always there

/** How many pairs a new key has: one signs, one is the next. */
export const PAIRS = 2

/** Gives the key `default` its pairs where it is named and has none yet; may refuse that. */
export function addDefault(
  draft: Draft,
  namespaceId: string,
  name: string,
  drawn: readonly KeyObject[],
): Refusal | undefined {
  if (name !== DEFAULT || keyAt(draft, namespaceId, name) !== undefined) return undefined
  const row = shapedKey(draft, undefined, DEFAULT_KEY, drawn)
  if (row instanceof Refusal) return row
  putKey(draft, namespaceId, name, row)
  return undefined
}

// --- rotating by themselves

function dueKey(draft: Draft, place: RowPlace): KeyRow | undefined {
  if (place.area !== KEY_AREA) return undefined
  const row = storageAt(draft, place).kept<KeyRow>(place.path)
  return row === undefined || row.nextRotationMs > draft.now ? undefined : row
}

const QUEUE = { queue: 'oidc-rotations' }

/** What is drawn for keys that are due. */
export const keyRotation = (arithmetic: Arithmetic): PairRotation<KeyRow> => ({
  ...QUEUE,
  due: dueKey,
  draw: ({ algorithm }) => arithmetic.generateKey(kindFor(algorithm)),
  rotate(draft, row, { namespaceId, path }, pair) {
    const rotated = rotatedKey(draft, row, pair)
    if (!(rotated instanceof Refusal)) putKey(draft, namespaceId, path, rotated)
  },
})

export const keyEnds: readonly RowEnd[] = [
  {
    kind: ROTATION,
    end(draft, place) {
      if (dueKey(draft, place) !== undefined) enqueue(draft, QUEUE, place)
    },
  },
]

// --- what is told

/** A set of public keys, and until when it is as it is, by a promise of the keys. */
export interface KeySet {
  readonly keys: readonly Jwk[]
  /** The shortest time that one of the keys is told after its use, or used; 0 for no keys. */
  readonly steadyMs: number
}

/** The public keys of keys that are told: those that sign, will sign, and have signed. */
export function keySetOf(rows: readonly KeyRow[], nowMs: number): KeySet {
  const keys = rows.flatMap(({ signing, next, retired }) => {
    const alive = retired.filter(one => one.expiresAtMs > nowMs)
    return [signing, next, ...alive].map(({ id, publicKey }) => ({
      use: 'sig',
      ...publicKey,
      kid: id,
    }))
  })
  const steadyMs = rows.map(row => Math.min(row.rotationMs, row.verificationMs))
  return { keys, steadyMs: rows.length === 0 ? 0 : Math.min(...steadyMs) }
}
