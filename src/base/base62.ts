/**
 * Letters and digits drawn by chance: what tokens and one-time passwords are made of.
 *
 * Owns the alphabet, and that each letter is as likely as the other.
 */
import type { Random } from './clock.ts'

export const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The largest multiple of 62 in a byte: what is above would favour some letters. */
const FAIR = 248

/** Letters and digits, each as likely as the other. */
export function base62(random: Random, chars: number): string {
  let text = ''
  while (text.length < chars) {
    for (const byte of random.bytes(2 * chars)) {
      if (byte < FAIR && text.length < chars) text += BASE62[byte % BASE62.length]
    }
  }
  return text
}
