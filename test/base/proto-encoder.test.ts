/**
 * The encoder of messages, beside the library that reads contracts: whatever it is given of any
 * message of ours, the library reads out of its bytes what it reads out of its own.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import type { MessageTypeDefinition } from '@grpc/proto-loader'
import fc from 'fast-check'
import t from 'tap'
import type {
  EnumDescriptor,
  FileDescriptor,
  MessageDescriptor,
} from '../../src/base/descriptors.ts'
import { codecOf, descriptorsOf, loadDefinitions } from '../../src/base/io/proto.ts'
import { Encoders } from '../../src/base/proto-encoder.ts'
import { propertyRuns } from '../run/budget.ts'

const folder = path.join(import.meta.dirname, '../../proto/gatehouse/v1')
const contracts = readdirSync(folder)
  .sort()
  .map(name => `gatehouse/v1/${name}`)
const definitions = await loadDefinitions(contracts, 'own')
const described = await codecOf(
  'google/protobuf/descriptor.proto',
  'google.protobuf.FileDescriptorProto',
  'described',
)
const files = [...(await descriptorsOf(contracts)).values()].map(
  ({ encoded }) => described.decode(encoded) as FileDescriptor,
)
const encoders = new Encoders(files)
const messages = new Map<string, MessageDescriptor>()
const enums = new Map<string, EnumDescriptor>()
for (const file of files) {
  for (const each of file.enumType) enums.set(`.${file.package}.${each.name}`, each)
  for (const each of file.messageType) learn(`.${file.package}`, each)
}

function learn(scope: string, message: MessageDescriptor): void {
  const name = `${scope}.${message.name}`
  messages.set(name, message)
  for (const each of message.enumType) enums.set(`${name}.${each.name}`, each)
  for (const each of message.nestedType) learn(name, each)
}

const DEPTH = 3
const camel = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Any message of a type: each field given, absent, null or its default. */
function anyMessage(type: string, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const { field } = messages.get(type)!
  const fields = field.flatMap(({ name, type: kind, typeName = '', label }) => {
    const entry = messages.get(typeName)?.options?.mapEntry === true ? messages.get(typeName) : null
    if (kind === 'TYPE_MESSAGE' && depth > DEPTH) return []
    const one = (of: string, named: string) => anyValue(of, named, depth + 1)
    if (entry) {
      const value = entry.field.find(each => each.name === 'value')!
      const key = fc.string({ minLength: 1 }).filter(text => text !== '__proto__')
      return [[camel(name), fc.dictionary(key, one(value.type, value.typeName ?? ''))] as const]
    }
    const value = one(kind, typeName)
    const given = label === 'LABEL_REPEATED' ? fc.array(value, { maxLength: 4 }) : value
    return [[camel(name), given] as const]
  })
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] })
}

const wholeNumber = fc.oneof(
  fc.constant(0),
  fc.maxSafeNat(),
  fc.nat(300),
  fc.constantFrom(127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 35 - 1, 2 ** 35),
)

function anyValue(kind: string, typeName: string, depth: number): fc.Arbitrary<unknown> {
  switch (kind) {
    case 'TYPE_STRING':
      return fc.oneof(
        fc.constant(''),
        fc.string({ unit: 'grapheme', maxLength: 100 }),
        fc.string({ minLength: 120, maxLength: 300 }),
      )
    case 'TYPE_BYTES':
      return fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
    case 'TYPE_BOOL':
      return fc.boolean()
    case 'TYPE_INT32':
      return fc.oneof(fc.constant(0), fc.integer())
    case 'TYPE_UINT32':
      return fc.nat()
    case 'TYPE_INT64':
      return fc.oneof(wholeNumber, fc.maxSafeInteger())
    case 'TYPE_UINT64':
      return fc.oneof(wholeNumber, wholeNumber.map(String))
    case 'TYPE_DOUBLE':
      return fc.double({ noNaN: true })
    case 'TYPE_ENUM':
      return fc.oneof(
        fc.constantFrom(...enums.get(typeName)!.value.map(({ name }) => name)),
        fc.integer({ min: 0, max: 200 }),
      )
    case 'TYPE_MESSAGE':
      return anyMessage(typeName, depth)
    default:
      throw new Error(`no contract of ours has a ${kind}`)
  }
}

const ours = [...messages]
  .filter(([, { options }]) => options?.mapEntry !== true)
  .map(([name]) => name.slice(1))
  .filter(name => name.startsWith('gatehouse.v1.'))

t.test('generated: messages of every type, beside the library', async t => {
  t.ok(ours.length > 100)
  for (const type of ours) {
    const encode = encoders.of(type)
    const library = definitions[type] as MessageTypeDefinition<object, object>
    fc.assert(
      fc.property(anyMessage(`.${type}`), message => {
        const read = (bytes: Buffer): object => library.deserialize(bytes)
        assert.deepStrictEqual(read(encode(message)), read(library.serialize(message)))
      }),
      { numRuns: Math.ceil(propertyRuns() / 20) },
    )
  }
})

t.test('defaults are left out, unless they say something', async t => {
  const entry = encoders.of('gatehouse.v1.KVEntry')
  const zero = { key: '', rawKey: Buffer.alloc(0), value: Buffer.alloc(0), modifyIndex: 0 }
  t.equal(entry(zero).length, 0)
  const put = encoders.of('gatehouse.v1.KVPutRequest')
  t.strictSame(put({ cas: 0 }), Buffer.from([0x28, 0]), 'a member of a oneof')
  const erase = encoders.of('gatehouse.v1.KVDeleteRequest')
  t.strictSame(erase({ cas: 0 }), Buffer.from([0x18, 0]), 'an optional field')
  t.equal(erase({ cas: null, recurse: undefined }).length, 0)
})

t.test('what is no message is refused, and the next one is whole', async t => {
  const list = encoders.of('gatehouse.v1.KVListResponse')
  t.throws(() => list({ entries: [{ key: 'a' }, 7] }), TypeError)
  t.throws(() => list({ entries: 'abc' }), TypeError)
  t.throws(() => list({ entries: [{ value: 7 }] }), TypeError)
  t.strictSame(list({ nextPageToken: 'x' }), Buffer.from([0x12, 1, 0x78]))
})

t.test('an answer larger than what is kept for the next', async t => {
  const type = 'gatehouse.v1.KVListResponse'
  const library = definitions[type] as MessageTypeDefinition<object, object>
  const entries = Array.from({ length: 3_000 }, (_, i) => ({
    key: `key/${i}`,
    value: Buffer.alloc(1_000, i),
    modifyIndex: i,
  }))
  const read = library.deserialize(encoders.of(type)({ entries })) as { entries: object[] }
  t.equal(read.entries.length, entries.length)
  t.match(read.entries.at(-1), entries.at(-1)!)
})
