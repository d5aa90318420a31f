/**
 * Domain names in their two forms: wire (`\x03foo\x00`, a byte string that ends with the root's
 * zero octet) and text (`foo.`, escapes as in master files).
 *
 * Owns the bounds of a name (RFC 1035 §2.3.4) and the following of compression pointers (§4.1.4).
 * Must never follow a pointer forwards, nor do the same work twice for one message.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'

/** The root's name in wire form. */
export const ROOT: Bytes = '\0'
/** RFC 1035 §2.3.4: "labels 63 octets or less"; the two top bits of the octet mean other things. */
export const LABEL_SIZE_BYTES = 63
/** Offset of the first question's name: right behind the header. */
export const HEADER_SIZE_BYTES = 12
/** Offsets from this on cannot be reached by a compression pointer (14 bits). */
export const POINTER_REACH_BYTES = 0x4000

const ESCAPED = /[^\x21-\x2d\x2f-\x5b\x5d-\x7e]/g
const LETTERS = /[A-Z]+/g

/**
 * Text to wire form. A final dot may be missing; `\.` is a dot inside a label, `\DDD` (decimal)
 * any byte, other escaped characters stand for themselves; text beyond ASCII gives its UTF-8.
 * Undefined when no name is written: empty text or label, a label above 63 bytes, a name above
 * 255, a bad escape.
 */
export function nameFromText(text: string): Bytes | undefined {
  if (text === '.') return ROOT
  const bytes = fromText(text)
  // No byte of a name takes more than the four characters of \DDD.
  if (bytes.length > 4 * limits.dnsNameSizeBytes) return undefined
  const labels = bytes.includes('\\') ? nameFromTextEscaped(bytes) : bytes.split('.')
  if (labels === undefined) return undefined
  if (labels.length > 1 && labels.at(-1) === '') labels.pop()
  return nameFromLabels(labels)
}

function nameFromTextEscaped(bytes: Bytes): Bytes[] | undefined {
  const labels: Bytes[] = []
  let label = ''
  let plain = 0
  for (let i = 0; i < bytes.length; i++) {
    const character = bytes.charCodeAt(i)
    if (character !== DOT && character !== BACKSLASH) continue
    label += bytes.slice(plain, i)
    if (character === DOT) {
      labels.push(label)
      label = ''
    } else {
      const size = isDigit(bytes.charCodeAt(i + 1)) ? 3 : 1
      const code = escapedCode(bytes, i + 1, size)
      if (code === undefined) return undefined
      label += String.fromCharCode(code)
      i += size
    }
    plain = i + 1
  }
  labels.push(label + bytes.slice(plain))
  return labels
}

const DOT = 0x2e
const BACKSLASH = 0x5c
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** What stands behind a backslash: three digits, or any one character. */
function escapedCode(bytes: Bytes, at: number, size: number): number | undefined {
  if (at + size > bytes.length) return undefined
  if (size === 1) return bytes.charCodeAt(at)
  let code = 0
  for (let i = at; i < at + size; i++) {
    const digit = bytes.charCodeAt(i)
    if (!isDigit(digit)) return undefined
    code = code * 10 + digit - 0x30
  }
  return code <= 255 ? code : undefined
}

/** Labels (raw bytes, no escapes, the root's left out) to wire form; undefined as nameFromText. */
export function nameFromLabels(labels: readonly Bytes[]): Bytes | undefined {
  let name = ''
  for (const label of labels) {
    if (label.length === 0 || label.length > LABEL_SIZE_BYTES) return undefined
    name += String.fromCharCode(label.length) + label
  }
  return name.length < limits.dnsNameSizeBytes ? name + ROOT : undefined
}

/**
 * The labels of a name in wire form, raw and without the root's. What follows the root's octet is
 * not looked at, so a question's key may be given as it is.
 */
export function labelsOf(name: Bytes): Bytes[] {
  const labels: Bytes[] = []
  let at = 0
  for (;;) {
    const size = name.charCodeAt(at)
    if (!(size > 0)) return labels
    labels.push(name.slice(at + 1, at + 1 + size))
    at += 1 + size
  }
}

/** Wire form to text with a final dot; bytes that are not printable ASCII become `\DDD`. */
export function nameToText(name: Bytes): string {
  if (name.charCodeAt(0) === 0) return '.'
  let text = ''
  for (const label of labelsOf(name)) text += `${label.replace(ESCAPED, nameToTextEscape)}.`
  return text
}

const nameToTextEscape = (character: string): string => ESCAPES[character.charCodeAt(0)]!

/** How each byte is written that does not stand for itself. */
const ESCAPES = Array.from({ length: 256 }, (_, code) =>
  code === DOT || code === BACKSLASH
    ? `\\${String.fromCharCode(code)}`
    : `\\${String(code).padStart(3, '0')}`,
)

/**
 * A name with its ASCII letters in lower case, the form in which names are compared (RFC 4343).
 * Works on the wire form as a whole, since length octets (0 to 63) are never letters.
 */
export function lowerName(name: Bytes): Bytes {
  return name.replace(LETTERS, letters => letters.toLowerCase())
}

/** A name that was read out of a message. */
export interface ReadName {
  /** Wire form, without pointers. */
  readonly name: Bytes
  readonly text: string
  /** Offset behind the name where it was read: behind its first pointer, if it has one. */
  readonly endOffset: number
  /** How many pointers were followed. */
  readonly hops: number
}

/**
 * Reads the names of one message and follows their compression pointers. Every label is looked at
 * once, however many names point at it: a packet made to be costly costs no more than its bytes.
 */
export class NameReader {
  readonly message: Buffer
  /** What stands at each offset where a name, or the rest of one, was read. */
  readonly #known = new Map<number, ReadName>()

  constructor(message: Buffer) {
    this.message = message
  }

  /**
   * The name at `offset`. Undefined when it is cut off or longer than 255 bytes, when an octet is
   * of no known kind, or a pointer leads to itself, forwards, into the header or in a circle.
   */
  read(offset: number): ReadName | undefined {
    return this.#read(offset, 0, 0)
  }

  /** `sizeBytes` and `hops` are those of the name in front of this rest of it. */
  #read(offset: number, sizeBytes: number, hops: number): ReadName | undefined {
    const rest = this.#known.get(offset) ?? this.#readNew(offset, sizeBytes, hops)
    if (rest === undefined) return undefined
    if (sizeBytes + rest.name.length > limits.dnsNameSizeBytes) return undefined
    return hops + rest.hops <= limits.dnsNameHops ? rest : undefined
  }

  #readNew(offset: number, sizeBytes: number, hops: number): ReadName | undefined {
    const octet = this.message[offset]
    if (octet === undefined) return undefined
    if (octet === 0) return { name: ROOT, text: '.', endOffset: offset + 1, hops: 0 }
    const name =
      octet >= 0xc0
        ? this.#follow(offset, sizeBytes, hops)
        : this.#readLabel(offset, octet, sizeBytes, hops)
    if (name !== undefined) this.#known.set(offset, name)
    return name
  }

  #follow(offset: number, sizeBytes: number, hops: number): ReadName | undefined {
    if (offset + 2 > this.message.length || hops === limits.dnsNameHops) return undefined
    const target = this.message.readUInt16BE(offset) & (POINTER_REACH_BYTES - 1)
    if (target >= offset || target < HEADER_SIZE_BYTES) return undefined
    const rest = this.#read(target, sizeBytes, hops + 1)
    return rest && { ...rest, endOffset: offset + 2, hops: rest.hops + 1 }
  }

  #readLabel(offset: number, size: number, sizeBytes: number, hops: number): ReadName | undefined {
    const end = offset + 1 + size
    const grownBytes = sizeBytes + 1 + size
    if (size > LABEL_SIZE_BYTES || grownBytes >= limits.dnsNameSizeBytes) return undefined
    const rest = this.#read(end, grownBytes, hops)
    if (rest === undefined) return undefined
    const label = this.message.toString('latin1', offset, end)
    const text = `${label.slice(1).replace(ESCAPED, nameToTextEscape)}.`
    return {
      name: label + rest.name,
      text: rest.name === ROOT ? text : text + rest.text,
      endOffset: rest.endOffset,
      hops: rest.hops,
    }
  }
}
