/**
 * Damage that keeps most of an input's form: bytes flipped, left out, put in, moved about, and
 * pieces of other inputs spliced in. Far more of what comes out gets past the first check than of
 * noise.
 */
import type { Draw } from '../fake/random.ts'

/** What valid inputs are made of; pieces are tokens that mean something to the target. */
export interface Stock {
  readonly inputs: readonly Buffer[]
  readonly pieces: readonly Buffer[]
}

/** Stock of texts, in UTF-8. */
export const stockOf = (inputs: readonly string[], pieces: readonly string[] = []): Stock => ({
  inputs: inputs.map(text => Buffer.from(text)),
  pieces: pieces.map(text => Buffer.from(text)),
})

const EDGES = [0, 1, 0x0c, 0x20, 0x22, 0x25, 0x2f, 0x3f, 0x40, 0x5c, 0x7f, 0x80, 0xc0, 0xff]
const STEPS_MAX = 6
const PIECE_MAX = 24

/** One of the inputs, as it is now and then, most often damaged in one to six places. */
export function mutated(draw: Draw, stock: Stock): Buffer {
  let bytes: Buffer = Buffer.from(draw.pick(stock.inputs))
  if (draw.chance(4)) return bytes
  const steps = 1 + draw.below(draw.below(STEPS_MAX) + 1)
  for (let step = 0; step < steps; step++) bytes = damaged(draw, bytes, stock)
  return bytes
}

function damaged(draw: Draw, bytes: Buffer, stock: Stock): Buffer {
  if (bytes.length === 0) return Buffer.from([draw.below(256)])
  const at = draw.below(bytes.length)
  const end = Math.min(bytes.length, at + 1 + draw.below(PIECE_MAX))
  switch (draw.below(10)) {
    case 0:
      bytes[at]! ^= 1 << draw.below(8)
      return bytes
    case 1:
      bytes[at] = draw.below(256)
      return bytes
    case 2:
      bytes[at] = draw.pick(EDGES)
      return bytes
    case 3:
      bytes.fill(draw.pick(EDGES), at, end)
      return bytes
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(end))
    case 5:
      return bytes.subarray(0, at)
    case 6:
      return joined(bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(at))
    case 7:
      return repeated(draw, bytes, at)
    case 8:
      return joined(bytes.subarray(0, at), pieceOf(draw, stock), bytes.subarray(at))
    default:
      return spliced(draw, bytes, at, stock)
  }
}

const joined = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts)

/** A short stretch many times over: what is cheap once must be cheap then. */
function repeated(draw: Draw, bytes: Buffer, at: number): Buffer {
  if (!draw.chance(10)) return bytes
  const stretch = bytes.subarray(at, at + 1 + draw.below(3))
  const many = Buffer.alloc(1 << draw.below(15), stretch)
  return joined(bytes.subarray(0, at), many, bytes.subarray(at))
}

function pieceOf(draw: Draw, { pieces }: Stock): Buffer {
  return pieces.length === 0 ? Buffer.from([draw.below(256)]) : draw.pick(pieces)
}

/** Goes on like another input from here, or from where that one is. */
function spliced(draw: Draw, bytes: Buffer, at: number, { inputs }: Stock): Buffer {
  const other = draw.pick(inputs)
  const from = draw.chance(50) ? Math.min(at, other.length) : draw.below(other.length + 1)
  const to = draw.chance(50) ? other.length : Math.min(other.length, from + draw.below(PIECE_MAX))
  const rest = draw.chance(50) ? bytes.subarray(at) : bytes.subarray(0, 0)
  return joined(bytes.subarray(0, at), other.subarray(from, to), rest)
}

const ODD: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e300, 2 ** 53, '', '10s', '-1h', 'default', 'a', '\0'],
  ...['passing', 'connect-proxy', '::', '0.0.0.0', 'http://127.0.0.1:1/', '\ud800'],
  ...[[], {}, [null], ['a', 1], { a: 1 }, { Name: 'a' }, [{}, {}]],
]

/** A JSON object that says something else, or nothing, in one to three places. */
export function mutatedJson(draw: Draw, text: string): string {
  const value: unknown = JSON.parse(text)
  for (let times = 1 + draw.below(3); times > 0; times--) {
    changeWithin(draw, value as Record<string, unknown>)
  }
  return JSON.stringify(value)
}

function changeWithin(draw: Draw, outer: Record<string, unknown>): void {
  const key = draw.pick(Object.keys(outer))
  const inner = outer[key]
  const isFilled = typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0
  if (isFilled && draw.chance(70)) changeWithin(draw, inner as Record<string, unknown>)
  else if (draw.chance(20) && !Array.isArray(outer) && Object.keys(outer).length > 1)
    delete outer[key]
  else outer[key] = structuredClone(draw.pick(ODD))
}
