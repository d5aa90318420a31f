/**
 * Shamir's secret sharing over GF(2^8), the field of AES (x^8 + x^4 + x^3 + x + 1).
 *
 * Owns the arithmetic and the form of a share: the bytes of the polynomials' values, then the x at
 * which they were taken. The arithmetic uses no table and no branch that depends on a secret, so
 * that neither caches nor the time taken tell of it. Knows no rule about how many shares there are.
 */
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/clock.ts'

/** Bytes by which a share is longer than the secret. */
export const SHARE_OVERHEAD_BYTES = 1

const MAX_SHARES = 255

/** The product of two elements: all eight steps for every pair. */
export function multiply(a: number, b: number): number {
  let product = 0
  let factor = a
  for (let bit = 0; bit < 8; bit++) {
    product ^= factor & -((b >> bit) & 1)
    factor = ((factor << 1) ^ (0x1b & -(factor >> 7))) & 0xff
  }
  return product
}

/** The inverse of an element, a^254; 0 for 0. */
export function invert(a: number): number {
  let power = a
  // 254 is 11111110 in binary: seven squarings, each but the last followed by a product.
  for (let step = 0; step < 6; step++) power = multiply(multiply(power, power), a)
  return multiply(power, power)
}

/**
 * Splits a secret into `count` shares, any `threshold` of which give it back and fewer tell nothing
 * of it. 2 <= threshold <= count <= 255; the secret is not empty. Whoever calls wipes the shares.
 */
export function split(
  secret: Uint8Array,
  { count, threshold }: { readonly count: number; readonly threshold: number },
  random: Random,
): Buffer[] {
  assert(threshold >= 2 && threshold <= count && count <= MAX_SHARES, 'shares of a threshold')
  assert(secret.length > 0, 'there is something to share')
  const shares = drawPlaces(count, random).map(x => {
    const share = Buffer.alloc(secret.length + SHARE_OVERHEAD_BYTES)
    share[secret.length] = x
    return share
  })
  const coefficients = random.bytes(secret.length * (threshold - 1))
  for (const share of shares) {
    const x = share[secret.length] ?? 0
    for (let at = 0; at < secret.length; at++) {
      // Horner: from the highest coefficient down to the secret itself.
      let value = 0
      for (let power = threshold - 2; power >= 0; power--) {
        value = multiply(value, x) ^ (coefficients[power * secret.length + at] ?? 0)
      }
      share[at] = multiply(value, x) ^ (secret[at] ?? 0)
    }
  }
  coefficients.fill(0)
  return shares
}

/** Different places that are not 0, where the secret lies. */
function drawPlaces(count: number, random: Random): number[] {
  const places = Array.from({ length: MAX_SHARES }, (_, at) => at + 1)
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random.fraction() * (MAX_SHARES - at))
    const swapped = places[at]!
    places[at] = places[other]!
    places[other] = swapped
  }
  return places.slice(0, count)
}

/**
 * The secret that shares are of; undefined where they cannot be shares of one: fewer than two, of
 * different lengths, or two of the same place. Shares that do not belong together give some other
 * bytes, without a word: whoever calls must know the secret when he sees it.
 */
export function combine(shares: readonly Uint8Array[]): Buffer | undefined {
  const sizeBytes = (shares[0]?.length ?? 0) - SHARE_OVERHEAD_BYTES
  if (shares.length < 2 || sizeBytes < 1) return undefined
  if (shares.some(share => share.length !== sizeBytes + SHARE_OVERHEAD_BYTES)) return undefined
  const places = shares.map(share => share[sizeBytes] ?? 0)
  if (places.includes(0) || new Set(places).size < places.length) return undefined
  const secret = Buffer.alloc(sizeBytes)
  for (const [i, share] of shares.entries()) {
    const weight = weightAtZero(places, i)
    for (let at = 0; at < sizeBytes; at++) {
      secret[at] = (secret[at] ?? 0) ^ multiply(weight, share[at] ?? 0)
    }
  }
  return secret
}

/** How much one share counts in the value at 0 (Lagrange). */
function weightAtZero(places: readonly number[], of: number): number {
  const own = places[of] ?? 0
  let weight = 1
  for (const [i, place] of places.entries()) {
    if (i !== of) weight = multiply(weight, multiply(place, invert(place ^ own)))
  }
  return weight
}
