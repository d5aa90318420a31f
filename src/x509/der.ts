/**
 * Reading DER (X.690) that others sent: our own reader, which takes no more than it must.
 *
 * Owns the bounds: depth, number of nodes, arcs, and that the bytes are the one encoding of what
 * they say, with nothing after it. Every fault is a DerError; nothing else is ever thrown.
 */
import { limits } from '../base/limits.ts'

/** The bytes are not DER, or not what is looked for in them. The text quotes nothing of them. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** One element. What it holds is read when it is asked for. */
export interface DerNode {
  /** The first byte: class, whether it is constructed, tag number (below 31). */
  readonly tag: number
  readonly content: Buffer
  /** The whole element, header included. */
  readonly whole: Buffer
  /** What a constructed element holds; of a primitive one nothing. */
  readonly children: readonly DerNode[]
}

export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** The tag `[number]` of a context. */
export const contextTag = (number: number, isConstructed: boolean): number =>
  (isConstructed ? 0xa0 : 0x80) | number

/** What is read at most. */
export interface DerBounds {
  readonly sizeBytes: number
  readonly nodes: number
}

const usual: DerBounds = { sizeBytes: limits.derSizeBytes, nodes: limits.derNodes }

/** Reads bytes that are one element and nothing more. Throws DerError. */
export function readDer(bytes: Buffer, bounds: DerBounds = usual): DerNode {
  if (bytes.length > bounds.sizeBytes) throw new DerError('larger than DER that is taken')
  const reader = new Reader(bytes, bounds.nodes)
  const node = reader.element(0, bytes.length, 0)
  if (node.whole.length !== bytes.length) throw new DerError('there is more after the end')
  return node
}

const CONSTRUCTED = 0x20
const HIGH_TAG = 0x1f
/** Where tags begin that are not universal. */
const CONTEXT = 0x40
/**
 * Universal types that hold others: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET. No other may (X.690,
 * 10.2).
 */
const HOLDING: readonly number[] = [0x08, 0x0b, 0x10, 0x11]
const LONG = 0x80
/** Four bytes of length say more than any text here may have. */
const LENGTH_BYTES = 3

class Reader {
  readonly #bytes: Buffer
  readonly #most: number
  #nodes = 0

  constructor(bytes: Buffer, nodes: number) {
    this.#bytes = bytes
    this.#most = nodes
  }

  element(from: number, end: number, depth: number): DerNode {
    if (depth >= limits.derDepth) throw new DerError('nested too deeply')
    if (++this.#nodes > this.#most) throw new DerError('too many elements')
    const tag = this.#byte(from, end)
    if ((tag & HIGH_TAG) === HIGH_TAG) throw new DerError('a tag in the long form')
    if (tag === 0) throw new DerError('an end of contents')
    const { start, sizeBytes } = this.#length(from + 1, end)
    if (sizeBytes > end - start) throw new DerError('cut off')
    const stop = start + sizeBytes
    const isConstructed = (tag & CONSTRUCTED) !== 0
    const content = this.#bytes.subarray(start, stop)
    if (tag < CONTEXT && isConstructed !== HOLDING.includes(tag & HIGH_TAG)) {
      throw new DerError('a type in a form that it has not')
    }
    refuseForm(tag, content)
    return {
      tag,
      content,
      whole: this.#bytes.subarray(from, stop),
      children: isConstructed ? this.#children(start, stop, depth + 1) : [],
    }
  }

  #children(from: number, end: number, depth: number): DerNode[] {
    const children: DerNode[] = []
    for (let at = from; at < end; ) {
      const child = this.element(at, end, depth)
      children.push(child)
      at += child.whole.length
    }
    return children
  }

  #length(at: number, end: number): { start: number; sizeBytes: number } {
    const first = this.#byte(at, end)
    if (first < LONG) return { start: at + 1, sizeBytes: first }
    const count = first & ~LONG
    if (count === 0) throw new DerError('a length that is not told')
    if (count > LENGTH_BYTES) throw new DerError('a length that is too large')
    let sizeBytes = 0
    for (let i = 1; i <= count; i++) sizeBytes = sizeBytes * 256 + this.#byte(at + i, end)
    const isShortest = sizeBytes >= LONG && sizeBytes >= 256 ** (count - 1)
    if (!isShortest) throw new DerError('a length that is longer than it must be')
    return { start: at + 1 + count, sizeBytes }
  }

  #byte(at: number, end: number): number {
    if (at >= end) throw new DerError('cut off')
    return this.#bytes[at] ?? 0
  }
}

/**
 * Throws DerError where a value of a simple type has not the one form of it, wherever it stands:
 * OpenSSL refuses the whole for it too.
 */
export function refuseForm(tag: number, content: Buffer): void {
  const { length } = content
  const [first = 0, second = 0] = content
  switch (tag) {
    case Tag.boolean:
      if (length !== 1 || (first !== 0 && first !== 0xff)) throw new DerError('neither yes nor no')
      return
    case Tag.integer:
    case Tag.enumerated:
      if (length === 0) throw new DerError('a number without digits')
      if (length === 1) return
      if (first === 0 && second < LONG) throw new DerError('a number with leading zeros')
      if (first === 0xff && second >= LONG) throw new DerError('a number with leading ones')
      return
    case Tag.bitString:
      if (length === 0 || first > 7 || (length === 1 && first > 0)) {
        throw new DerError('a bit string of another form')
      }
      return
    case Tag.null:
      if (length > 0) throw new DerError('nothing that is something')
      return
    case Tag.oid:
      refuseIdentifier(content)
  }
}

function refuseIdentifier(content: Buffer): void {
  let isWithin = false
  for (const byte of content) {
    if (!isWithin && byte === LONG) throw new DerError('an arc with leading zeros')
    isWithin = (byte & LONG) !== 0
  }
  if (content.length === 0 || isWithin) throw new DerError('an identifier that is cut off')
}

/**
 * The element at a place of another one, with this tag (any, where it is undefined). Throws
 * DerError where it is not.
 */
export function childOf(node: DerNode, at: number, tag: number | undefined): DerNode {
  const child = node.children[at]
  if (child === undefined) throw new DerError('a part is missing')
  return tag === undefined ? child : expected(child, tag)
}

/** The element itself, if it has this tag. Throws DerError. */
export function expected(node: DerNode, tag: number): DerNode {
  if (node.tag !== tag) throw new DerError('another type than expected')
  return node
}

/** An object identifier in dotted text. Throws DerError: no arc is beyond 2^53. */
export function oidOf(node: DerNode): string {
  const { content } = expected(node, Tag.oid)
  const arcs: number[] = []
  let arc = 0
  for (const byte of content) {
    arc = arc * LONG + (byte & ~LONG)
    if (arc > Number.MAX_SAFE_INTEGER) throw new DerError('an arc that is too large')
    if ((byte & LONG) !== 0) continue
    arcs.push(arc)
    arc = 0
    if (arcs.length > limits.derArcs) throw new DerError('too many arcs')
  }
  const [first, ...rest] = arcs
  if (first === undefined) throw new DerError('an identifier that is cut off')
  const ROOT_ARCS = 40
  const root = Math.min(2, Math.floor(first / ROOT_ARCS))
  return [root, first - root * ROOT_ARCS, ...rest].join('.')
}

/** The element itself, if it has this tag and holds so many others. Throws DerError. */
export function counted(node: DerNode, count: number): DerNode {
  if (node.children.length !== count) throw new DerError('another number of parts than expected')
  return node
}

/** TRUE or FALSE. Throws DerError. */
export function booleanOf(node: DerNode): boolean {
  return expected(node, Tag.boolean).content[0] === 0xff
}

/**
 * A positive number of any size as lower hex, two digits a byte. Throws DerError for a negative
 * one, one that is longer than it must be, or one of more bytes than a serial number may have.
 */
export function hexOfInteger(node: DerNode): string {
  const { content } = expected(node, Tag.integer)
  const [first = 0] = content
  if (content.length > limits.serialSizeBytes) {
    throw new DerError('a number of another length')
  }
  if (first >= LONG) throw new DerError('a negative number')
  return content.toString('hex', first === 0 && content.length > 1 ? 1 : 0)
}

/** A moment, of either kind. Throws DerError where it is not one in UTC, to the second. */
export function timeOf({ tag, content }: DerNode): Date {
  const text = content.toString('latin1')
  const digits = tag === Tag.utcTime ? 12 : 14
  if (tag !== Tag.utcTime && tag !== Tag.generalizedTime) throw new DerError('no time')
  if (text.length !== digits + 1 || !/^\d+Z$/.test(text)) throw new DerError('no time in UTC')
  const CENTURY = 50
  const long = digits === 14 ? text : `${Number(text.slice(0, 2)) < CENTURY ? '20' : '19'}${text}`
  const iso = long.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6.000Z')
  const date = new Date(iso)
  // A day that a month has not is moved into the next one, or is no date at all.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== iso) throw new DerError('no such time')
  return date
}

/** A small number, zero or more. Throws DerError for one that does not fit or is negative. */
export function smallInteger(node: DerNode): number {
  const { content } = expected(node, Tag.integer)
  const SAFE_BYTES = 6
  if (content.length > SAFE_BYTES) throw new DerError('not a small number')
  if ((content[0] ?? 0) >= LONG) throw new DerError('a negative number')
  return content.readUIntBE(0, content.length)
}

/** Bytes of a bit string that has whole bytes. Throws DerError. */
export function wholeBits(node: DerNode): Buffer {
  const { content } = expected(node, Tag.bitString)
  if (content.length === 0 || content[0] !== 0) throw new DerError('a bit string of parts of bytes')
  return content.subarray(1)
}
