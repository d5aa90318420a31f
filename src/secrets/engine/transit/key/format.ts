/**
 * The form of what transit gives: `vault:v<version>:<base64>`.
 *
 * Owns taking it apart, strictly, in the words that Vault's clients know. Pure.
 */
import { Fault } from './fault.ts'

const PREFIX = 'vault:v'
const ZERO = '0'.charCodeAt(0)
/** More digits are no version that anybody has. */
const VERSION_DIGITS = 9

/** What stands before the base64 of a version. */
export const prefixOf = (version: number): string => `${PREFIX}${version}:`

export interface Versioned {
  readonly version: number
  /** What stands behind the prefix: base64, if all is well. */
  readonly payload: string
}

/** Words for what is no ciphertext, signature or HMAC. */
export interface FormatWords {
  readonly noPrefix: Fault
  readonly fields: Fault
  readonly version: Fault
}

const wordsFor = (what: string, noPrefix = `invalid ${what}: no prefix`): FormatWords => ({
  noPrefix: new Fault(noPrefix),
  fields: new Fault(`invalid ${what}: wrong number of fields`),
  version: new Fault(`invalid ${what}: version number could not be decoded`),
})

export const ciphertextWords = wordsFor('ciphertext')
export const signatureWords = wordsFor('signature')
export const hmacWords = wordsFor('HMAC', 'invalid HMAC to verify: no prefix')
export const cmacWords = wordsFor('CMAC', 'invalid CMAC to verify: no prefix')

/** Takes a text apart. The payload is not looked at. */
export function splitVersioned(text: string, words: FormatWords): Versioned | Fault {
  if (!text.startsWith(PREFIX)) return words.noPrefix
  const colon = text.indexOf(':', PREFIX.length)
  if (colon === -1) return words.fields
  const digits = colon - PREFIX.length
  if (digits === 0 || digits > VERSION_DIGITS) return words.version
  let version = 0
  for (let at = PREFIX.length; at < colon; at++) {
    const digit = text.charCodeAt(at) - ZERO
    if (digit < 0 || digit > 9) return words.version
    version = version * 10 + digit
  }
  return { version, payload: text.slice(colon + 1) }
}
