/**
 * What certificates and all that goes with them are made of: DER by node-forge.
 *
 * Owns the encoding alone. Nothing that came from others is read by it: that is der.ts's. Large
 * structures are put together from encoded parts (`joined`), so that a part which does not change
 * is encoded once.
 */
import type forge from 'node-forge'
// All of node-forge takes megabytes of every server: two parts of it are loaded.
import asn1Part from 'node-forge/lib/asn1.js'
import utilPart from 'node-forge/lib/util.js'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'

export const asn1: typeof forge.asn1 = asn1Part
const util: typeof forge.util = utilPart
export type Node = forge.asn1.Asn1

/** What is to be written has no form: a name of other characters than its kind takes, say. */
export class ContentError extends Error {
  override readonly name = 'ContentError'
}

/** Its types know only the older form. */
type FromDer = (
  bytes: forge.util.ByteStringBuffer,
  options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
) => Node

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
/** The DER of a node. */
export const bytesOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
/** Bit strings stay as they are: a public key may look like DER by chance. */
export const parsed = (der: Uint8Array): Node =>
  (asn1.fromDer as unknown as FromDer)(util.createBuffer(binary(der)), {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
  })

/** A node with a universal tag. */
export const universal = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value)
/** A SEQUENCE. */
export const sequence = (nodes: Node[]): Node => universal(asn1.Type.SEQUENCE, nodes)
/** A SET; its members are in DER's order already. */
export const set = (nodes: Node[]): Node => universal(asn1.Type.SET, nodes)
/** An INTEGER, of bytes that are in its form already. */
export const integer = (bytes: Uint8Array): Node => universal(asn1.Type.INTEGER, binary(bytes))
/** An OCTET STRING. */
export const octets = (bytes: Uint8Array): Node => universal(asn1.Type.OCTETSTRING, binary(bytes))
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
export function oid(name: string): Node {
  let content = identifiers.get(name)
  if (content === undefined) {
    content = identifierOf(name)
    identifiers.set(name, content)
  }
  return universal(asn1.Type.OID, content)
}

const KEPT_IDENTIFIERS = 512
const identifiers = new Recent<string, string>(KEPT_IDENTIFIERS)

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

/** RFC 5280, 4.1.2.5: two digits of the year until 2049. */
export function time(date: Date): Node {
  const LAST_SHORT_YEAR = 2049
  const FIRST_SHORT_YEAR = 1950
  const year = date.getUTCFullYear()
  return year <= LAST_SHORT_YEAR && year >= FIRST_SHORT_YEAR
    ? universal(asn1.Type.UTCTIME, digitsOf(date).slice(2))
    : longTime(date)
}

/** A GeneralizedTime. */
export const longTime = (date: Date): Node => universal(asn1.Type.GENERALIZEDTIME, digitsOf(date))

function digitsOf(date: Date): string {
  const LAST_YEAR = 9999
  const year = date.getUTCFullYear()
  if (!(year >= 0 && year <= LAST_YEAR)) throw new ContentError('a date beyond the year 9999')
  return date.toISOString().replace(/[-:T]|\.\d+/g, '')
}

/** The tags that `joined` is used with. */
export const Outer = { sequence: 0x30, extensions: 0xa3, revoked: 0x30, context0: 0xa0 } as const

/** The head of an element with this tag byte and so many bytes of content. */
export function headOf(tag: number, sizeBytes: number): Buffer {
  const LONG = 0x80
  if (sizeBytes < LONG) return Buffer.of(tag, sizeBytes)
  const hex = sizeBytes.toString(16)
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.of(tag, LONG | length.length), length])
}

/** One element around parts that are encoded already. */
export function joined(tag: number, parts: readonly Buffer[]): Buffer {
  let sizeBytes = 0
  for (const part of parts) sizeBytes += part.length
  return Buffer.concat([headOf(tag, sizeBytes), ...parts])
}
