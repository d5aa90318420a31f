/**
 * Base64 as transit's clients write it (RFC 4648, section 4): the alphabet of `+` and `/`, padded.
 *
 * Owns that what is no base64 is refused, and in whose words. Node decodes whatever there is, even
 * letters beyond Latin; V8's own decoder is strict and as fast. Line ends are passed over, as Go
 * does. Pure.
 */

const PADDING = '='.charCodeAt(0)

/** Bytes that so many characters come to at most. */
export const decodedSizeMax = (chars: number): number => Math.ceil(chars / 4) * 3

/** What a text, whole and without anything between, comes to. */
function decodedSizeOf(text: string): number {
  const { length } = text
  if (text.charCodeAt(length - 1) !== PADDING) return (length / 4) * 3
  return (length / 4) * 3 - (text.charCodeAt(length - 2) === PADDING ? 2 : 1)
}

/**
 * Decodes to the beginning of `target`, which must have room for `decodedSizeMax`. Gives how many
 * bytes were written; -1 for what is no base64.
 */
export function decodeInto(text: string, target: Uint8Array): number {
  if (text.length % 4 === 0) {
    if (text === '') return 0
    try {
      // Spaces make it fewer than the length says: to V8 they are none of the text.
      const { written } = target.setFromBase64(text)
      if (written === decodedSizeOf(text)) return written
    } catch {
      return withoutLineEnds(text, target)
    }
  }
  return withoutLineEnds(text, target)
}

function withoutLineEnds(text: string, target: Uint8Array): number {
  const bare = text.replaceAll(/[\r\n]/g, '')
  if (bare.length === text.length || bare.length % 4 !== 0 || !/^[\w+/=-]*$/.test(bare)) return -1
  return decodeInto(bare, target)
}

/** The bytes of a text; undefined for what is no base64. */
export function decode(text: string): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(decodedSizeMax(text.length))
  const sizeBytes = decodeInto(text, bytes)
  return sizeBytes === -1 ? undefined : bytes.subarray(0, sizeBytes)
}

/** The bytes of base64 for URLs without padding, as JWS writes signatures (RFC 7515). */
export const decodeUrl = (text: string): Buffer | undefined =>
  /^[\w-]*$/.test(text) && text.length % 4 !== 1 ? Buffer.from(text, 'base64url') : undefined

/** What Go says of a text that is no base64: where it begins to be none. */
export function illegalBase64(text: string): string {
  const [padded, letters] = /^([A-Za-z0-9+/\r\n]*)=*/.exec(text) as unknown as [string, string]
  const isPadded = padded.length > letters.length && padded.length % 4 === 0
  const isCut = !isPadded && (letters.length === text.length || padded.length > letters.length)
  const at = isPadded ? padded.length : letters.length - (isCut ? letters.length % 4 : 0)
  return `illegal base64 data at input byte ${at}`
}
