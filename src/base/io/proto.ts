/**
 * The only importer of @grpc/proto-loader: reads the contracts in `proto/`.
 *
 * Owns how messages look as objects. Nothing is generated: a file is read when it is first asked
 * for, and once.
 */
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader'
import { type CompletedFile, completed, type FileDescriptor } from '../descriptors.ts'
import { packageFile } from '../places.ts'
import { Encoders } from '../proto-encoder.ts'
import type { Grpc } from './grpc-js.ts'

const PROTO_FOLDER = packageFile('proto')

/**
 * `foreign`: enums by their names, 64-bit numbers as `Long` objects. `own`: those as numbers, and
 * oneofs name what they hold. `described`: names as the contracts spell them, for reflection alone.
 */
export type MessageStyle = 'foreign' | 'own' | 'described'

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
        keepCase: chosen === 'described',
        enums: String,
        // What a descriptor leaves out must stay out: it means something else than zero.
        defaults: chosen !== 'described',
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
  /(^|\/)gatehouse\//.test(protoFile) ? 'own' : 'foreign'

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
export async function codecOf(
  protoFile: string,
  type: string,
  style: MessageStyle = 'own',
): Promise<MessageCodec> {
  const definitions = await loadDefinitions(protoFile, style)
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
  const files = worldOf(protoFiles)
  const [definitions, completedFiles] = await Promise.all([
    loadDefinitions(files, 'own'),
    completedOf(files),
  ])
  const encoders = new Encoders(completedFiles.map(({ file }) => file))
  const answers = answerTypes(completedFiles)
  return methods.map(method => {
    const [service = '', name = ''] = method.split('/')
    const found = serviceOf(definitions, service)?.[name] as Defined | undefined
    const answer = answers.get(method)
    if (found === undefined || answer === undefined)
      throw new Error(`no contract defines ${method}`)
    return {
      request: { encode: found.requestSerialize, decode: found.requestDeserialize },
      answer: { encode: encoders.of(answer), decode: found.responseDeserialize },
      streams: { requests: found.requestStream, answers: found.responseStream },
      files: found.requestType?.fileDescriptorProtos ?? [],
    }
  })
}

const worldOf = (protoFiles: readonly string[]): string[] => [...new Set(protoFiles)].sort()

/** The full names of what methods answer, by `package.Service/Method`. */
const answerTypes = (files: readonly CompletedFile[]): ReadonlyMap<string, string> =>
  new Map(
    files.flatMap(({ file }) =>
      file.service.flatMap(service =>
        service.method.map(
          ({ name, outputType }) =>
            [`${file.package}.${service.name}/${name}`, outputType.slice(1)] as const,
        ),
      ),
    ),
  )

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
  const [files, codec] = await Promise.all([completedOf(worldOf(protoFiles)), descriptorCodec()])
  return files.reduce(
    (named, { file, symbols, needs }) =>
      named.set(file.name, { name: file.name, needs, symbols, encoded: codec.encode(file) }),
    new Map<string, DescriptorFile>(),
  )
}

const descriptorCodec = (): Promise<MessageCodec> =>
  codecOf('google/protobuf/descriptor.proto', 'google.protobuf.FileDescriptorProto', 'described')

/** What is being completed: who asks meanwhile shares it. It is kept for nobody who asks later. */
const completing = new Map<string, Promise<CompletedFile[]>>()

/** The descriptors of files that are one world, and of what they need. */
function completedOf(files: readonly string[]): Promise<CompletedFile[]> {
  const key = files.join(' ')
  let world = completing.get(key)
  if (world === undefined) {
    world = completeWorld(files).finally(() => completing.delete(key))
    completing.set(key, world)
  }
  return world
}

async function completeWorld(files: readonly string[]): Promise<CompletedFile[]> {
  const [definitions, codec] = await Promise.all([
    loadDefinitions(files, 'described'),
    descriptorCodec(),
  ])
  const any = Object.values(definitions).find(each => 'fileDescriptorProtos' in each)
  const encoded = (any as MessageTypeDefinition<object, object> | undefined)?.fileDescriptorProtos
  return completed((encoded ?? []).map(bytes => codec.decode(bytes) as FileDescriptor))
}
