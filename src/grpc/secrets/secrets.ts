/**
 * `gatehouse.v1.Secrets`: any path of the secrets, several reads at once, and key-value secrets
 * with types.
 *
 * Owns the methods and the paging of lists. What a path may be and who may use it is the room's.
 */
import { Refusal } from '../../base/errors.ts'
import { mapEventually } from '../../base/eventually.ts'
import { limits } from '../../base/limits.ts'
import { codeNumbers } from '../../base/rpc.ts'
import type { Operation } from '../../secrets/declare.ts'
import type { JsonObject } from '../../secrets/field.ts'
import { decidedInside, type GrpcCall, GrpcFailure, type GrpcMethod, unary } from '../declare.ts'
import { endingOf } from '../status.ts'
import {
  type Asked,
  Door,
  dataBytes,
  dataIn,
  objectOf,
  requestOf,
  type SecretsGrpcPorts,
  type Told,
} from './door.ts'
import { answerMessage, type SecretAnswer } from './messages.ts'

export interface ReadSecretRequest {
  readonly path: string
  readonly data: Buffer
  readonly namespace: string
  readonly wrapTtlSeconds?: number
}

export interface ListSecretsRequest extends ReadSecretRequest {
  readonly pageSize: number
  readonly pageToken: string
}

interface ListSecretsAnswer {
  readonly requestId: string
  readonly keys: readonly string[]
  readonly keyInfo: Buffer
  readonly warnings: readonly string[]
  readonly nextPageToken: string
}

interface ReadManyRequest {
  readonly reads: readonly ReadSecretRequest[]
}

interface ReadResult {
  readonly answer?: SecretAnswer
  readonly failure?: { code: number; message: string; requestId: string }
}

interface LeaseRequest {
  readonly leaseId: string
  readonly incrementSeconds?: number
  readonly namespace: string
}

interface KvPlace {
  readonly mount: string
  readonly path: string
  readonly namespace: string
}

interface KvVersion {
  readonly version: number
  readonly created_time: string
  readonly deletion_time: string
  readonly destroyed: boolean
  readonly custom_metadata: Readonly<Record<string, string>> | null
}

const protoFile = 'gatehouse/v1/secrets.proto'
const SERVICE = 'gatehouse.v1.Secrets'
const named = ({ path }: { readonly path: string }): string => path

/** The methods. */
export function secretsService(ports: SecretsGrpcPorts): readonly GrpcMethod[] {
  const door = new Door(ports)
  const pathMethod = (
    [name, operation]: readonly [string, Operation],
    summary: string,
    effect: 'reads' | 'writes',
  ) =>
    unary<ReadSecretRequest, SecretAnswer>({
      ...{ protoFile, path: `${SERVICE}/${name}`, summary, effect, access: decidedInside },
      nameOf: named,
      run: (request, call) => onPath(door, call, operation, request),
    })
  const listMethod = (name: string, operation: 'list' | 'scan', summary: string) =>
    unary<ListSecretsRequest, ListSecretsAnswer>({
      ...{ protoFile, path: `${SERVICE}/${name}`, summary, effect: 'reads', access: decidedInside },
      nameOf: named,
      run: (request, call) => list(door, call, operation, request),
    })
  return [
    pathMethod(['Read', 'read'], 'Reads a path.', 'reads'),
    listMethod('List', 'list', 'The names below a path.'),
    listMethod('Scan', 'scan', 'The names below a path and below its folders.'),
    pathMethod(['Write', 'update'], 'Writes to a path.', 'writes'),
    pathMethod(['Patch', 'patch'], 'Merges into what a path holds.', 'writes'),
    pathMethod(['Delete', 'delete'], 'Deletes what a path holds.', 'writes'),
    unary<ReadManyRequest, { results: ReadResult[] }>({
      ...{ protoFile, path: `${SERVICE}/ReadMany`, effect: 'reads', access: decidedInside },
      summary: 'Reads several paths.',
      run: (request, call) => readMany(door, call, request),
    }),
    ...leaseMethods(door),
    ...kvMethods(door),
  ]
}

async function onPath(
  door: Door,
  call: GrpcCall,
  operation: Operation,
  { path, namespace, data: bytes, wrapTtlSeconds = 0 }: ReadSecretRequest,
): Promise<SecretAnswer | Refusal> {
  const data = objectOf(bytes)
  if (data instanceof Refusal) return data
  const more = { wrapTtlSeconds, bodySizeBytes: bytes.length }
  const told = await door.get(call, { operation, path, namespace, data, ...more })
  return told instanceof Refusal ? told : answerMessage(told)
}

// --- lists

async function list(
  door: Door,
  call: GrpcCall,
  operation: 'list' | 'scan',
  { path, namespace, data: bytes, pageSize, pageToken }: ListSecretsRequest,
): Promise<ListSecretsAnswer | Refusal> {
  const given = objectOf(bytes)
  if (given instanceof Refusal) return given
  const size = Math.min(pageSize || limits.secretsListNames, limits.secretsListNames)
  // A limit that nobody asked for might be more than a policy gives.
  const page = {
    ...(pageSize > 0 && { limit: size }),
    ...(pageToken !== '' && { after: pageToken }),
  }
  const data: JsonObject = { ...given, ...page }
  const told = await door.ask(call, { operation, path, namespace, data })
  if (told instanceof Refusal) {
    const isOver = pageToken !== '' && told.status === 404
    return isOver ? lastPage(call.id) : told
  }
  const { keys = [], key_info: info = {} } = dataIn<ListData>(told.answer)
  const isPaged = pagesItself(told)
  const behind = pageToken === '' || isPaged ? keys : keysBehind(keys, pageToken)
  const shown = behind.slice(0, size)
  const { pageLimit = Number.POSITIVE_INFINITY } = told.trail
  const isFull = (isPaged && pageSize > 0 && shown.length >= size) || shown.length >= pageLimit
  const isCut = shown.length < behind.length || isFull
  const about = shown.filter(key => Object.hasOwn(info, key)).map(key => [key, info[key]])
  return {
    requestId: told.id,
    keys: shown,
    keyInfo: about.length === 0 ? NO_BYTES : dataBytes({ data: Object.fromEntries(about) }),
    warnings: told.answer.warnings ?? [],
    nextPageToken: isCut ? (shown.at(-1) ?? '') : '',
  }
}

/** Where a page ended with the last name there is, the next one is empty: HTTP says 404. */
const lastPage = (requestId: string): ListSecretsAnswer => ({
  ...{ requestId, keys: [], keyInfo: NO_BYTES, warnings: [], nextPageToken: '' },
})

interface ListData {
  readonly keys: readonly string[]
  readonly key_info: Readonly<Record<string, unknown>>
}

const NO_BYTES = Buffer.alloc(0)

/** Whether the path itself leaves out what stands before a page. */
const pagesItself = ({ trail }: Told): boolean =>
  Object.hasOwn(trail.plan?.matched?.spec.fields ?? {}, 'after')

function keysBehind(keys: readonly string[], key: string): readonly string[] {
  const at = keys.indexOf(key)
  return at === -1 ? keys.filter(one => one > key) : keys.slice(at + 1)
}

// --- several at once

async function readMany(
  door: Door,
  call: GrpcCall,
  { reads }: ReadManyRequest,
): Promise<{ results: ReadResult[] } | Refusal> {
  if (reads.length > limits.secretsReadMany) {
    return new Refusal(400, `reads: more than ${limits.secretsReadMany}`)
  }
  let sizeBytes = 0
  const work = async (read: ReadSecretRequest, id: string): Promise<ReadResult> => {
    try {
      if (sizeBytes > limits.secretsReadManySizeBytes) throw TOO_LARGE
      const data = objectOf(read.data)
      if (data instanceof Refusal) return failed(data, id)
      const { path, namespace, wrapTtlSeconds = 0 } = read
      const asked = { operation: 'read' as const, path, namespace, data, wrapTtlSeconds, id }
      const told = await door.get(call, asked)
      if (told instanceof Refusal) return failed(told, id)
      const answer = answerMessage(told)
      sizeBytes += answer.data.length + answer.body.length
      return sizeBytes > limits.secretsReadManySizeBytes ? failed(TOO_LARGE, id) : { answer }
    } catch (error) {
      return failed(error, id)
    }
  }
  let next = 0
  const results = await mapEventually(reads, read => work(read, `${call.id}-${next++}`), {
    atOnce: READS_AT_ONCE,
    look: 1,
  })
  return { results }
}

const READS_AT_ONCE = 16
const TOO_LARGE = new GrpcFailure('RESOURCE_EXHAUSTED', 'the answer holds no more: read it alone')

function failed(error: unknown, requestId: string): ReadResult {
  const { code, text } = endingOf(error)
  return { failure: { code: codeNumbers[code], message: text, requestId } }
}

// --- leases

function leaseMethods(door: Door): GrpcMethod[] {
  const method = (name: string, verb: 'renew' | 'revoke', summary: string) =>
    unary<LeaseRequest, SecretAnswer>({
      ...{
        protoFile,
        path: `${SERVICE}/${name}`,
        summary,
        effect: 'writes',
        access: decidedInside,
      },
      async run({ leaseId, incrementSeconds = 0, namespace }, call) {
        const data = {
          lease_id: leaseId,
          ...(incrementSeconds > 0 && { increment: incrementSeconds }),
        }
        const path = `sys/leases/${verb}`
        const told = await door.get(call, { operation: 'update', path, namespace, data })
        return told instanceof Refusal ? told : answerMessage(told)
      },
    })
  return [
    method('RenewLease', 'renew', 'Lets what was given with a lease live on.'),
    method('RevokeLease', 'revoke', 'Takes back what was given with a lease.'),
  ]
}

// --- key-value secrets of version 2

const kvPath = (what: 'data' | 'metadata', { mount, path }: KvPlace): string =>
  `${mount || 'secret'}/${what}/${path}`

function kvMethods(door: Door): GrpcMethod[] {
  return [
    unary<KvPlace & { version: number }, object>({
      ...{ protoFile, path: `${SERVICE}/GetKv`, effect: 'reads', access: decidedInside },
      summary: 'Reads a version of a key-value secret.',
      nameOf: named,
      run: (request, call) => getKv(door, call, request),
    }),
    unary<KvPlace & { data: Buffer; cas?: number; _cas?: string }, object>({
      ...{ protoFile, path: `${SERVICE}/PutKv`, effect: 'writes', access: decidedInside },
      summary: 'Writes a version of a key-value secret.',
      nameOf: named,
      run: (request, call) => putKv(door, call, request),
    }),
    unary<KvPlace & { pageSize: number; pageToken: string }, ListSecretsAnswer>({
      ...{ protoFile, path: `${SERVICE}/ListKv`, effect: 'reads', access: decidedInside },
      summary: 'The names of key-value secrets.',
      nameOf: named,
      run: (request, call) =>
        list(door, call, 'list', { ...request, path: kvPath('metadata', request), data: NO_BYTES }),
    }),
  ]
}

/** Asks of a secret, unless its mount has no versions: there the path means another one. */
async function askKv(door: Door, call: GrpcCall, asked: Asked): Promise<Told | Refusal> {
  const request = requestOf(call, asked)
  if (request instanceof Refusal) return request
  const plan = door.permits(request)
  // Whoever may not is refused on the usual way, and not told what is mounted.
  const { mount } = plan instanceof Refusal ? {} : plan
  if (mount !== undefined && (mount.type !== 'kv' || mount.options?.version !== '2')) {
    return NOT_VERSION_2
  }
  return door.ask(call, asked)
}

async function getKv(door: Door, call: GrpcCall, request: KvPlace & { version: number }) {
  const { namespace, version } = request
  const data: JsonObject = version === 0 ? {} : { version }
  const path = kvPath('data', request)
  const told = await askKv(door, call, { operation: 'read', path, namespace, data })
  if (told instanceof Refusal) return told
  const read = dataIn<{ data: object | null; metadata: KvVersion }>(told.answer)
  const { data: value, metadata } = read
  if (metadata === undefined) return new Refusal(404, `no value found at ${path}`)
  if (told.status === 404 || value === null) {
    const { version: number, destroyed, deletion_time: at } = metadata
    const how = destroyed ? 'was destroyed' : `was deleted at ${at}`
    throw new GrpcFailure('NOT_FOUND', `version ${number} of ${path} ${how}`, {
      reason: destroyed ? 'DESTROYED' : 'DELETED',
      metadata: { version: String(number), deletion_time: at },
    })
  }
  return { data: kvData(told), version: versionMessage(metadata), requestId: told.id }
}

const NOT_VERSION_2 = new Refusal(400, 'the mount is none of key-value secrets of version 2: Read')

/** The value alone, with all digits of its numbers. */
function kvData({ answer }: Told): Buffer {
  const text = dataBytes(answer)
  const read = objectOf(text)
  if (read instanceof Refusal) return NO_BYTES
  return dataBytes({ data: read.data as Readonly<Record<string, unknown>> })
}

async function putKv(
  door: Door,
  call: GrpcCall,
  request: KvPlace & { data: Buffer; cas?: number; _cas?: string },
) {
  const { namespace, data: bytes, cas, _cas: isCas } = request
  const value = objectOf(bytes)
  if (value instanceof Refusal) return value
  const options = isCas === undefined || cas === undefined ? {} : { options: { cas } }
  const path = kvPath('data', request)
  const data = { data: value, ...options } as JsonObject
  const told = await askKv(door, call, { operation: 'update', path, namespace, data })
  if (told instanceof Refusal) return told
  const written = dataIn<KvVersion>(told.answer)
  return { ...versionMessage(written), warnings: told.answer.warnings ?? [] }
}

const versionMessage = (row: Partial<KvVersion>) => ({
  version: row.version ?? 0,
  createdTime: row.created_time ?? '',
  deletionTime: row.deletion_time ?? '',
  customMetadata: row.custom_metadata ?? {},
})
