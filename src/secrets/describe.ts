/**
 * Help and the OpenAPI document, from the declarations: neither can say what is not served.
 *
 * Owns both translations. Knows no path.
 */
import { vaultVersion } from '../base/version.ts'
import type { Answer, Engine, Operation, OperationSpec, PathSpec } from './declare.ts'
import type { Field, Fields } from './field.ts'
import { anyObject, nullable, object, text, texts } from './shape.ts'

/** A plain JSON object. */
type Json = Readonly<Record<string, unknown>>

/** What help answers: no envelope. */
export const helpShape = object({ help: text, see_also: nullable(texts), openapi: anyObject })

/** Help for a path below a mount; for the mount itself where no path is declared for it. */
export function helpAnswer(
  engine: Engine,
  specs: readonly PathSpec[],
  asked: { readonly mountPath: string; readonly below: string; readonly spec?: PathSpec },
): Answer {
  const { mountPath, below, spec } = asked
  const isOfMount = below === '' || spec === undefined
  const help = isOfMount ? helpOfEngine(engine, specs) : helpOfPath(below, spec)
  const shown = isOfMount ? specs : [spec]
  const bare = { help, see_also: null, openapi: document(pathItems(mountPath, shown)) }
  return { bare }
}

function helpOfEngine({ help }: Engine, specs: readonly PathSpec[]): string {
  const paths = specs.map(
    ({ pattern, help: { synopsis } }) => `    ${shownPattern(pattern)}\n        ${synopsis}\n\n`,
  )
  return `## DESCRIPTION\n\n${help}\n\n## PATHS\n\n${paths.join('')}`
}

function helpOfPath(below: string, { pattern, help, fields, operations }: PathSpec): string {
  const parts = offered(fields).map(
    ([name, field]) => `    ${name} (${field.type})\n        ${field.help}\n\n`,
  )
  const verbs = Object.entries(operations).map(
    ([operation, spec]) => `    ${operation}\n        ${spec.summary}\n\n`,
  )
  return [
    `Request:        ${below}\nMatching Route: ${shownPattern(pattern)}\n\n${help.synopsis}\n\n`,
    parts.length > 0 ? `## PARAMETERS\n\n${parts.join('')}` : '',
    `## OPERATIONS\n\n${verbs.join('')}`,
    help.description === '' ? '' : `## DESCRIPTION\n\n${help.description}\n`,
  ].join('')
}

const shownPattern = (pattern: string): string => pattern.replaceAll('*}', '}')

const offered = (fields: Fields) => Object.entries(fields).filter(([, f]) => !f.isDeprecated)

/** The whole document. */
export const document = (paths: Json): Json => ({
  openapi: '3.0.2',
  // Generators of clients look for this title.
  info: { title: 'HashiCorp Vault API', version: vaultVersion },
  paths,
})

/** The items of declared paths below a mount, whose path ends in a slash. */
export const pathItems = (mountPath: string, specs: readonly PathSpec[]): Json =>
  Object.fromEntries(
    specs.map(spec => [`/${mountPath}${shownPattern(spec.pattern)}`, pathItem(mountPath, spec)]),
  )

const METHODS: Partial<Record<Operation, string>> = {
  read: 'get',
  update: 'post',
  patch: 'patch',
  delete: 'delete',
}

function pathItem(mountPath: string, spec: PathSpec): Json {
  const { pattern, access, help, operations } = spec
  const open = [...`${mountPath}${pattern}`.matchAll(/\{(\w+)\*?\}/g)].map(([, name]) => name!)
  const methods = Object.entries(operations).flatMap(([operation, its]) => {
    const method = METHODS[operation as Operation]
    return method === undefined ? [] : [[method, operationItem(spec, its, operation, open)]]
  })
  // Lists are asked for by a verb that OpenAPI does not know, or by a parameter of reading.
  const lists = operations.list ?? operations.scan
  if (lists !== undefined && operations.read === undefined) {
    methods.push(['get', operationItem(spec, lists, 'list', open)])
  }
  return {
    description: help.synopsis,
    ...(open.length === 0 ? {} : { parameters: open.map(name => pathParameter(spec, name)) }),
    ...(spec.exists === undefined ? {} : { 'x-vault-createSupported': true }),
    ...(access === 'privileged' ? { 'x-vault-sudo': true } : {}),
    ...(access === 'open' || access === 'optional' ? { 'x-vault-unauthenticated': true } : {}),
    ...Object.fromEntries(methods),
  }
}

const pathParameter = ({ fields }: PathSpec, name: string): Json => ({
  ...{ name, in: 'path', required: true },
  description: fields[name]?.help ?? 'The path of the mount.',
  schema: { type: 'string' },
})

function operationItem(
  { fields, takesAnyField, operations }: PathSpec,
  { summary, answer }: OperationSpec,
  operation: string,
  open: readonly string[],
): Json {
  const own = offered(fields).filter(([name]) => !open.includes(name))
  const isWrite = operation === 'update' || operation === 'patch'
  const isListed = operations.list !== undefined || operations.scan !== undefined
  const query = isWrite ? [] : own.map(([name, field]) => queryParameter(name, field))
  if (operation === 'list') query.push(LIST_PARAMETER)
  else if (operation === 'read' && isListed) query.push({ ...LIST_PARAMETER, required: false })
  const type = operation === 'patch' ? 'application/merge-patch+json' : 'application/json'
  const body = { content: { [type]: { schema: bodySchema(own, takesAnyField === true) } } }
  return {
    summary,
    ...(query.length === 0 ? {} : { parameters: query }),
    ...(isWrite && (own.length > 0 || takesAnyField === true) ? { requestBody: body } : {}),
    responses: answer === undefined ? EMPTY : { 200: answerItem(answer.schema) },
  }
}

const LIST_PARAMETER = {
  ...{ name: 'list', in: 'query', required: true },
  description: 'Must be `true` for a list.',
  schema: { type: 'string', enum: ['true'] },
}
const EMPTY = { 204: { description: 'Done; there is nothing to say.' } }

const answerItem = (schema: Json): Json => ({
  description: 'What was asked for.',
  content: { 'application/json': { schema } },
})

const queryParameter = (name: string, { help, type }: Field<unknown>): Json => ({
  ...{ name, in: 'query', description: help, schema: schemaOf(type) },
})

function bodySchema(own: readonly (readonly [string, Field<unknown>])[], isOpen: boolean): Json {
  return {
    type: 'object',
    properties: Object.fromEntries(
      own.map(([name, { help, type, isSecret, initial }]) => [
        name,
        {
          ...{ ...schemaOf(type), description: help },
          ...(initial === undefined ? {} : { default: initial }),
          ...(isSecret ? { 'x-vault-displayAttrs': { sensitive: true } } : {}),
        },
      ]),
    ),
    ...(isOpen ? { additionalProperties: true } : {}),
  }
}

const SCHEMAS: Readonly<Record<string, Json>> = {
  list: { type: 'array', items: { type: 'string' } },
  kvpairs: { type: 'object', additionalProperties: { type: 'string' } },
  duration: { type: 'string', format: 'duration' },
  any: {},
}

const schemaOf = (type: string): Json => SCHEMAS[type] ?? { type }
