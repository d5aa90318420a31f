/**
 * The path of transactions: `/v1/txn`.
 *
 * Owns the operations' wire form, their bounds (a value counts by its bytes, not by its base64) and
 * the rendering of results. What the operations mean is src/registry/txn.ts.
 */
import { publicIndex } from '../../base/brand.ts'
import { fromText } from '../../base/bytes.ts'
import { notServed, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { renderInSlices } from '../../base/slices.ts'
import { access, type Caller, isAnonymous } from '../../base/who.ts'
import { completeNode, completeService } from '../../registry/definition.ts'
import type { KvBounds } from '../../registry/kv.ts'
import type { Registry } from '../../registry/room.run.ts'
import {
  isReadOnly,
  notOneOp,
  refuseKvOp,
  refuseTxnOps,
  type TxnFault,
  type TxnOp,
  type TxnResult,
} from '../../registry/txn.ts'
import { isRefusal } from '../../store/store.ts'
import { type Contact, contactHeaders, contactJson, contactOf } from '../contact.ts'
import { acting, definePath, json, type PathDeclaration, type Reply } from '../declare.ts'
import { flag } from '../query.ts'
import {
  base64,
  bool,
  int,
  list,
  map,
  nullable,
  type Of,
  object,
  optional,
  text,
  uint64,
} from '../shape.ts'
import { readCheck, refusePeer, registeredCheckShape } from './catalog.ts'
import { entryJson, entryShape, renderEntry } from './kv.ts'
import { enterpriseFields, localityShape, readService, serviceFields } from './service-body.ts'
import { checkShape, nodeShape, serviceShape, type Wire } from './wire.ts'

const kvOpShape = object({
  Verb: text,
  Key: text,
  Value: base64,
  Flags: uint64,
  Index: uint64,
  Session: text,
  ...enterpriseFields,
})

const nodeOpShape = object({
  Verb: text,
  Node: object({
    ID: text,
    Node: text,
    Address: text,
    Datacenter: text,
    TaggedAddresses: map(text),
    Meta: map(text),
    PeerName: text,
    Locality: localityShape,
    CreateIndex: int,
    ModifyIndex: int,
    Partition: enterpriseFields.Partition,
  }),
})

const serviceOpShape = object({
  Verb: text,
  Node: text,
  Service: object({
    ...serviceFields,
    Service: text,
    ContentHash: text,
    Datacenter: text,
    PeerName: text,
    CreateIndex: int,
    ModifyIndex: int,
  }),
})

const opShape = object({
  KV: nullable(kvOpShape),
  Node: nullable(nodeOpShape),
  Service: nullable(serviceOpShape),
  Check: nullable(object({ Verb: text, Check: registeredCheckShape })),
  Session: nullable(object({ Verb: text, Session: object({ ID: text }, { ignoreUnknown: true }) })),
})

type GivenOp = Of<typeof opShape>

const answerShape = object({
  Results: list(
    object({
      KV: optional(entryShape),
      Node: optional(nodeShape),
      Service: optional(serviceShape),
      Check: optional(checkShape),
    }),
  ),
  Errors: nullable(list(text)),
  Index: optional(int),
  LastContact: optional(int),
  KnownLeader: optional(bool),
  ConsistencyLevel: optional(text),
  NotModified: optional(bool),
  Backend: optional(int),
  ResultsFilteredByACLs: optional(bool),
})

const faultShape = object({
  Results: nullable(list(text)),
  Errors: list(object({ OpIndex: int, What: text })),
})

/** Bounds on what comes in. */
export interface TxnBounds extends KvBounds {
  /** The largest body, as the configuration has it. */
  readonly txnBodySizeBytes: number
}

/** The largest body that is read: every legal value fits into it in base64. */
export const txnBodyLimit = ({ kvValueSizeBytes, txnBodySizeBytes }: TxnBounds): number =>
  Math.max(txnBodySizeBytes, Math.ceil(kvValueSizeBytes / 3) * 4 + limits.txnBodySlackSizeBytes)

/** The path of transactions. */
export function txnPaths(room: Registry, wire: Wire, bounds: TxnBounds): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/txn',
      operations: {
        PUT: acting({
          summary: 'Applies operations in order, all or none of them.',
          query: {
            stale: flag('Reads alone: from this server at once, however old its view.'),
            consistent: flag(
              'Reads alone: after the store has confirmed that the view is current.',
            ),
          },
          body: { shape: list(opShape), failure: 'Failed to parse body' },
          bodySizeBytes: txnBodyLimit(bounds),
          answers: {
            200: { json: answerShape, help: 'A result of each operation that has one.' },
            409: { json: faultShape, help: 'What is wrong; nothing was changed.' },
          },
          access: () => RIGHTS,
          async run({ body, who, query, age }) {
            const ops = readOps(body, bounds)
            if (isRefusal(ops)) return ops
            if (query.stale && query.consistent) return bothModes
            if (!isReadOnly(ops)) {
              const done = await room.transact(who, ops)
              if (isRefusal(done)) return done
              if ('faults' in done.answer) return failed(done.answer.faults)
              return succeeded(done.answer.results, wire, '', {})
            }
            const { answer, index } = await room.transactReading(who, ops, query.stale)
            if ('faults' in answer) return failed(answer.faults)
            const level = query.stale ? 'stale' : query.consistent ? 'consistent' : 'leader'
            const contact = contactOf(age, query.stale)
            const meta = metaOf(index, level, contact, who)
            return succeeded(answer.results, wire, meta, contactHeaders(contact))
          },
        }),
      },
    }),
  ]
}

const bothModes = new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')

const RIGHTS = [
  access('read', 'key'),
  access('list', 'key'),
  access('write', 'key'),
  access('read', 'node'),
  access('write', 'node'),
  access('read', 'service'),
  access('write', 'service'),
  access('write', 'session'),
]

/** What a read says of itself, behind its results. */
const metaOf = (index: number, level: string, contact: Contact, who: Caller): string =>
  `,"Index":${index},${JSON.stringify(contactJson(contact)).slice(1, -1)},"ConsistencyLevel":"${level}",` +
  `"NotModified":false,"Backend":0,"ResultsFilteredByACLs":${hasFiltered(who)}`

const hasFiltered = (who: Caller): boolean => who.lacked.count > 0 && !isAnonymous(who)

async function succeeded(
  results: readonly TxnResult[],
  wire: Wire,
  meta: string,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  const pieces = await renderInSlices(results, result => resultJson(result, wire))
  const body = Buffer.concat([
    Buffer.from('{"Results":['),
    ...pieces,
    Buffer.from(`],"Errors":null${meta}}`),
  ])
  return { status: 200, body, headers }
}

const failed = (faults: readonly TxnFault[]): Reply =>
  json(
    {
      Results: null,
      Errors: faults.map(({ position, what }) => ({ OpIndex: position, What: what })),
    },
    409,
  )

const NO_VALUE = Buffer.alloc(0)
const NO_INDEX = publicIndex(0)

function resultJson(result: TxnResult, wire: Wire): string {
  switch (result.kind) {
    case 'KV': {
      if (!('absent' in result)) {
        const { cell, shows } = result
        return `{"KV":${shows === 'value' ? renderEntry(cell) : entryJson(cell, NO_VALUE)}}`
      }
      const row = { value: NO_VALUE, flags: 0n, session: '', lockIndex: 0 }
      const none = { key: result.absent, row, createIndex: NO_INDEX, modifyIndex: NO_INDEX }
      return `{"KV":${entryJson(none, NO_VALUE)}}`
    }
    case 'Node':
      return `{"Node":${wire.node(result.cell)}}`
    case 'Service':
      return `{"Service":${wire.service(result.cell)}}`
    case 'Check':
      return `{"Check":${wire.check(result.cell)}}`
  }
}

function readOps(given: readonly GivenOp[], bounds: KvBounds): readonly TxnOp[] | Refusal {
  const tooMany = refuseTxnOps(given.length)
  if (tooMany !== undefined) return tooMany
  const ops: TxnOp[] = []
  for (const [position, one] of given.entries()) {
    const op = readOp(one, position, bounds)
    if (isRefusal(op)) return op
    ops.push(op)
  }
  return ops
}

function readOp(given: GivenOp, position: number, bounds: KvBounds): TxnOp | Refusal {
  const kinds = Object.values(given).filter(one => one !== undefined)
  if (kinds.length !== 1) return notOneOp(position)
  if (given.KV !== undefined) return readKvOp(given.KV, bounds)
  if (given.Node !== undefined) return readNodeOp(given.Node)
  if (given.Service !== undefined) return readServiceOp(given.Service)
  if (given.Check !== undefined) {
    const { Verb, Check } = given.Check
    const check = refusePeer(Check.PeerName) ?? readCheck(Check.Node, Check)
    return isRefusal(check) ? check : { kind: 'Check', verb: Verb, check, index: Check.ModifyIndex }
  }
  const { Verb, Session } = given.Session!
  return { kind: 'Session', verb: Verb, id: Session.ID }
}

function readKvOp(given: Of<typeof kvOpShape>, bounds: KvBounds): TxnOp | Refusal {
  const { Verb: verb, Key, Value: value, Flags: flags, Index, Session: session } = given
  const op = { verb, key: fromText(Key), value, flags, index: Number(Index), session }
  return refuseKvOp(op, bounds) ?? { kind: 'KV', ...op }
}

function readNodeOp({ Verb, Node }: Of<typeof nodeOpShape>): TxnOp | Refusal {
  const refusal =
    refusePeer(Node.PeerName) ?? (Node.Locality === undefined ? undefined : notServed('Locality'))
  if (refusal !== undefined) return refusal
  const node = completeNode({
    node: Node.Node,
    id: Node.ID,
    address: Node.Address,
    taggedAddresses: Node.TaggedAddresses,
    meta: Node.Meta,
  })
  return { kind: 'Node', verb: Verb, node, index: Node.ModifyIndex }
}

function readServiceOp({ Verb, Node, Service }: Of<typeof serviceOpShape>): TxnOp | Refusal {
  const given = refusePeer(Service.PeerName) ?? readService(Node, Service.Service, Service)
  if (isRefusal(given)) return given
  const service = completeService(given, false)
  return { kind: 'Service', verb: Verb, service, index: Service.ModifyIndex }
}
