/**
 * An attempt to replace key shares: who asked for what, the old shares that authorise it, and,
 * where that is wanted, the new ones that are shown before anything changes.
 *
 * Owns what each step writes and when it is refused. Texts are Vault's. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { Decision } from '../../store/store.ts'
import type { ShareBackupRow, ShareCounts } from '../../store/tables/seal.ts'
import type { Reader } from '../../store/view.ts'
import {
  type AttemptKind,
  dropAttempt,
  type FoundAttempt,
  type GivenShare,
  gather,
  isSameAttempt,
  keepAttempt,
  newAttempt,
  openAttempt,
  type ShownAttempt,
  type Step,
  showAttempt,
  wipeAttempt,
} from './attempt.ts'
import { keepBackup, type ShareTarget } from './seal.ts'

/** What a new set of shares is to be. */
export interface RekeyRequest extends ShareCounts {
  /** Of OpenPGP, in base64: one for each share, or none. */
  readonly pgpKeys: readonly string[]
  /** Whether the encrypted shares are kept here too. */
  readonly backup: boolean
  /** Whether the new shares must be shown before the old ones end. */
  readonly requireVerification: boolean
}

/** What an attempt to replace shares is about. */
export interface Rekey {
  readonly request: RekeyRequest
  /** New shares, encrypted, that are kept once they hold. */
  readonly backup: ShareBackupRow | undefined
}

type ShownRekey = ShownAttempt<Rekey>

export const kindOfRekey = (target: ShareTarget): AttemptKind => `rekey/${target}`

const refusal = (text: string): Refusal => new Refusal(400, text)

/** Somebody else went on with the attempt in the meantime. */
export const GONE_ON = new Refusal(503, 'another share was given just now; try again')

/** Begins an attempt. */
export function startRekey(
  target: ShareTarget,
  request: RekeyRequest,
  step: Step,
): Decision<ShownRekey> | Refusal {
  const kind = kindOfRekey(target)
  const found = openAttempt(kind, step)
  if (found !== undefined) {
    wipeAttempt(found)
    return refusal('rekey already in progress')
  }
  const attempt = newAttempt<Rekey>({ request, backup: undefined }, step)
  const { op, shown } = keepAttempt(kind, attempt, step)
  return { txn: [op], answer: shown }
}

/** Whether a key authorises, and how many shares it takes. */
export interface OldShares extends Pick<ShareCounts, 'threshold'> {
  /** Of what they are, in words. */
  readonly name: 'root' | 'recovery'
  isRight(key: Buffer): boolean
}

/** What came of a share: whether there are enough, and they are right. */
export interface TakenShare {
  readonly attempt: ShownRekey
  readonly isAuthorised: boolean
}

/**
 * Takes a share of the old key. The last one is not kept: what it authorises is done by whoever is
 * told so, in a transaction of its own that ends the attempt, and it may be given again. Answers a
 * refusal where the shares were wrong; they are forgotten then.
 */
export function takeOldShare(
  target: ShareTarget,
  { share, nonce }: GivenShare,
  old: OldShares,
  step: Step,
): Decision<TakenShare | Refusal> | Refusal {
  const kind = kindOfRekey(target)
  const found = openAttempt<Rekey>(kind, step)
  const refused = refuseOldShare(target, found, nonce)
  if (refused !== undefined || found === undefined) {
    if (found !== undefined) wipeAttempt(found)
    return refused ?? GONE_ON
  }
  const before = showAttempt(found)
  const gathered = gather(found.shares, share, old)
  if (gathered === false) {
    wipeAttempt(found)
    return refusal('given key has already been provided during this rekey operation')
  }
  if ('shares' in gathered) {
    const { op, shown } = keepAttempt(kind, { ...found, shares: gathered.shares }, step)
    return { txn: [op], answer: { attempt: shown, isAuthorised: false } }
  }
  const { key } = gathered
  const isAuthorised = key !== undefined && old.isRight(key)
  key?.fill(0)
  if (isAuthorised) return { txn: [], answer: { attempt: before, isAuthorised } }
  const { op } = keepAttempt(kind, { ...found, shares: [] }, step)
  const why =
    key === undefined
      ? 'failed to compute the key: these are not its shares'
      : `${old.name} key verification failed: unseal failed, invalid key`
  return { txn: [op], answer: refusal(why) }
}

function refuseOldShare(
  target: ShareTarget,
  found: FoundAttempt<Rekey> | undefined,
  nonce: string,
): Refusal | undefined {
  if (found === undefined) {
    return refusal(`no ${target === 'root' ? 'barrier' : 'recovery'} rekey in progress`)
  }
  if (found.held !== undefined) {
    return refusal(
      'rekey operation already finished; verification must be performed; nonce for the ' +
        `verification operation is "${found.held.nonce}"`,
    )
  }
  if (isSameSecret(nonce, found.nonce)) return undefined
  return refusal(`incorrect nonce supplied; nonce for this rekey operation is "${found.nonce}"`)
}

/** Has new shares shown before anything is changed. The key is copied. */
export function holdShares(
  target: ShareTarget,
  sealed: string,
  { key, backup }: { readonly key: Buffer; readonly backup: ShareBackupRow | undefined },
  step: Step,
): Decision<ShownRekey> | Refusal {
  const kind = kindOfRekey(target)
  const found = openAttempt<Rekey>(kind, step)
  if (found === undefined) return GONE_ON
  if (!isSameSecret(found.sealed, sealed)) {
    wipeAttempt(found)
    return GONE_ON
  }
  // Those that authorised it have done so.
  wipeAttempt(found)
  const held = { nonce: step.random.uuid(), key: Buffer.from(key), shares: [] }
  const what = { ...found.what, backup }
  const { op, shown } = keepAttempt(kind, { ...found, what, shares: [], held }, step)
  return { txn: [op], answer: shown }
}

/** What goes with the change that ends an attempt: nothing unless it is as it was found. */
export const endRekey =
  (target: ShareTarget, sealed: string, backup: ShareBackupRow | undefined) => (view: Reader) => {
    const kind = kindOfRekey(target)
    if (!isSameAttempt(kind, view, sealed)) return GONE_ON
    return [dropAttempt(kind), ...(backup === undefined ? [] : [keepBackup(target, backup)])]
  }

/** What came of a new share that is shown: the key, once all were right; it is to be wiped. */
export interface ShownShare {
  readonly attempt: ShownRekey
  readonly key: Buffer | undefined
}

/** Takes a new share that is shown. Answers a refusal where they were wrong. */
export function takeNewShare(
  target: ShareTarget,
  { share, nonce }: GivenShare,
  step: Step,
): Decision<ShownShare | Refusal> | Refusal {
  const kind = kindOfRekey(target)
  const found = openAttempt<Rekey>(kind, step)
  if (found === undefined) return refusal('no rekey in progress')
  const refused = refuseNewShare(found, nonce)
  const { held } = found
  if (refused !== undefined || held === undefined) {
    wipeAttempt(found)
    return refused ?? GONE_ON
  }
  const before = showAttempt(found)
  const gathered = gather(held.shares, share, found.what.request)
  if (gathered === false) {
    wipeAttempt(found)
    return refusal('given key has already been provided during this verify operation')
  }
  if ('shares' in gathered) {
    const next = { ...found, held: { ...held, shares: gathered.shares } }
    const { op, shown } = keepAttempt(kind, next, step)
    return { txn: [op], answer: { attempt: shown, key: undefined } }
  }
  const { key } = gathered
  if (key?.equals(held.key)) {
    wipeAttempt(found)
    return { txn: [], answer: { attempt: before, key } }
  }
  key?.fill(0)
  const { op } = keepAttempt(kind, shownAnew(found, step), step)
  const text = 'rekey verification failed; incorrect key shares supplied'
  return { txn: [op], answer: refusal(text) }
}

function refuseNewShare({ held }: FoundAttempt<Rekey>, nonce: string): Refusal | undefined {
  if (held === undefined) return refusal('no rekey verification in progress')
  if (isSameSecret(nonce, held.nonce)) return undefined
  return refusal(`incorrect nonce supplied; nonce for this verify operation is "${held.nonce}"`)
}

/** An attempt whose new shares are to be shown from the first one on. */
function shownAnew(found: FoundAttempt<Rekey>, { random }: Step): FoundAttempt<Rekey> {
  const { held } = found
  if (held === undefined) return found
  for (const share of held.shares) share.fill(0)
  return { ...found, held: { nonce: random.uuid(), key: held.key, shares: [] } }
}

/** Begins to have the new shares shown anew; nothing where none wait for that. */
export function restartVerification(target: ShareTarget, step: Step): Decision<true> {
  const kind = kindOfRekey(target)
  const found = openAttempt<Rekey>(kind, step)
  if (found === undefined) return { txn: [], answer: true }
  if (found.held === undefined) {
    wipeAttempt(found)
    return { txn: [], answer: true }
  }
  return { txn: [keepAttempt(kind, shownAnew(found, step), step).op], answer: true }
}
