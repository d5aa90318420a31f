/**
 * Serial numbers of certificates: drawn, and in the two forms in which they are written.
 *
 * Owns the forms. The randomness is handed in.
 */
import type { Random } from '../../../base/clock.ts'

/** As many bytes as RFC 5280 lets one have; the highest bit is left 0, and the number is not. */
export function drawSerial(random: Pick<Random, 'bytes'>): Buffer {
  const SIZE_BYTES = 20
  const serial = Buffer.from(random.bytes(SIZE_BYTES))
  serial[0] = (serial[0]! & 0x7f) | 0x01
  return serial
}

/** As answers tell it: pairs of hex digits with colons. */
export const serialText = (hex: string): string => hex.match(/../g)?.join(':') ?? ''

/** The digits alone, of a text with colons or hyphens; undefined where it is no serial number. */
export function serialHex(text: string): string | undefined {
  const hex = text.trim().replace(/[:-]/g, '').toLowerCase()
  return /^[0-9a-f]{2,42}$/.test(hex) ? hex : undefined
}
