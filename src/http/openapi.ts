/**
 * OpenAPI 3.1 from the declarations: a document that cannot say what the server does not do.
 *
 * Owns the translation. Knows no path.
 */
import { productVersion } from '../base/version.ts'
import type { Answer, Body, Operation, PathDeclaration } from './declare.ts'
import type { Parameters } from './query.ts'

/** A plain JSON object. */
type Json = Readonly<Record<string, unknown>>

/** The document of these paths. */
export function openapi(paths: readonly PathDeclaration[]): Json {
  return {
    openapi: '3.1.0',
    info: { title: 'gatehouse', version: productVersion },
    paths: Object.fromEntries(paths.map(one => [one.path, pathItem(one)])),
  }
}

function pathItem({ path, where, operations }: PathDeclaration): Json {
  const open = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const parameters = open.map(name => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const items = Object.entries(operations).map(([method, operation]) => [
    method.toLowerCase(),
    operationItem(operation, open),
  ])
  return {
    ...(parameters.length > 0 ? { parameters } : {}),
    ...Object.fromEntries(items),
    'x-answered-by': where === 'agent' ? 'the agent that is asked' : 'a server',
  }
}

function operationItem(operation: Operation, open: readonly string[]): Json {
  const rights = operation.access(open[0] === undefined ? '' : `{${open[0]}}`)
  const body = 'body' in operation ? operation.body : undefined
  return {
    summary: operation.summary,
    parameters: Object.entries(operation.query as Parameters).map(([name, { help, schema }]) => ({
      name,
      in: 'query',
      description: help,
      schema,
    })),
    ...(body === undefined ? {} : { requestBody: bodyItem(body) }),
    responses: Object.fromEntries(
      Object.entries(operation.answers).map(([status, answer]) => [status, answerItem(answer)]),
    ),
    'x-rights': rights.map(({ capability, resource, name }) =>
      name === '' ? `${resource}:${capability}` : `${resource}:${capability} on ${name}`,
    ),
  }
}

function bodyItem(body: NonNullable<Body<unknown>>): Json {
  if ('raw' in body) {
    return { description: body.raw, content: { 'application/octet-stream': {} } }
  }
  if ('stream' in body) {
    return { description: body.stream, content: { 'application/octet-stream': {} } }
  }
  const content = { 'application/json': { schema: body.shape.schema } }
  return { required: body.optional !== true, content }
}

const TEXT = { 'text/plain': { schema: { type: 'string' } } }

function answerItem(answer: Answer): Json {
  if ('empty' in answer) return { description: answer.empty }
  if ('text' in answer) return { description: answer.text, content: TEXT }
  if ('stream' in answer) {
    const { stream, type } = answer
    return { description: stream, content: { [type]: { schema: { type: 'string' } } } }
  }
  const { json, help, orText } = answer
  const content = { 'application/json': { schema: json.schema } }
  if (orText === undefined) return { description: help, content }
  return { description: `${help} ${orText}`, content: { ...content, ...TEXT } }
}
