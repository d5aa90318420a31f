/**
 * Descriptors as programs that have no contract need them: of all contracts that are served.
 */
import t from 'tap'
import {
  completed,
  type FieldDescriptor,
  type FileDescriptor,
  type MessageDescriptor,
} from '../../src/base/descriptors.ts'
import { codecOf, descriptorsOf } from '../../src/base/io/proto.ts'
import { everyMethod } from '../grpc/every-method.ts'

const field = (name: string, typeName?: string): FieldDescriptor => ({
  ...{ name, number: 1, type: 'TYPE_STRING', label: 'LABEL_OPTIONAL' },
  ...(typeName === undefined ? {} : { typeName }),
})

const message = (name: string, ...fields: FieldDescriptor[]): MessageDescriptor => ({
  ...{ name, field: fields, nestedType: [], enumType: [] },
})

t.test('types have full names, entries of maps those of their fields', async t => {
  const entry = { ...message('Meta', field('key'), field('value')), options: { mapEntry: true } }
  const outer = {
    ...message('Outer', field('node_meta', 'Meta'), field('inner', 'Inner'), field('at', 'x.Time')),
    nestedType: [entry, message('Inner')],
  }
  const files: FileDescriptor[] = [
    {
      ...{ name: 'a.proto', package: 'a.b', messageType: [outer], enumType: [] },
      service: [{ name: 'S', method: [{ name: 'Do', inputType: 'Outer', outputType: '.x.Time' }] }],
    },
    {
      ...{ name: 'x.proto', package: 'x', messageType: [message('Time')], enumType: [] },
      service: [],
    },
  ]
  const [first] = completed(files)
  t.strictSame(first?.needs, ['x.proto'])
  t.match(outer.field, [
    { jsonName: 'nodeMeta', typeName: '.a.b.Outer.NodeMetaEntry' },
    { typeName: '.a.b.Outer.Inner' },
    { typeName: '.x.Time' },
  ])
  t.match(files[0]?.service[0]?.method[0], { inputType: '.a.b.Outer', outputType: '.x.Time' })
  t.ok(first?.symbols.includes('a.b.S.Do'))
})

t.test('of all that is served, every type is there', async t => {
  const files = await descriptorsOf(everyMethod().map(({ protoFile }) => protoFile))
  const symbols = new Set([...files.values()].flatMap(file => file.symbols))
  const type = 'google.protobuf.FileDescriptorProto'
  const codec = await codecOf('google/protobuf/descriptor.proto', type, 'described')
  const lost: string[] = []
  const look = (each: MessageDescriptor): void => {
    for (const { name, typeName } of each.field) {
      const isKnown = typeName === undefined || symbols.has(typeName.slice(1))
      if (!isKnown || name !== name.toLowerCase()) lost.push(`${each.name}.${name} ${typeName}`)
      if ('oneofIndex' in (each.field.find(one => one.name === name) ?? {})) {
        if (!('oneofDecl' in each)) lost.push(`${each.name}.${name} is in no oneof`)
      }
    }
    each.nestedType.forEach(look)
  }
  for (const { encoded } of files.values()) {
    const file = codec.decode(encoded) as FileDescriptor
    file.messageType.forEach(look)
  }
  t.strictSame(lost, [])
  for (const { path } of everyMethod()) t.ok(symbols.has(path.replace('/', '.')), path)
})
