/**
 * Expressions that give more than yes or no: texts, or messages of kinds that are declared.
 *
 * Owns how such kinds are declared and made known to the library, and one evaluation with its
 * steps. The same bounds and the same metering hold as for conditions. Pure.
 */
import { createRequire } from 'node:module'
import type * as Cel from '@bufbuild/cel'
import type * as Ext from '@bufbuild/cel/ext'
import type * as Protobuf from '@bufbuild/protobuf'
import type * as Wkt from '@bufbuild/protobuf/wkt'
import { limits } from '../../base/limits.ts'
import { type CelInput, type CelValue, celLibrary } from './library.ts'
import { type BadExpression, type Planned, planExpression } from './program.ts'

/** A field: its number, its type, and whether it has many values. */
export type FieldKind = readonly [number: number, type: string, many?: 'many']

/** Messages and enumerations that expressions can name. */
export interface SpaceNames {
  readonly package: string
  /** Fields by the name of their message; a dot stands before the name of a nested one. */
  readonly messages: Readonly<Record<string, Readonly<Record<string, FieldKind>>>>
  /** The names of each, from 0 on. */
  readonly enums: Readonly<Record<string, readonly string[]>>
}

/** What an evaluation came to: a value, or why there is none. May quote what a request said. */
export type SpaceOutcome =
  | { readonly value: boolean | string | object | undefined }
  | { readonly fault: string }

/** A place where expressions mean something. */
export class ExpressionSpace {
  readonly #names: SpaceNames
  #environment: Cel.CelEnv | undefined

  constructor(names: SpaceNames) {
    this.#names = names
  }

  /** Compiles an expression; gives what is wrong with it where it cannot be used. */
  plan(text: string): Planned | BadExpression {
    this.#environment ??= environmentOf(this.#names)
    return planExpression(text, this.#environment)
  }

  /** Evaluates one after the other; the names of earlier ones stand for what they gave. */
  run(
    steps: readonly (readonly [name: string, planned: Planned])[],
    given: Readonly<Record<string, unknown>>,
    budget: number,
  ): SpaceOutcome {
    const { meter } = celLibrary()
    meter.start(budget)
    const bindings: Record<string, CelInput> = {}
    for (const [name, value] of Object.entries(given)) bindings[name] = inputOf(value)
    let last: unknown
    for (const [name, { nodes, evaluate }] of steps) {
      try {
        meter.charge(nodes)
        last = evaluate(bindings)
      } catch (error) {
        last = error
      }
      if (meter.isSpent) return { fault: 'it takes too many steps' }
      if (last instanceof Error) return { fault: `${name}: ${last.message}` }
      bindings[name] = last as CelInput
    }
    return { value: plainOf(last) }
  }
}

/** JSON, and dates, as the library takes them. */
function inputOf(value: unknown): CelInput {
  const { cel, time } = celLibrary()
  if (value instanceof Date) return time(value.getTime())
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) {
    return (Number.isSafeInteger(value) ? BigInt(value as number) : value) as CelInput
  }
  if (Array.isArray(value)) return cel.celList(value.map(inputOf))
  const pairs = Object.entries(value).map(([key, part]) => [key, inputOf(part)] as const)
  return cel.celMap(new Map(pairs) as never)
}

/** A message as an object of its fields; other objects are of no use to anybody. */
function plainOf(value: unknown): boolean | string | object | undefined {
  if (typeof value === 'boolean' || typeof value === 'string') return value
  const message = (value as { readonly message?: unknown } | null)?.message
  return typeof message === 'object' && message !== null ? message : undefined
}

function environmentOf(names: SpaceNames): Cel.CelEnv {
  const require = createRequire(import.meta.url)
  const protobuf: typeof Protobuf = require('@bufbuild/protobuf')
  const wkt: typeof Wkt = require('@bufbuild/protobuf/wkt')
  const file = protobuf.create(wkt.FileDescriptorProtoSchema, declarationOf(names, wkt) as never)
  const registry = protobuf.createFileRegistry(file, name =>
    name === TIMES ? wkt.file_google_protobuf_timestamp : undefined,
  )
  const { cel, environmentWith } = celLibrary()
  const ext: typeof Ext = require('@bufbuild/cel/ext')
  const strings = ext.strings.filter(({ name }) => !GROWING.includes(name))
  const funcs = [...strings, ...ownFunctions(cel)]
  return environmentWith({ namespace: names.package, registry, funcs })
}

const TIMES = 'google/protobuf/timestamp.proto'
/** What gives more than it was given is done here, within bounds, or not at all. */
const GROWING = ['format', 'join', 'quote', 'replace', 'lowerAscii']

function ownFunctions(cel: typeof Cel): Cel.CelFunc[] {
  const { BOOL, STRING } = cel.CelScalar
  const texts = cel.listType(STRING)
  return [
    cel.celFunc('check_valid_email', [STRING], BOOL, text => /^[^\s@<>]+@[^\s@<>]+$/.test(text)),
    cel.celMethod('replace', STRING, [STRING, STRING], STRING, function (from, to) {
      const parts = String(this).split(from)
      return joined(parts, to)
    }),
    cel.celMethod('join', texts, [], STRING, function () {
      return joined([...(this as unknown as Iterable<string>)], '')
    }),
    cel.celMethod('join', texts, [STRING], STRING, function (between) {
      return joined([...(this as unknown as Iterable<string>)], between)
    }),
  ]
}

function joined(parts: readonly string[], between: string): string {
  const sizeChars = parts.reduce((sum, part) => sum + part.length + between.length, 0)
  if (sizeChars > limits.conditionBodySizeBytes) throw new Error('a text that is too long')
  return parts.join(between)
}

/** The declaration of a file of messages, as the library's compiler would give it. */
function declarationOf(
  { package: own, messages, enums }: SpaceNames,
  { FieldDescriptorProto_Type: Type, FieldDescriptorProto_Label: Label }: typeof Wkt,
): object {
  const typeOf = (type: string): object => {
    const scalar = Type[type.toUpperCase() as keyof typeof Type]
    if (scalar !== undefined) return { type: scalar }
    if (type.startsWith('google.')) return { type: Type.MESSAGE, typeName: `.${type}` }
    const kind = Object.hasOwn(enums, type) ? Type.ENUM : Type.MESSAGE
    return { type: kind, typeName: `.${own}.${type}` }
  }
  const message = (whole: string): object => ({
    name: whole.slice(whole.lastIndexOf('.') + 1),
    field: Object.entries(messages[whole] ?? {}).map(([name, [number, type, many]]) => ({
      ...{ name, number, label: many === undefined ? Label.OPTIONAL : Label.REPEATED },
      ...typeOf(type),
    })),
    nestedType: Object.keys(messages)
      .filter(name => name.startsWith(`${whole}.`))
      .map(message),
  })
  return {
    ...{ name: `${own}.proto`, package: own, syntax: 'proto3', dependency: [TIMES] },
    messageType: Object.keys(messages)
      .filter(name => !name.includes('.'))
      .map(message),
    enumType: Object.entries(enums).map(([name, values]) => ({
      name,
      value: values.map((value, number) => ({ name: value, number })),
    })),
  }
}

export type { BadExpression, CelValue, Planned }
