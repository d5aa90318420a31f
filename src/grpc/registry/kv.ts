/**
 * gatehouse.v1.KV: the key/value store and its transactions.
 *
 * Owns parsing out of and rendering into messages; the rules are those of /v1/kv and /v1/txn.
 */
import type { PublicIndex } from '../../base/brand.ts'
import { type Bytes, toText } from '../../base/bytes.ts'
import type { Refusal } from '../../base/errors.ts'
import { after } from '../../base/eventually.ts'
import { type Access, access, type Caller } from '../../base/who.ts'
import { completeNode, completeService, refuseKind } from '../../registry/definition.ts'
import {
  conflicting,
  type KvPut,
  kvEntry,
  kvKeys,
  kvTree,
  missingKey,
  refuseKvPut,
} from '../../registry/kv.ts'
import {
  isReadOnly,
  notOneOp,
  refuseKvOp,
  refuseTxnOps,
  type TxnFault,
  type TxnOp,
  type TxnResult,
} from '../../registry/txn.ts'
import { Consistency } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { KvRow } from '../../store/tables/kv.ts'
import { type GrpcCall, GrpcFailure, type GrpcMethod, unary } from '../declare.ts'
import {
  type CheckMessage,
  checkGiven,
  checkMessage,
  type KvMessage,
  kvMessage,
  type NodeMessage,
  nodeGiven,
  nodeMessage,
  type ServiceMessage,
  serviceGiven,
  serviceMessage,
} from './messages.ts'
import { pageOf } from './page.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import {
  type ConsistencyMessage,
  consistencyOf,
  type ReadOptionsMessage,
  type ReadStateMessage,
  readAs,
  stateOf,
} from './reading.ts'
import { byRoom } from './rights.ts'
import { flagsGiven, keyMessage, keyOf, type Maybe } from './values.ts'

export type KvPorts = Pick<
  RegistryGrpcPorts,
  'registry' | 'asker' | 'authority' | 'random' | 'waits' | 'bounds' | 'identity'
>

interface KeyRequest {
  readonly key: string
  readonly rawKey: Buffer
}

interface GetRequest extends KeyRequest {
  readonly read: Maybe<ReadOptionsMessage>
}

interface PutRequest extends KeyRequest {
  readonly value: Buffer
  readonly flags: string
  readonly condition?: 'cas' | 'acquire' | 'release' | undefined
  readonly cas?: number
  readonly acquire?: string
  readonly release?: string
}

interface DeleteRequest extends KeyRequest {
  readonly cas?: number | undefined
  readonly recurse: boolean
}

interface ListRequest {
  readonly prefix: string
  readonly rawPrefix: Buffer
  readonly keysOnly: boolean
  readonly separator: string
  readonly pageSize: number
  readonly pageToken: string
  readonly read: Maybe<ReadOptionsMessage>
}

const PROTO = 'gatehouse/v1/kv.proto'
const keyIn = ({ key, rawKey }: KeyRequest): Bytes => keyOf(key, rawKey)
const nameOf = (request: KeyRequest): string => toText(keyIn(request))
const mayWrite = (request: KeyRequest): Access[] => [access('write', 'key', nameOf(request))]

/** The methods of the key/value store. */
export const kvService = (ports: KvPorts): readonly GrpcMethod[] => [
  getMethod(ports),
  putMethod(ports),
  deleteMethod(ports),
  listMethod(ports),
  txnMethod(ports),
]

const getMethod = (ports: KvPorts): GrpcMethod =>
  unary<GetRequest, { entry: KvMessage | null; state: ReadStateMessage }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.KV/Get', effect: 'reads' },
    summary: 'Reads one entry.',
    access: (request: GetRequest) => [access('read', 'key', nameOf(request))],
    nameOf,
    run(request, call) {
      const key = keyIn(request)
      if (key === '') return missingKey
      const read = readAs(ports, call, request.read, who => kvEntry(who, key))
      return after(read, read => {
        if (isRefusal(read)) return read
        const { value } = read
        return { entry: value === undefined ? null : kvMessage(value), state: read.state() }
      })
    },
  })

const putMethod = ({ registry, bounds }: KvPorts): GrpcMethod =>
  unary<PutRequest, { done: boolean; modifyIndex: number; lockIndex: number }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.KV/Put', effect: 'writes' },
    summary: 'Sets an entry, under a condition or with a lock where asked.',
    access: mayWrite,
    nameOf,
    async run(request, { who }) {
      const { condition } = request
      const put: KvPut = {
        key: keyIn(request),
        value: request.value,
        flags: flagsGiven(request.flags),
        cas: condition === 'cas' ? request.cas : undefined,
        acquire: condition === 'acquire' ? request.acquire : undefined,
        release: condition === 'release' ? request.release : undefined,
      }
      const done = refuseKvPut(put, bounds) ?? (await registry.setKv(who, put))
      if (isRefusal(done)) return done
      const { isDone, modifyIndex, lockIndex } = done
      return { done: isDone, modifyIndex, lockIndex: condition === 'acquire' ? lockIndex : 0 }
    },
  })

const deleteMethod = ({ registry }: KvPorts): GrpcMethod =>
  unary<DeleteRequest, { done: boolean }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.KV/Delete', effect: 'writes' },
    summary: 'Deletes an entry, or all entries under a prefix.',
    access: (request: DeleteRequest) =>
      request.recurse ? [access('write', 'key_prefix', nameOf(request))] : mayWrite(request),
    nameOf,
    async run(request, { who }) {
      const key = keyIn(request)
      const { cas, recurse } = request
      if (recurse && cas !== undefined) return conflicting('cas and recurse')
      if (!recurse && key === '') return missingKey
      const done = recurse
        ? await registry.deleteKvTree(who, key)
        : await registry.deleteKv(who, key, cas)
      return isRefusal(done) ? done : { done }
    },
  })

interface ListAnswer {
  readonly entries: readonly Partial<KvMessage>[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listMethod = (ports: KvPorts): GrpcMethod =>
  unary<ListRequest, ListAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.KV/List', effect: 'reads' },
    summary: 'The entries under a prefix, or their keys.',
    access: byRoom,
    nameOf: ({ prefix, rawPrefix }: ListRequest) => toText(keyOf(prefix, rawPrefix)),
    run: (request, call) =>
      request.keysOnly ? listKeys(ports, request, call) : listEntries(ports, request, call),
  })

async function listKeys(
  ports: KvPorts,
  request: ListRequest,
  call: GrpcCall,
): Promise<ListAnswer | Refusal> {
  const prefix = keyOf(request.prefix, request.rawPrefix)
  const separator = keyOf(request.separator, NO_BYTES)
  const read = await readAs(ports, call, request.read, who => kvKeys(who, prefix, separator))
  if (isRefusal(read)) return read
  const { items, nextPageToken } = await pageOf(read.value, request, { placeOf: key => key })
  return { entries: items.map(keyMessage), nextPageToken, state: read.state() }
}

async function listEntries(
  ports: KvPorts,
  request: ListRequest,
  call: GrpcCall,
): Promise<ListAnswer | Refusal> {
  const prefix = keyOf(request.prefix, request.rawPrefix)
  const read = await readAs(ports, call, request.read, who => kvTree(who, prefix))
  if (isRefusal(read)) return read
  const { items, nextPageToken } = await pageOf(read.value, request, {
    placeOf: ({ key }: Cell<KvRow>) => key,
    sizeOf: ({ key, row }) => key.length + row.value.length,
  })
  return { entries: items.map(kvMessage), nextPageToken, state: read.state() }
}

const NO_BYTES = Buffer.alloc(0)

// --- transactions

interface KvOpMessage extends KeyRequest {
  readonly verb: string
  readonly value: Buffer
  readonly flags: string
  readonly index: number
  readonly session: string
}

interface OpMessage {
  readonly op?: 'kv' | 'node' | 'service' | 'check' | 'session' | undefined
  readonly kv?: KvOpMessage
  readonly node?: { readonly verb: string; readonly node: Maybe<NodeMessage> }
  readonly service?: {
    readonly verb: string
    readonly node: string
    readonly service: Maybe<ServiceMessage>
  }
  readonly check?: { readonly verb: string; readonly check: Maybe<CheckMessage> }
  readonly session?: { readonly verb: string; readonly id: string }
}

interface TxnRequest {
  readonly ops: readonly OpMessage[]
  readonly consistency: ConsistencyMessage
}

interface TxnAnswer {
  readonly results: readonly object[]
  readonly state?: ReadStateMessage
}

const txnMethod = ({ registry, asker, bounds, identity }: KvPorts): GrpcMethod =>
  unary<TxnRequest, TxnAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.KV/Txn', effect: 'writes' },
    summary: 'Applies operations in order, all or none of them.',
    access: byRoom,
    async run(request, { who }) {
      const { ops: given } = request
      const tooMany = refuseTxnOps(given.length)
      if (tooMany !== undefined) return tooMany
      const ops = given.map((one, position) => opGiven(one, position, bounds))
      const bad = ops.find(isRefusal)
      if (bad !== undefined) return bad
      const message = (result: TxnResult): object => resultMessage(result, identity.datacenter)
      const consistency = consistencyOf(request.consistency)
      if (!isReadOnly(ops as TxnOp[])) {
        const done = await registry.transact(who, ops as TxnOp[])
        if (isRefusal(done)) return done
        if ('faults' in done.answer) throw failedBy(done.answer.faults, who)
        return { results: done.answer.results.map(message) }
      }
      const isStale = consistency === Consistency.stale
      const { answer, index } = await registry.transactReading(who, ops as TxnOp[], isStale)
      if ('faults' in answer) throw failedBy(answer.faults, who)
      const state = stateOf(index, who, isStale ? asker.age : undefined)
      return { results: answer.results.map(message), state }
    },
  })

/** What is wrong with each operation that failed; nothing was changed. */
function failedBy(faults: readonly TxnFault[], { lacked }: Caller): GrpcFailure {
  const [first] = faults
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : ''
  const text = `nothing was changed: operation ${first!.position}: ${first!.what}${more}`
  const fields = faults.map(({ position, what }) => ({ field: `ops[${position}]`, text: what }))
  // So that what was lacking is kept for its explanation.
  const code = lacked.count > 0 ? 'PERMISSION_DENIED' : 'ABORTED'
  return new GrpcFailure(code, text, { reason: 'TRANSACTION_FAILED', fields })
}

function opGiven(given: OpMessage, position: number, bounds: KvPorts['bounds']): TxnOp | Refusal {
  switch (given.op) {
    case 'kv':
      return kvOpGiven(given.kv!, bounds)
    case 'node': {
      const { verb, node } = given.node!
      if (!node) return notOneOp(position)
      return { kind: 'Node', verb, node: completeNode(nodeGiven(node)), index: node.modifyIndex }
    }
    case 'service': {
      const { verb, node, service } = given.service!
      if (!service) return notOneOp(position)
      const refused = refuseKind(service.kind)
      if (refused !== undefined) return refused
      const row = completeService(serviceGiven(node, service), false)
      return { kind: 'Service', verb, service: row, index: service.modifyIndex }
    }
    case 'check': {
      const { verb, check } = given.check!
      if (!check) return notOneOp(position)
      return { kind: 'Check', verb, check: checkGiven(check.node, check), index: check.modifyIndex }
    }
    case 'session':
      return { kind: 'Session', verb: given.session!.verb, id: given.session!.id }
    case undefined:
      return notOneOp(position)
  }
}

function kvOpGiven(given: KvOpMessage, bounds: KvPorts['bounds']): TxnOp | Refusal {
  const { verb, value, index, session } = given
  const op = { verb, key: keyIn(given), value, flags: flagsGiven(given.flags), index, session }
  return refuseKvOp(op, bounds) ?? { kind: 'KV', ...op }
}

const NO_INDEX = 0 as PublicIndex

function resultMessage(result: TxnResult, datacenter: string): object {
  switch (result.kind) {
    case 'KV': {
      if (!('absent' in result)) {
        const { cell, shows } = result
        const row = shows === 'value' ? cell.row : { ...cell.row, value: NO_BYTES }
        return { kv: kvMessage({ ...cell, row }) }
      }
      const row = { value: NO_BYTES, flags: 0n, session: '', lockIndex: 0 }
      const none = { key: result.absent, row, createIndex: NO_INDEX, modifyIndex: NO_INDEX }
      return { kv: kvMessage(none) }
    }
    case 'Node':
      return { node: nodeMessage(result.cell, datacenter) }
    case 'Service':
      return { service: serviceMessage(result.cell) }
    case 'Check':
      return { check: checkMessage(result.cell) }
  }
}
