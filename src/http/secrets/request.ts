/**
 * Requests to the secrets: from the wire to what the room is asked.
 *
 * Owns verbs, headers, the one canonical form of a path, and where the data of a request stands
 * (Vault's API: the body of what is posted, the query of everything else). Decides nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { SecretsRequest } from '../../secrets/decide.ts'
import { type Operation, type RequestFacts, rawPaths, rawTypes } from '../../secrets/declare.ts'
import { type Json, type JsonObject, toDurationMs } from '../../secrets/field.ts'
import { canonicalPath, dataOf, isWrite, NO_DATA, pathFor } from '../../secrets/request.ts'
import { forwarderOf } from '../forwarded.ts'
import { readOpenPart } from '../path.ts'

/** Where all paths begin. */
export const PREFIX = '/v1/'

/** What is asked for by HEAD too. */
const HEADED = /(^|\/)(sys\/health$|acme\/)/

const VERBS: ReadonlyMap<string, Operation> = new Map([
  ['GET', 'read'],
  ['HEAD', 'read'],
  ['LIST', 'list'],
  ['SCAN', 'scan'],
  ['POST', 'update'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
  ['HELP', 'help'],
])

/** A request as far as its head tells. */
export interface Head extends Omit<SecretsRequest, 'data'> {
  /** What the query says. */
  readonly query: JsonObject
  /** Of the body, in lower case and without parameters; '' where none is read. */
  readonly mediaType: string
}

/** Takes the head of a request apart; `id` is what its answer says. A refusal may have no text. */
export function readHead(
  message: IncomingMessage,
  response: ServerResponse,
  id: string,
): Head | Refusal {
  const { url = '', method = '', headers } = message
  const mark = url.indexOf('?')
  const sentPath = mark === -1 ? url : url.slice(0, mark)
  const name = pathIn(sentPath)
  if (name instanceof Refusal) return name
  const query = mark === -1 ? NO_DATA : queryData(url.slice(mark + 1))
  const operation = operationOf(method, query)
  if (operation instanceof Refusal) return operation
  if (method === 'HEAD' && !HEADED.test(name)) return new Refusal(405, '')
  const path = pathFor(operation, name)
  if (path instanceof Refusal) return path
  const isFolder = operation === 'list' || operation === 'scan'
  const writes = isWrite(operation)
  const wrapTtlMs = wrapTtlOf(headers['x-vault-wrap-ttl'])
  if (wrapTtlMs instanceof Refusal) return wrapTtlMs
  const facts = new SentFacts(message, response, { id, wrapTtlMs, isList: isFolder })
  // What was decoded, or left out, made it shorter.
  if (name.length !== sentPath.length - PREFIX.length) Object.assign(facts, { sentPath })
  return {
    operation,
    path,
    namespace: textOf(headers['x-vault-namespace']),
    token: tokenIn(headers),
    authorization: headers.authorization,
    facts,
    query,
    mediaType: writes ? sentType(headers['content-type']) : '',
  }
}

/** The same with what its body says, or its query where no body is read. */
export function withBody(head: Head, body: Buffer): SecretsRequest | Refusal {
  const { operation, path, namespace, token, authorization, facts, query, mediaType } = head
  const isRaw = rawTypes.has(mediaType) || (operation === 'update' && rawPaths.has(path))
  const data = isWrite(operation) && !isRaw ? bodyData(mediaType, body, operation) : query
  if (data instanceof Refusal) return data
  if (!isRaw) return { operation, path, namespace, token, authorization, data, facts }
  Object.assign(facts, { body, mediaType })
  return { operation, path, namespace, token, authorization, data: NO_DATA, facts }
}

/** What a request says beside its fields; headers are copied for who looks at them. */
class SentFacts implements RequestFacts {
  readonly id: string
  readonly remote: string
  readonly forwarder: string | undefined
  readonly wrapTtlMs: number | undefined
  readonly isList: boolean
  readonly isHead: boolean
  readonly #sent: IncomingMessage['headers']
  readonly #response: ServerResponse
  #headers: Record<string, string | undefined> | undefined
  #over: AbortController | undefined

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    { id, wrapTtlMs, isList }: Pick<RequestFacts, 'id' | 'wrapTtlMs' | 'isList'>,
  ) {
    const { method, headers, socket } = message
    this.id = id
    this.remote = socket.remoteAddress ?? ''
    this.forwarder = forwarderOf(message)?.nodeId
    this.wrapTtlMs = wrapTtlMs
    this.isList = isList
    this.isHead = method === 'HEAD'
    this.#sent = headers
    this.#response = response
  }

  get headers(): Record<string, string | undefined> {
    this.#headers ??= withoutTokens(this.#sent)
    return this.#headers
  }

  get signal(): AbortSignal {
    if (this.#over === undefined) {
      const over = new AbortController()
      this.#over = over
      if (this.#response.destroyed) over.abort()
      else this.#response.once('close', () => over.abort())
    }
    return this.#over.signal
  }
}

const textOf = (value: string | string[] | undefined): string =>
  (Array.isArray(value) ? value[0] : value) ?? ''

/** Nothing in it has to be decoded, and no letter takes more than a byte. */
const PLAIN = /^[A-Za-z0-9_.~\-/:@!$&'()*+,;=]*$/

/** The part behind `/v1/`, decoded once. The same text is routed, authorised and executed. */
function pathIn(raw: string): string | Refusal {
  const plain = raw.slice(PREFIX.length)
  // Most are spelt as they are: no segment is empty, or begins with a dot.
  const isPlain = PLAIN.test(plain) && !raw.includes('//') && !raw.includes('/.')
  return isPlain && plain.length <= limits.secretPathSizeBytes ? plain : decodedPath(raw)
}

function decodedPath(raw: string): string | Refusal {
  const part = readOpenPart(raw, PREFIX)
  if (part instanceof Refusal) return new Refusal(400, '')
  return canonicalPath(part.name)
}

const BEARER = 'Bearer '

/** The token that a request shows, '' for none: a secret. */
function tokenIn(headers: IncomingMessage['headers']): string {
  const own = textOf(headers['x-vault-token'])
  if (own !== '') return own
  const { authorization = '' } = headers
  if (authorization.startsWith(BEARER)) return authorization.slice(BEARER.length)
  // The registry's name of the same header, for who speaks with both halves.
  return textOf(headers['x-consul-token'])
}

function withoutTokens(headers: IncomingMessage['headers']): Record<string, string | undefined> {
  const kept: Record<string, string | undefined> = {}
  for (const name of Object.keys(headers)) {
    if (name !== 'x-vault-token' && name !== 'authorization' && name !== 'x-consul-token') {
      kept[name] = textOf(headers[name])
    }
  }
  return kept
}

/** The query as data: a name that stands there several times has a list. */
function queryData(raw: string): JsonObject {
  if (raw === '') return NO_DATA
  const data: Record<string, Json> = Object.create(null) as Record<string, Json>
  for (const [name, value] of new URLSearchParams(raw)) {
    const known = data[name]
    if (known === undefined) data[name] = value
    else if (Array.isArray(known)) known.push(value)
    else data[name] = [known, value]
  }
  return data
}

const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True']
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False']

/** What a verb means: a read may ask for a list by its query. */
function operationOf(method: string, query: JsonObject): Operation | Refusal {
  const operation = VERBS.get(method)
  if (operation === undefined) return new Refusal(405, '')
  if (operation !== 'read') return operation
  if (query.help !== undefined) return 'help'
  if (query === NO_DATA) return operation
  const asked = (['list', 'scan'] as const).filter(name => query[name] !== undefined)
  let found: Operation = 'read'
  for (const name of asked) {
    const value = query[name] as string
    if (TRUE.includes(value)) {
      if (found !== 'read') return new Refusal(400, '')
      found = name
    } else if (!FALSE.includes(value)) return new Refusal(400, '')
  }
  return found
}

const MERGE_PATCH = 'application/merge-patch+json'

/** The media type that the client sent, in lower case and without parameters. */
function sentType(header = ''): string {
  if (header === JSON_TYPE) return header
  return header.split(';', 1)[0]!.trim().toLowerCase()
}

const JSON_TYPE = 'application/json'

/** The data of a body: JSON, or a form where the client says so and it is no JSON. */
function bodyData(mediaType: string, body: Buffer, operation: Operation): JsonObject | Refusal {
  if (operation === 'patch') {
    if (mediaType === '') return new Refusal(400, 'mime: no media type')
    if (mediaType !== MERGE_PATCH) {
      const text = `PATCH requires Content-Type of ${MERGE_PATCH}, provided ${mediaType}`
      return new Refusal(415, text)
    }
  }
  return dataOf(mediaType, body)
}

function wrapTtlOf(header: string | string[] | undefined): number | undefined | Refusal {
  const text = textOf(header)
  if (text === '') return undefined
  const ttlMs = toDurationMs(text)
  const prefix = 'error parsing X-Vault-Wrap-TTL header: '
  if (ttlMs === undefined) return new Refusal(400, `${prefix}not a duration`)
  if (ttlMs < 0) return new Refusal(400, `${prefix}requested wrap ttl cannot be negative`)
  return ttlMs === 0 ? undefined : ttlMs
}
