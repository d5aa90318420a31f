/**
 * Encodes messages of protobuf, by the descriptors of their contracts.
 *
 * Owns the encoding alone (protobuf.dev/programming-guides/encoding): plain objects in, bytes out,
 * what has its default left out. The library that reads contracts encodes too, in two passes and a
 * step on the heap for each field, which was a good part of what a small answer cost. Messages are
 * given as it takes them: fields in camelCase, enums by name or number, 64-bit numbers as safe
 * integers, BigInts or decimal digits.
 */
import { assert } from './assert.ts'
import type { EnumDescriptor, FieldDescriptor, MessageDescriptor } from './descriptors.ts'

/** Encodes messages of one type. Throws a TypeError on what is none. */
export type Encoder = (message: object) => Buffer

/** What a file defines, with full names of types (see descriptors.ts). */
interface DefiningFile {
  readonly package: string
  readonly messageType: readonly MessageDescriptor[]
  readonly enumType: readonly EnumDescriptor[]
}

const Wire = { varint: 0, fixed64: 1, sized: 2 } as const

const Kind = {
  text: 0,
  bytes: 1,
  bool: 2,
  int: 3,
  double: 4,
  enum: 5,
  message: 6,
  map: 7,
} as const

type KindNumber = (typeof Kind)[keyof typeof Kind]

const KIND_OF: Readonly<Record<string, KindNumber>> = {
  TYPE_STRING: Kind.text,
  TYPE_BYTES: Kind.bytes,
  TYPE_BOOL: Kind.bool,
  TYPE_INT32: Kind.int,
  TYPE_INT64: Kind.int,
  TYPE_UINT32: Kind.int,
  TYPE_UINT64: Kind.int,
  TYPE_DOUBLE: Kind.double,
  TYPE_ENUM: Kind.enum,
  TYPE_MESSAGE: Kind.message,
}

const wireOf = (kind: KindNumber): number => {
  if (kind === Kind.double) return Wire.fixed64
  return kind === Kind.bool || kind === Kind.int || kind === Kind.enum ? Wire.varint : Wire.sized
}

interface FieldPlan {
  readonly name: string
  readonly kind: KindNumber
  readonly tag: number
  readonly isList: boolean
  /** Whether a list stands in one piece. */
  readonly isPacked: boolean
  /** Whether a default is said too: members of oneofs, optional fields, items. */
  readonly isExplicit: boolean
  readonly values: ReadonlyMap<string, number>
  readonly message: Plan
}

/** The fields of a message, the last first: bytes are written from their end. */
interface Plan {
  fields: readonly FieldPlan[]
}

const NO_PLAN: Plan = { fields: [] }
const NO_VALUES: ReadonlyMap<string, number> = new Map()

/** Encoders by the full names of types. */
export class Encoders {
  readonly #messages = new Map<string, MessageDescriptor>()
  readonly #enums = new Map<string, EnumDescriptor>()
  readonly #plans = new Map<string, Plan>()

  /** Of files that are one world. */
  constructor(files: Iterable<DefiningFile>) {
    for (const file of files) {
      for (const each of file.enumType) this.#enums.set(`.${file.package}.${each.name}`, each)
      for (const each of file.messageType) this.#learn(`.${file.package}`, each)
    }
  }

  /** The encoder of a type that the files define. */
  of(type: string): Encoder {
    const plan = this.#planOf(`.${type}`)
    return message => {
      sink.begin()
      sink.writeFields(plan, message as Fields)
      return sink.taken()
    }
  }

  #learn(scope: string, message: MessageDescriptor): void {
    const name = `${scope}.${message.name}`
    this.#messages.set(name, message)
    for (const each of message.enumType) this.#enums.set(`${name}.${each.name}`, each)
    for (const each of message.nestedType) this.#learn(name, each)
  }

  #planOf(type: string): Plan {
    const known = this.#plans.get(type)
    if (known !== undefined) return known
    const message = this.#messages.get(type)
    assert(message !== undefined, `a file defines ${type}`)
    // A message may stand in itself.
    const plan: Plan = { fields: [] }
    this.#plans.set(type, plan)
    const fields = message.field.map(field => this.#fieldOf(field))
    plan.fields = fields.sort((one, other) => other.tag - one.tag)
    return plan
  }

  #fieldOf({ name, number, type, typeName = '', label, ...rest }: FieldDescriptor): FieldPlan {
    const isMap = this.#messages.get(typeName)?.options?.mapEntry === true
    const kind = isMap ? Kind.map : KIND_OF[type]
    assert(kind !== undefined, `no contract of ours has a ${type}`)
    const isList = label === 'LABEL_REPEATED'
    const isPacked = isList && wireOf(kind) !== Wire.sized
    return {
      ...{ name: inCamelCase(name), kind, isPacked },
      tag: number * 8 + (isPacked ? Wire.sized : wireOf(kind)),
      isList: isList && !isMap,
      isExplicit: isList || rest.oneofIndex !== undefined || rest.proto3Optional === true,
      values: kind === Kind.enum ? valuesOf(this.#enums.get(typeName)) : NO_VALUES,
      message: kind === Kind.message || isMap ? this.#planOf(typeName) : NO_PLAN,
    }
  }
}

function valuesOf(descriptor: EnumDescriptor | undefined): ReadonlyMap<string, number> {
  assert(descriptor !== undefined, 'a file defines each enum')
  return new Map(descriptor.value.map(({ name, number }) => [name, number]))
}

/** Names as objects have them: an underscore in front of a letter goes. */
const inCamelCase = (name: string): string =>
  name.slice(0, 1) + name.slice(1).replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

type Fields = Readonly<Record<string, unknown>>

const ROOM_BYTES = 4_096
/** What is kept of the memory for the next message. */
const KEPT_BYTES = 65_536
/** A tag and a length, or a number. */
const HEAD_BYTES = 16
const SHORT_CHARS = 48

/** Writes from the end to the front, so that the length of each part is known before it is told. */
class Sink {
  #bytes = Buffer.allocUnsafeSlow(ROOM_BYTES)
  #at = ROOM_BYTES

  /** Forgets what was written, also by one that failed. */
  begin(): void {
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(ROOM_BYTES)
    this.#at = this.#bytes.length
  }

  /** What was written, in memory of its own. */
  taken(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#at))
  }

  writeFields({ fields }: Plan, message: Fields): void {
    for (const field of fields) {
      const value = message[field.name]
      if (value === undefined || value === null) continue
      if (field.isList) this.#writeList(field, value)
      else if (field.kind === Kind.map) this.#writeMap(field, value)
      else if (this.#write(field, value)) this.#writeNumber(field.tag)
    }
  }

  /** False: it is a default that is left out, and nothing was written. */
  #write({ kind, isExplicit, values, message }: FieldPlan, value: unknown): boolean {
    this.#makeRoom(HEAD_BYTES)
    switch (kind) {
      case Kind.text: {
        const text = typeof value === 'string' ? value : String(value)
        if (text === '' && !isExplicit) return false
        this.#writeText(text)
        return true
      }
      case Kind.bytes: {
        const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : value
        if (!(bytes instanceof Uint8Array)) throw new TypeError('bytes expected')
        if (bytes.length === 0 && !isExplicit) return false
        this.#writeBytes(bytes)
        return true
      }
      case Kind.bool:
        if (!value && !isExplicit) return false
        this.#writeNumber(value ? 1 : 0)
        return true
      case Kind.int: {
        const number = typeof value === 'number' ? value : BigInt(value as string)
        // biome-ignore lint/suspicious/noDoubleEquals: of either type
        if (number == 0 && !isExplicit) return false
        this.#writeInteger(number)
        return true
      }
      case Kind.double:
        if (Object.is(value, 0) && !isExplicit) return false
        this.#at = this.#bytes.writeDoubleLE(Number(value), this.#at - 8) - 8
        return true
      case Kind.enum: {
        const number = typeof value === 'number' ? value : values.get(String(value))
        if (number === undefined || (number === 0 && !isExplicit)) return false
        this.#writeInteger(number)
        return true
      }
      default: {
        if (typeof value !== 'object') throw new TypeError('object expected')
        const end = this.#end
        this.writeFields(message, value as Fields)
        this.#makeRoom(HEAD_BYTES)
        this.#writeNumber(this.#end - end)
        return true
      }
    }
  }

  #writeList(field: FieldPlan, value: unknown): void {
    if (!Array.isArray(value)) throw new TypeError('array expected')
    const end = this.#end
    for (let i = value.length - 1; i >= 0; i--) {
      if (this.#write(field, value[i]) && !field.isPacked) this.#writeNumber(field.tag)
    }
    if (!field.isPacked || value.length === 0) return
    this.#makeRoom(HEAD_BYTES)
    this.#writeNumber(this.#end - end)
    this.#writeNumber(field.tag)
  }

  /** Each entry is a message with a key and a value. */
  #writeMap({ tag, message }: FieldPlan, value: unknown): void {
    if (typeof value !== 'object') throw new TypeError('object expected')
    const names = Object.keys(value as object)
    for (let i = names.length - 1; i >= 0; i--) {
      const key = names[i]!
      const end = this.#end
      this.writeFields(message, { key, value: (value as Fields)[key] })
      this.#makeRoom(HEAD_BYTES)
      this.#writeNumber(this.#end - end)
      this.#writeNumber(tag)
    }
  }

  /** How many bytes stand here. */
  get #end(): number {
    return this.#bytes.length - this.#at
  }

  #makeRoom(sizeBytes: number): void {
    if (this.#at >= sizeBytes) return
    const before = this.#bytes
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * before.length, before.length + sizeBytes))
    const at = grown.length - (before.length - this.#at)
    before.copy(grown, at, this.#at)
    this.#bytes = grown
    this.#at = at
  }

  #writeBytes(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length + HEAD_BYTES)
    this.#at -= bytes.length
    this.#bytes.set(bytes, this.#at)
    this.#writeNumber(bytes.length)
  }

  #writeText(text: string): void {
    const chars = text.length
    if (chars > SHORT_CHARS || !this.#writeAscii(text)) {
      const sizeBytes = Buffer.byteLength(text)
      this.#makeRoom(sizeBytes + HEAD_BYTES)
      this.#at -= sizeBytes
      this.#bytes.write(text, this.#at, sizeBytes, 'utf8')
      this.#writeNumber(sizeBytes)
    } else this.#writeNumber(chars)
  }

  /** False, with nothing written, where there is something else in it. */
  #writeAscii(text: string): boolean {
    this.#makeRoom(text.length + HEAD_BYTES)
    const bytes = this.#bytes
    let at = this.#at
    for (let i = text.length - 1; i >= 0; i--) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      bytes[--at] = code
    }
    this.#at = at
    return true
  }

  #writeInteger(number: number | bigint): void {
    if (typeof number === 'number' && number >= 0) this.#writeNumber(Math.trunc(number))
    else this.#writeLarge(BigInt.asUintN(64, BigInt(number)))
  }

  /** A varint of a safe integer that is not negative. */
  #writeNumber(number: number): void {
    const bytes = this.#bytes
    if (number < 0x80) {
      bytes[--this.#at] = number
      return
    }
    let rest = number
    let sizeBytes = 1
    for (let left = Math.floor(number / 0x80); left > 0; left = Math.floor(left / 0x80)) sizeBytes++
    this.#at -= sizeBytes
    let at = this.#at
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) + 0x80
      rest = Math.floor(rest / 0x80)
    }
    bytes[at] = rest
  }

  #writeLarge(number: bigint): void {
    const digits: number[] = []
    for (let rest = number; rest > 0n || digits.length === 0; rest >>= 7n) {
      digits.push(Number(rest & 0x7fn))
    }
    for (let i = digits.length - 1; i >= 0; i--) {
      this.#bytes[--this.#at] = digits[i]! + (i === digits.length - 1 ? 0 : 0x80)
    }
  }
}

/** What is written is taken before anybody else writes. */
const sink = new Sink()
