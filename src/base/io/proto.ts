/**
 * The only importer of @grpc/proto-loader: reads the contracts in `proto/`, which lies beside src
 * as beside dist.
 *
 * Owns how messages look as objects. Nothing is generated: a file is read when it is first asked
 * for, and once.
 */
import path from 'node:path'
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader'
import type { Grpc } from './grpc-js.ts'

const PROTO_FOLDER = path.join(import.meta.dirname, '../../../proto')

/**
 * `foreign`: enums by their names, 64-bit numbers as `Long` objects. `own`: those as numbers, and
 * oneofs name what they hold.
 */
export type MessageStyle = 'foreign' | 'own'

const loaded = new Map<string, Promise<PackageDefinition>>()

/**
 * What proto files define, given as their paths below `proto/`. Rejects where one is none. Files
 * that are asked for together are one world: types of one package stand in one descriptor.
 */
export function loadDefinitions(
  protoFiles: string | readonly string[],
  style?: MessageStyle,
): Promise<PackageDefinition> {
  const files = typeof protoFiles === 'string' ? [protoFiles] : [...protoFiles]
  const chosen = style ?? styleOf(files[0] ?? '')
  const key = `${chosen} ${files.join(' ')}`
  let definitions = loaded.get(key)
  if (definitions === undefined) {
    definitions = import('@grpc/proto-loader').then(({ load }) =>
      load(files, {
        includeDirs: [PROTO_FOLDER],
        keepCase: false,
        enums: String,
        defaults: true,
        arrays: true,
        objects: false,
        oneofs: chosen === 'own',
        ...(chosen === 'own' ? { longs: Number } : {}),
      }),
    )
    loaded.set(key, definitions)
  }
  return definitions
}

/** Contracts of our own: their numbers are below 2^53, and their oneofs name what they hold. */
const styleOf = (protoFile: string): MessageStyle =>
  protoFile.startsWith('gatehouse/') ? 'own' : 'foreign'

/** The methods of a service, by their names; undefined where it is not defined. */
export const serviceOf = (
  definitions: PackageDefinition,
  service: string,
): Grpc.ServiceDefinition | undefined =>
  Object.hasOwn(definitions, service)
    ? (definitions[service] as Grpc.ServiceDefinition | undefined)
    : undefined

/** Encodes and decodes one type of message. */
export interface MessageCodec {
  encode(message: object): Buffer
  /** Throws on bytes that are no such message. */
  decode(bytes: Buffer): object
}

/** The codec of a message type, given by its full name. Rejects where it is not defined. */
export async function codecOf(protoFile: string, type: string): Promise<MessageCodec> {
  const definitions = await loadDefinitions(protoFile, 'own')
  const found = definitions[type] as MessageTypeDefinition<object, object> | undefined
  if (found === undefined) throw new Error(`${protoFile} does not define ${type}`)
  return { encode: message => found.serialize(message), decode: bytes => found.deserialize(bytes) }
}

/** A method as its contract defines it. */
export interface DefinedMethod {
  readonly request: MessageCodec
  readonly answer: MessageCodec
  readonly streams: { readonly requests: boolean; readonly answers: boolean }
  /** Descriptors (google.protobuf.FileDescriptorProto) of the file and of all that it imports. */
  readonly files: readonly Buffer[]
}

/**
 * Methods by `package.Service/Method`, out of files that are one world. Rejects where one is not
 * defined.
 */
export async function methodsOf(
  protoFiles: readonly string[],
  methods: readonly string[],
): Promise<readonly DefinedMethod[]> {
  const definitions = await loadDefinitions([...new Set(protoFiles)].sort(), 'own')
  return methods.map(method => {
    const [service = '', name = ''] = method.split('/')
    const found = serviceOf(definitions, service)?.[name] as Defined | undefined
    if (found === undefined) throw new Error(`no contract defines ${method}`)
    return {
      request: { encode: found.requestSerialize, decode: found.requestDeserialize },
      answer: { encode: found.responseSerialize, decode: found.responseDeserialize },
      streams: { requests: found.requestStream, answers: found.responseStream },
      files: found.requestType?.fileDescriptorProtos ?? [],
    }
  })
}

type Defined = Grpc.MethodDefinition<object, object> & {
  readonly requestType?: MessageTypeDefinition<object, object>
}

/** A file of definitions as reflection tells of it: all of one package. */
export interface DescriptorFile {
  readonly name: string
  /** Names of the files that it needs. */
  readonly needs: readonly string[]
  /** Full names of the services, methods, messages and enums in it. */
  readonly symbols: readonly string[]
  /** google.protobuf.FileDescriptorProto in its encoded form. */
  readonly encoded: Buffer
}

/** The descriptors of contracts that are one world, by their names. */
export async function descriptorsOf(
  protoFiles: readonly string[],
): Promise<ReadonlyMap<string, DescriptorFile>> {
  const definitions = await loadDefinitions([...new Set(protoFiles)].sort(), 'own')
  const codec = await codecOf(
    'google/protobuf/descriptor.proto',
    'google.protobuf.FileDescriptorProto',
  )
  const any = Object.values(definitions).find(each => 'fileDescriptorProtos' in each)
  const encoded = (any as MessageTypeDefinition<object, object> | undefined)?.fileDescriptorProtos
  const files = (encoded ?? []).map(bytes => codec.decode(bytes) as FileDescriptor)
  const homes = new Map<string, string>()
  for (const file of files) for (const name of symbolsIn(file)) homes.set(name, file.name)
  return new Map(
    files.map(file => {
      // The library leaves out which files one needs; who reads descriptors goes by that.
      const needs = new Set<string>()
      for (const type of typesUsedBy(file)) {
        const home = homes.get(type)
        if (home !== undefined && home !== file.name) needs.add(home)
      }
      const dependency = [...needs]
      const whole = codec.encode({ ...file, dependency })
      const symbols = symbolsIn(file)
      return [file.name, { name: file.name, needs: dependency, symbols, encoded: whole }]
    }),
  )
}

interface MessageDescriptor {
  readonly name: string
  readonly field: readonly { readonly typeName: string }[]
  readonly nestedType: readonly MessageDescriptor[]
  readonly enumType: readonly { readonly name: string }[]
}

interface FileDescriptor {
  readonly name: string
  readonly package: string
  readonly messageType: readonly MessageDescriptor[]
  readonly enumType: readonly { readonly name: string }[]
  readonly service: readonly {
    readonly name: string
    readonly method: readonly {
      readonly name: string
      readonly inputType: string
      readonly outputType: string
    }[]
  }[]
}

function symbolsIn(file: FileDescriptor): string[] {
  const symbols: string[] = []
  const add = (prefix: string, message: MessageDescriptor): void => {
    const name = `${prefix}.${message.name}`
    symbols.push(name)
    for (const nested of message.nestedType) add(name, nested)
    for (const each of message.enumType) symbols.push(`${name}.${each.name}`)
  }
  for (const message of file.messageType) add(file.package, message)
  for (const each of file.enumType) symbols.push(`${file.package}.${each.name}`)
  for (const service of file.service) {
    symbols.push(`${file.package}.${service.name}`)
    for (const { name } of service.method) symbols.push(`${file.package}.${service.name}.${name}`)
  }
  return symbols
}

/** Full names without the leading dot. */
function typesUsedBy(file: FileDescriptor): string[] {
  const types: string[] = []
  const look = ({ field, nestedType }: MessageDescriptor): void => {
    for (const { typeName } of field) types.push(typeName)
    nestedType.forEach(look)
  }
  file.messageType.forEach(look)
  for (const { method } of file.service) {
    for (const { inputType, outputType } of method) types.push(inputType, outputType)
  }
  return types.filter(Boolean).map(type => type.replace(/^\./, ''))
}
