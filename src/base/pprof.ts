/**
 * CPU profiles of V8 in the form of pprof, which `go tool pprof` and many others read.
 *
 * Owns the encoding: Protocol Buffers, of which this needs varints and length-prefixed parts only.
 * One sample stands for each place in the tree of calls, with how often and how long it ran there.
 */

/** A function in V8's tree of calls. */
export interface CallNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    /** From 0. */
    readonly lineNumber: number
  }
  readonly children?: readonly number[] | undefined
}

/** What V8's profiler gives; times are microseconds. */
export interface CpuProfile {
  readonly nodes: readonly CallNode[]
  readonly startTime: number
  readonly endTime: number
  readonly samples?: readonly number[] | undefined
  readonly timeDeltas?: readonly number[] | undefined
}

const NS_PER_US = 1_000
/** Frames that are no work. */
const IDLE = new Set(['(root)', '(idle)'])

/** Encodes a profile; `wallMs` is when it began. */
export function encodePprof(profile: CpuProfile, wallMs: number, periodUs: number): Buffer {
  const out = new Message()
  const texts = new Texts()
  const type = (name: string, unit: string): Message =>
    new Message().number(1, texts.of(name)).number(2, texts.of(unit))
  out.message(1, type('samples', 'count')).message(1, type('cpu', 'nanoseconds'))
  const functions = new Functions(texts)
  for (const { stack, count, ns } of stacksOf(profile)) {
    const locations = stack.map(node => functions.of(node))
    out.message(2, new Message().numbers(1, locations).numbers(2, [count, ns]))
  }
  for (const id of functions.ids()) {
    const line = new Message().number(1, id).number(2, functions.lineOf(id))
    out.message(4, new Message().number(1, id).message(4, line))
  }
  for (const one of functions.messages()) out.message(5, one)
  const period = type('cpu', 'nanoseconds')
  for (const text of texts.all()) out.text(6, text)
  return out
    .number(9, Math.round(wallMs) * 1e6)
    .number(10, (profile.endTime - profile.startTime) * NS_PER_US)
    .message(11, period)
    .number(12, periodUs * NS_PER_US)
    .bytes()
}

/** Each place that was seen running, innermost function first. */
function* stacksOf({ nodes, samples = [], timeDeltas = [] }: CpuProfile): Iterable<{
  readonly stack: readonly CallNode[]
  readonly count: number
  readonly ns: number
}> {
  const parents = new Map<number, CallNode>()
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node)
  const seen = new Map<number, { count: number; ns: number }>()
  for (const [at, id] of samples.entries()) {
    const sum = seen.get(id) ?? { count: 0, ns: 0 }
    sum.count++
    sum.ns += Math.max(0, timeDeltas[at] ?? 0) * NS_PER_US
    seen.set(id, sum)
  }
  for (const node of nodes) {
    const sum = seen.get(node.id)
    if (sum === undefined || IDLE.has(node.callFrame.functionName)) continue
    const stack: CallNode[] = []
    for (let one: CallNode | undefined = node; one !== undefined; one = parents.get(one.id)) {
      if (!IDLE.has(one.callFrame.functionName)) stack.push(one)
    }
    yield { stack, ...sum }
  }
}

/** Texts by number; the first is empty. */
class Texts {
  readonly #numbers = new Map<string, number>([['', 0]])

  of(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#numbers.set(text, this.#numbers.size)
    return this.#numbers.size - 1
  }

  all(): Iterable<string> {
    return this.#numbers.keys()
  }
}

/** Functions by number, from 1; each has one location of the same number. */
class Functions {
  readonly #texts: Texts
  readonly #ids = new Map<string, number>()
  readonly #frames: CallNode['callFrame'][] = []

  constructor(texts: Texts) {
    this.#texts = texts
  }

  of({ callFrame }: CallNode): number {
    const { functionName, url, lineNumber } = callFrame
    const key = `${functionName}\n${url}\n${lineNumber}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#frames.push(callFrame)
    this.#ids.set(key, id)
    return id
  }

  ids(): Iterable<number> {
    return this.#ids.values()
  }

  lineOf(id: number): number {
    return Math.max(0, this.#frames[id - 1]!.lineNumber + 1)
  }

  *messages(): Iterable<Message> {
    for (const id of this.#ids.values()) {
      const { functionName, url } = this.#frames[id - 1]!
      const name = this.#texts.of(functionName === '' ? '(anonymous)' : functionName)
      yield new Message()
        .number(1, id)
        .number(2, name)
        .number(3, name)
        .number(4, this.#texts.of(url))
        .number(5, this.lineOf(id))
    }
  }
}

const VARINT = 0
const LENGTH = 2

/** A message of Protocol Buffers, field by field. */
class Message {
  readonly #parts: Uint8Array[] = []

  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  number(field: number, value: number): this {
    this.#parts.push(varint((field << 3) | VARINT), varint(value))
    return this
  }

  /** A packed list. */
  numbers(field: number, values: readonly number[]): this {
    return this.#sized(field, Buffer.concat(values.map(varint)))
  }

  text(field: number, text: string): this {
    return this.#sized(field, Buffer.from(text, 'utf8'))
  }

  message(field: number, message: Message): this {
    return this.#sized(field, message.bytes())
  }

  #sized(field: number, bytes: Buffer): this {
    this.#parts.push(varint((field << 3) | LENGTH), varint(bytes.length), bytes)
    return this
  }
}

/** Seven bits a byte, the lowest first; numbers here are below 2^63 and not negative. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt(Math.round(value))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}
