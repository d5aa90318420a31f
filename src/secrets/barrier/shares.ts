/**
 * Key shares as operators hand them out and in.
 *
 * Owns what numbers of shares are right, how a share is read from text, and the collecting of
 * shares until there are enough. Texts are Vault's, since operators and clients know them. Pure;
 * must never quote a share.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { ShareCounts } from '../../store/tables/seal.ts'
import { KEY_SIZE_BYTES } from './keyring.ts'
import { combine, SHARE_OVERHEAD_BYTES, split } from './shamir.ts'

const MAX_SHARES = 255
/** What is shorter is no key of any seal. */
const MIN_KEY_SIZE_BYTES = 16
const MAX_KEY_SIZE_BYTES = KEY_SIZE_BYTES + SHARE_OVERHEAD_BYTES

/** What is wrong with numbers of shares; undefined where nothing is. */
export function countsProblem({ shares, threshold }: ShareCounts): string | undefined {
  if (shares < 1) return 'shares must be at least one'
  if (threshold < 1) return 'threshold must be at least one'
  return oddCountsProblem({ shares, threshold })
}

/** The same where there may be no shares at all. */
export function oddCountsProblem({ shares, threshold }: ShareCounts): string | undefined {
  if (shares > 1 && threshold < 2) return 'threshold must be greater than one for multiple shares'
  if (shares > MAX_SHARES) return 'shares must be less than 256'
  if (threshold > MAX_SHARES) return 'threshold must be less than 256'
  if (threshold > shares) return 'threshold cannot be larger than shares'
  if (shares < 0 || threshold < 0) return 'shares must be at least one'
  return undefined
}

/** A key as its shares. One share is the key itself. The shares are the caller's to wipe. */
export const sharesOf = (key: Buffer, { shares, threshold }: ShareCounts, random: Random) =>
  shares === 1 ? [Buffer.from(key)] : split(key, { count: shares, threshold }, random)

const HEX = /^(?:[0-9a-f]{2})+$/i
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** A share from its text: hexadecimal, or base64 where that is of no share's length. */
export function readShare(text: string): Buffer | Refusal {
  const fits = ({ length }: Buffer): boolean =>
    length >= MIN_KEY_SIZE_BYTES && length <= MAX_KEY_SIZE_BYTES
  const fromHex = HEX.test(text) ? Buffer.from(text, 'hex') : undefined
  if (fromHex !== undefined && fits(fromHex)) return fromHex
  if (!BASE64.test(text)) return new Refusal(400, "'key' must be a valid hex or base64 string")
  const share = Buffer.from(text, 'base64')
  if (fits(share)) return share
  const isShort = share.length < MIN_KEY_SIZE_BYTES
  share.fill(0)
  return new Refusal(
    400,
    isShort
      ? `key is shorter than minimum ${MIN_KEY_SIZE_BYTES} bytes`
      : `key is longer than maximum ${MAX_KEY_SIZE_BYTES} bytes`,
  )
}

/** The shares of one key that came so far. */
export class ShareSet {
  #parts: Buffer[]

  /** Takes over shares that came before. */
  constructor(parts: readonly Buffer[] = []) {
    this.#parts = [...parts]
  }

  /** The shares themselves. */
  get parts(): readonly Buffer[] {
    return this.#parts
  }

  get progress(): number {
    return this.#parts.length
  }

  /** Takes a share, which is the set's from now on; false where it came before. */
  add(share: Buffer): boolean {
    const isKnown = this.#parts.some(
      part => part.length === share.length && timingSafeEqual(part, share),
    )
    if (isKnown) share.fill(0)
    else this.#parts.push(share)
    return !isKnown
  }

  /**
   * The key, once there are as many shares as it takes; the set is empty then. Undefined where they
   * are no shares of one key; other shares give some other key.
   */
  take({ threshold }: Pick<ShareCounts, 'threshold'>): Buffer | undefined {
    const [first] = this.#parts
    const key = threshold === 1 ? first && Buffer.from(first) : combine(this.#parts)
    this.wipe()
    if (key?.length === KEY_SIZE_BYTES) return key
    key?.fill(0)
    return undefined
  }

  /** Overwrites all shares. */
  wipe(): void {
    for (const part of this.#parts) part.fill(0)
    this.#parts = []
  }
}
