/**
 * Server reflection (github.com/grpc/grpc, doc/server-reflection.md): what is served, for programs
 * that have no contract at hand.
 *
 * Owns how questions are answered; contracts are read by base. There are no extensions.
 */
import type { DescriptorFile } from '../base/io/proto.ts'
import { anonymous, duplex, type GrpcMethod } from './declare.ts'

/** What there is to tell; known once the contracts are loaded. */
export interface ReflectionSource {
  services(): readonly string[]
  /** By their names. */
  files(): ReadonlyMap<string, DescriptorFile>
}

interface Question {
  readonly host: string
  readonly messageRequest?: string
  readonly fileByFilename?: string
  readonly fileContainingSymbol?: string
  readonly fileContainingExtension?: object
  readonly allExtensionNumbersOfType?: string
  readonly listServices?: string
}

type Answer = object

const VERSIONS = ['v1', 'v1alpha'] as const

/** The reflection service in both of its versions, which differ in their names alone. */
export const reflectionService = (source: ReflectionSource): readonly GrpcMethod[] =>
  VERSIONS.map(version =>
    duplex<Question, Answer>({
      protoFile: `grpc/reflection/${version}/reflection.proto`,
      path: `grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      summary: 'Which services there are, and how their messages look.',
      effect: 'reads',
      access: anonymous,
      open: (_call, out) => ({
        async onMessage(question) {
          out.send({
            validHost: question.host,
            originalRequest: question,
            ...answerOf(source, question),
          })
          await out.drained()
        },
        onEnd: () => out.end(),
      }),
    }),
  )

function answerOf(source: ReflectionSource, question: Question): Answer {
  const { fileByFilename, fileContainingSymbol, allExtensionNumbersOfType } = question
  switch (question.messageRequest) {
    case 'listServices': {
      const service = source.services().map(name => ({ name }))
      return { listServicesResponse: { service } }
    }
    case 'fileByFilename':
      return filesFrom(source.files(), fileByFilename ?? '')
    case 'fileContainingSymbol': {
      const home = [...source.files().values()].find(({ symbols }) =>
        symbols.includes(fileContainingSymbol ?? ''),
      )
      return home === undefined ? NOT_FOUND : filesFrom(source.files(), home.name)
    }
    case 'allExtensionNumbersOfType':
      return [...source.files().values()].some(({ symbols }) =>
        symbols.includes(allExtensionNumbersOfType ?? ''),
      )
        ? { allExtensionNumbersResponse: { baseTypeName: allExtensionNumbersOfType } }
        : NOT_FOUND
    case 'fileContainingExtension':
      return NOT_FOUND
    default:
      return { errorResponse: { errorCode: 3, errorMessage: 'no question of reflection' } }
  }
}

const NOT_FOUND: Answer = {
  errorResponse: { errorCode: 5, errorMessage: 'there is no such thing' },
}

/** A file with all that it needs, itself first. */
function filesFrom(files: ReadonlyMap<string, DescriptorFile>, name: string): Answer {
  const found = new Map<string, Buffer>()
  const add = (each: string): void => {
    const file = files.get(each)
    if (file === undefined || found.has(each)) return
    found.set(each, file.encoded)
    file.needs.forEach(add)
  }
  add(name)
  if (found.size === 0) return NOT_FOUND
  return { fileDescriptorResponse: { fileDescriptorProto: [...found.values()] } }
}
