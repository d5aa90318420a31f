/**
 * What certificates and all that goes with them are made of: DER by node-forge.
 *
 * Owns the encoding alone. Nothing that came from others is read by it: that is der.ts's. Large
 * structures are put together from encoded parts (`joined`), so that a part which does not change
 * is encoded once; what each certificate has anew (names, times, numbers, ids) is written without
 * node-forge (`element`), which takes twenty times as long.
 */
import type forge from 'node-forge'
// All of node-forge takes megabytes of every server: one part of it is loaded.
import asn1Part from 'node-forge/lib/asn1.js'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'
import { Tag } from './der.ts'

export const asn1: typeof forge.asn1 = asn1Part
export type Node = forge.asn1.Asn1

/** What is to be written has no form: a name of other characters than its kind takes, say. */
export class ContentError extends Error {
  override readonly name = 'ContentError'
}

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
/** The DER of a node. */
export const bytesOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1')

/** A node with a universal tag. */
export const universal = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value)
/** A SEQUENCE. */
export const sequence = (nodes: Node[]): Node => universal(asn1.Type.SEQUENCE, nodes)
/** An INTEGER, of bytes that are in its form already. */
export const integer = (bytes: Uint8Array): Node => universal(asn1.Type.INTEGER, binary(bytes))
/** A BIT STRING. */
export const bitString = (bytes: Uint8Array, unusedBits = 0): Node =>
  universal(asn1.Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes))
/** TRUE. */
export const yes = (): Node => universal(asn1.Type.BOOLEAN, String.fromCharCode(0xff))
/** NULL. */
export const none = (): Node => universal(asn1.Type.NULL, '')
/** `[tag]` around nodes, or instead of the tag of something constructed. */
export const explicit = (tag: number, nodes: Node[]): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, nodes)
/** `[tag]` instead of the tag of a primitive. */
export const implicit = (tag: number, bytes: Uint8Array): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, binary(bytes))

/** An OBJECT IDENTIFIER, from its dotted text. Throws ContentError where that is none. */
export const oid = (name: string): Node => universal(asn1.Type.OID, identifierOf(name))

/** The same, encoded. */
export function oidDer(name: string): Buffer {
  let whole = identifiers.get(name)
  if (whole === undefined) {
    whole = bytesOf(oid(name))
    identifiers.set(name, whole)
  }
  return whole
}

const KEPT_IDENTIFIERS = 512
const identifiers = new Recent<string, Buffer>(KEPT_IDENTIFIERS)

/** Whether a text is an object identifier that can be written, and will be read again. */
export function isOid(text: string): boolean {
  if (text.length > 255 || !/^[012](\.(0|[1-9]\d{0,15}))+$/.test(text)) return false
  const [root = 0, second = 0, ...rest] = text.split('.').map(Number)
  return (
    (root === 2 || second < 40) &&
    rest.length + 1 < limits.derArcs &&
    [second + 80, ...rest].every(Number.isSafeInteger)
  )
}

/** node-forge writes no arcs beyond 32 bits, and none beyond 47 in the second place. */
function identifierOf(name: string): string {
  if (!isOid(name)) throw new ContentError('no object identifier')
  const [root = 0, second = 0, ...rest] = name.split('.').map(Number)
  let content = ''
  for (const arc of [root * 40 + second, ...rest]) {
    let digits = String.fromCharCode(arc % 128)
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      digits = String.fromCharCode(0x80 | (left % 128)) + digits
    }
    content += digits
  }
  return content
}

/** ASCII of a name that takes nothing else (an IA5String). Throws ContentError for other texts. */
export function ascii(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length !== text.length)
    throw new ContentError('a name with other characters than ASCII')
  return bytes
}

/** No leading zeros but the one that keeps a number positive. */
export function positive(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex(byte => byte !== 0)
  const rest = Buffer.from(start === -1 ? [0] : bytes.subarray(start))
  return (rest[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), rest]) : rest
}

/** A whole number, zero or more, as the bytes of an INTEGER. */
export function numberBytes(value: number): Buffer {
  const hex = value.toString(16)
  return positive(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

/** RFC 5280, 4.1.2.5: two digits of the year until 2049. Encoded. */
export function time(date: Date): Buffer {
  const LAST_SHORT_YEAR = 2049
  const FIRST_SHORT_YEAR = 1950
  const year = date.getUTCFullYear()
  return year <= LAST_SHORT_YEAR && year >= FIRST_SHORT_YEAR
    ? element(Tag.utcTime, Buffer.from(digitsOf(date).slice(2), 'latin1'))
    : longTime(date)
}

/** A GeneralizedTime, encoded. */
export const longTime = (date: Date): Buffer =>
  element(Tag.generalizedTime, Buffer.from(digitsOf(date), 'latin1'))

function digitsOf(date: Date): string {
  const LAST_YEAR = 9999
  const year = date.getUTCFullYear()
  if (!(year >= 0 && year <= LAST_YEAR)) throw new ContentError('a date beyond the year 9999')
  return date.toISOString().replace(/[-:T]|\.\d+/g, '')
}

/** The tags that `joined` is used with, beside those of der.ts. */
export const Outer = { sequence: 0x30, extensions: 0xa3, revoked: 0x30, context0: 0xa0 } as const

const LONG = 0x80

/** How many bytes say a size, where one does not. */
function lengthBytes(sizeBytes: number): number {
  let count = 0
  for (let left = sizeBytes; left > 0; left = Math.floor(left / 256)) count++
  return count
}

/** An element's head with this tag byte, and room for so many bytes of content behind it. */
function begun(tag: number, sizeBytes: number, room: number): Buffer {
  const more = sizeBytes < LONG ? 0 : lengthBytes(sizeBytes)
  const whole = Buffer.allocUnsafe(2 + more + room)
  whole[0] = tag
  whole[1] = more === 0 ? sizeBytes : LONG | more
  if (more > 0) whole.writeUIntBE(sizeBytes, 2, more)
  return whole
}

/** The head of an element with this tag byte and so many bytes of content. */
export const headOf = (tag: number, sizeBytes: number): Buffer => begun(tag, sizeBytes, 0)

/** One element of bytes that are its content already. */
export function element(tag: number, content: Uint8Array): Buffer {
  const whole = begun(tag, content.length, content.length)
  whole.set(content, whole.length - content.length)
  return whole
}

/** One element around parts that are encoded already. */
export function joined(tag: number, parts: readonly Uint8Array[]): Buffer {
  let sizeBytes = 0
  for (const part of parts) sizeBytes += part.length
  const whole = begun(tag, sizeBytes, sizeBytes)
  let at = whole.length - sizeBytes
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
