/**
 * Something that several holders of key shares do together, from its beginning to its end.
 *
 * Owns how attempts lie in the store, the same for all servers: one of each kind at a time, sealed
 * by the keyring with the shares that were given so far. Nobody can put another in the place of
 * one, nor end it without its nonce; what nobody goes on with is none. What is opened here is wiped
 * by whoever opened it. Pure.
 */
import type { WallMs } from '../../base/brand.ts'
import type { Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import { type Decision, del, type Op, put } from '../../store/store.ts'
import type { ShareCounts } from '../../store/tables/seal.ts'
import { sealAttempts } from '../../store/tables/seal.ts'
import type { Reader } from '../../store/view.ts'
import type { Barrier } from './keyring.ts'
import { ShareSet } from './shares.ts'

/** What may be under way, each once. */
export type AttemptKind = 'rekey/root' | 'rekey/recovery' | 'generate-root'

const KINDS: readonly AttemptKind[] = ['rekey/root', 'rekey/recovery', 'generate-root']

/** New shares that wait to be shown. */
export interface Held {
  readonly nonce: string
  /** What the new shares are of. */
  readonly key: Buffer
  /** Those that were shown. */
  readonly shares: readonly Buffer[]
}

/** An attempt; `what` it is about is JSON. */
export interface Attempt<W> {
  readonly nonce: string
  readonly startedAtMs: WallMs
  readonly what: W
  /** Those that authorise it, so far. */
  readonly shares: readonly Buffer[]
  readonly held: Held | undefined
}

/** An attempt as it lies in the store. */
export interface FoundAttempt<W> extends Attempt<W> {
  /** The text of its row: another one after each step. */
  readonly sealed: string
}

/** What may be told of an attempt: no share, no key. */
export interface ShownAttempt<W> {
  readonly nonce: string
  readonly what: W
  readonly progress: number
  readonly held: { readonly nonce: string; readonly progress: number } | undefined
  readonly sealed: string
}

/** What a step stands on. */
export interface Step {
  readonly view: Reader
  readonly barrier: Barrier
  readonly now: WallMs
  readonly random: Random
}

/** The part of an attempt that is no share and no key, as it lies before them. */
interface Head<W> extends Pick<Attempt<W>, 'nonce' | 'startedAtMs' | 'what'> {
  readonly shareSizesBytes: readonly number[]
  readonly held?: {
    readonly nonce: string
    readonly keySizeBytes: number
    readonly shareSizesBytes: readonly number[]
  }
}

const LENGTH_SIZE_BYTES = 4
const sizesOf = (parts: readonly Buffer[]): number[] => parts.map(({ length }) => length)

function encode<W>({ nonce, startedAtMs, what, shares, held }: Attempt<W>): Buffer {
  const head: Head<W> = {
    ...{ nonce, startedAtMs, what, shareSizesBytes: sizesOf(shares) },
    ...(held === undefined
      ? {}
      : {
          held: {
            nonce: held.nonce,
            keySizeBytes: held.key.length,
            shareSizesBytes: sizesOf(held.shares),
          },
        }),
  }
  const headBytes = Buffer.from(JSON.stringify(head))
  const length = Buffer.allocUnsafe(LENGTH_SIZE_BYTES)
  length.writeUInt32BE(headBytes.length)
  const parts = held === undefined ? shares : [...shares, held.key, ...held.shares]
  return Buffer.concat([length, headBytes, ...parts])
}

/** Takes apart what was opened: it is as it was sealed. Shares and keys are copies. */
function decode<W>(bytes: Buffer): Attempt<W> {
  const headEnd = LENGTH_SIZE_BYTES + bytes.readUInt32BE(0)
  const head = JSON.parse(bytes.toString('utf8', LENGTH_SIZE_BYTES, headEnd)) as Head<W>
  let at = headEnd
  const take = (sizeBytes: number): Buffer => {
    const part = Buffer.alloc(sizeBytes)
    at += bytes.copy(part, 0, at, at + sizeBytes)
    return part
  }
  const { nonce, startedAtMs, what, shareSizesBytes, held } = head
  const shares = shareSizesBytes.map(take)
  if (held === undefined) return { nonce, startedAtMs, what, shares, held }
  const key = take(held.keySizeBytes)
  return {
    ...{ nonce, startedAtMs, what, shares },
    held: { nonce: held.nonce, key, shares: held.shareSizesBytes.map(take) },
  }
}

const placeOf = (kind: AttemptKind, touchedAtMs: number): string =>
  `gatehouse/attempt/${kind}/${touchedAtMs}`

const isOver = (touchedAtMs: number, now: WallMs): boolean =>
  now - touchedAtMs >= limits.sealAttemptMs

/**
 * The attempt of a kind, which is the caller's to wipe; undefined where there is none, or one that
 * is over or of keys that are gone.
 */
export function openAttempt<W>(
  kind: AttemptKind,
  { view, barrier, now }: Pick<Step, 'view' | 'barrier' | 'now'>,
): FoundAttempt<W> | undefined {
  const row = view.get(sealAttempts, kind)?.row
  if (row === undefined || isOver(row.touchedAtMs, now)) return undefined
  const { touchedAtMs, sealed } = row
  const bytes = barrier.open(placeOf(kind, touchedAtMs), Buffer.from(sealed, 'base64'))
  if (bytes === undefined) return undefined
  const attempt = decode<W>(bytes)
  bytes.fill(0)
  return { ...attempt, sealed }
}

/** A new attempt. */
export const newAttempt = <W>(what: W, { now, random }: Step): Attempt<W> => ({
  ...{ nonce: random.uuid(), startedAtMs: now, what, shares: [], held: undefined },
})

/** Keeps an attempt as it is now; it is wiped. */
export function keepAttempt<W>(
  kind: AttemptKind,
  attempt: Attempt<W>,
  { barrier, now, random }: Step,
): { readonly op: Op; readonly shown: ShownAttempt<W> } {
  const bytes = encode(attempt)
  const sealed = barrier.seal(placeOf(kind, now), bytes, random).toString('base64')
  bytes.fill(0)
  const shown = showAttempt({ ...attempt, sealed })
  wipeAttempt(attempt)
  return { op: put(sealAttempts, kind, { touchedAtMs: now, sealed }), shown }
}

/** Ends an attempt. */
export const dropAttempt = (kind: AttemptKind): Op => del(sealAttempts, kind)

/** Ends all attempts. */
export const dropAttempts = (): Op[] => KINDS.map(dropAttempt)

/** Forgets attempts that nobody goes on with; nothing where there are none. */
export function forgetAttempts(view: Reader, now: WallMs): Decision<true> {
  const over = KINDS.filter(kind => {
    const row = view.get(sealAttempts, kind)?.row
    return row !== undefined && isOver(row.touchedAtMs, now)
  })
  return { txn: over.map(dropAttempt), answer: true }
}

/** Whether there is something for `forgetAttempts` to do. */
export const hasOverAttempts = (view: Reader, now: WallMs): boolean =>
  forgetAttempts(view, now).txn.length > 0

/** Whether an attempt is still as it was found. */
export const isSameAttempt = (kind: AttemptKind, view: Reader, sealed: string): boolean =>
  isSameSecret(view.get(sealAttempts, kind)?.row.sealed ?? '', sealed)

/** What may be told of an attempt. */
export function showAttempt<W>(found: FoundAttempt<W>): ShownAttempt<W> {
  const { nonce, what, shares, held, sealed } = found
  const shown = held && { nonce: held.nonce, progress: held.shares.length }
  return { nonce, what, progress: shares.length, held: shown, sealed }
}

/** Overwrites what an attempt holds. */
export function wipeAttempt({ shares, held }: Pick<Attempt<unknown>, 'shares' | 'held'>): void {
  for (const share of shares) share.fill(0)
  for (const share of held?.shares ?? []) share.fill(0)
  held?.key.fill(0)
}

/** A share as it came, and what it has to fit. The buffer stays the caller's. */
export interface GivenShare {
  readonly share: Buffer
  readonly nonce: string
}

/** What came of a share: more are wanted, or what all of them came to. */
export type Gathered =
  | { readonly shares: readonly Buffer[] }
  /** Undefined where they are no shares of one key. It is the caller's to wipe. */
  | { readonly key: Buffer | undefined }

/** Adds a share to those that there are, which it takes over; false where it came before. */
export function gather(
  before: readonly Buffer[],
  share: Buffer,
  counts: Pick<ShareCounts, 'threshold'>,
): Gathered | false {
  const set = new ShareSet(before)
  if (!set.add(Buffer.from(share))) return false
  return set.progress < counts.threshold ? { shares: set.parts } : { key: set.take(counts) }
}

/**
 * Why an attempt is not ended for somebody who has nothing to show but this nonce: he ends what he
 * knows the nonce of, or what was begun long ago.
 */
function refuseCancel(
  attempt: Pick<Attempt<unknown>, 'nonce' | 'startedAtMs'>,
  nonce: string,
  now: WallMs,
): Refusal | undefined {
  if (isSameSecret(nonce, attempt.nonce)) return undefined
  if (nonce === '' && now - attempt.startedAtMs >= limits.sealAttemptGuardMs) return undefined
  return new Refusal(400, 'the nonce of the operation is required to cancel it')
}

/** Ends an attempt. Who has shown a right of his own (`mayEnd`) needs no nonce. */
export function cancelAttempt(
  kind: AttemptKind,
  { nonce, mayEnd }: { readonly nonce: string; readonly mayEnd: boolean },
  step: Step,
): Decision<true> | Refusal {
  const found = openAttempt(kind, step)
  // One that does not open any more is swept all the same.
  if (found === undefined) return { txn: [dropAttempt(kind)], answer: true }
  wipeAttempt(found)
  const kept = mayEnd && nonce === '' ? undefined : refuseCancel(found, nonce, step.now)
  return kept ?? { txn: [dropAttempt(kind)], answer: true }
}
