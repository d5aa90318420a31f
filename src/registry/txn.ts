/**
 * Transactions: up to 128 operations on keys, nodes, services, checks and sessions, all or nothing.
 *
 * Owns which rule an operation stands for and what is said when one fails. There are no rules of
 * its own: a transaction is the single calls in their order, each on a view that shows what those
 * before it did. Semantics follow Consul's transaction API. Pure.
 */
import { type Bytes, fromText, toText } from '../base/bytes.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Capability, principalOf, type Who } from '../base/who.ts'
import { committedCell, Overlay } from '../store/overlay.ts'
import { type Committed, type Decision, isRefusal, type Op } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, checks } from '../store/tables/check.ts'
import { type KvRow, kv } from '../store/tables/kv.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import { type ServiceRow, services } from '../store/tables/service.ts'
import { lockDelays } from '../store/tables/session.ts'
import type { Reader } from '../store/view.ts'
import { deregister, setCheck, setNode, setService } from './catalog.ts'
import {
  deleteKv,
  deleteKvTree,
  type KvBounds,
  type KvPut,
  putKv,
  refuseKey,
  refuseKeyList,
  refuseValue,
} from './kv.ts'
import { destroySession } from './session.ts'

/** One operation; the verb is as it was given, and judged here. */
export type TxnOp =
  | {
      readonly kind: 'KV'
      readonly verb: string
      readonly key: Bytes
      readonly value: Buffer
      readonly flags: bigint
      readonly index: number
      readonly session: string
    }
  | {
      readonly kind: 'Node'
      readonly verb: string
      readonly node: NodeRow
      readonly index: number
    }
  | {
      readonly kind: 'Service'
      readonly verb: string
      readonly service: ServiceRow
      readonly index: number
    }
  | {
      readonly kind: 'Check'
      readonly verb: string
      readonly check: CheckRow
      readonly index: number
    }
  | { readonly kind: 'Session'; readonly verb: string; readonly id: string }

/** Why so many operations are too many; undefined where they are not. */
export function refuseTxnOps(count: number): Refusal | undefined {
  if (count <= limits.txnOps) return undefined
  const counts = `${count} > ${limits.txnOps}`
  return new Refusal(413, `Transaction contains too many operations (${counts})`)
}

/** What is said of an operation that is none or several. */
export const notOneOp = (position: number): Refusal => {
  const what = `operation ${position} must have one of KV, Node, Service, Check, Session`
  return new Refusal(400, `Failed to parse body: ${what}`)
}

const PUTS = ['set', 'cas', 'lock', 'unlock']

/** What is wrong with an operation on a key before any of the transaction is judged. */
export function refuseKvOp(
  { verb, key, value }: { readonly verb: string; readonly key: Bytes; readonly value: Buffer },
  bounds: KvBounds,
): Refusal | undefined {
  const text = toText(key)
  return (
    refuseValue(text, value, bounds) ?? (PUTS.includes(verb) ? refuseKey(text, bounds) : undefined)
  )
}

type OpOf<K extends TxnOp['kind']> = Extract<TxnOp, { readonly kind: K }>

/** What an operation gives: the row as it stood after it. */
export type TxnResult =
  | { readonly kind: 'KV'; readonly cell: Cell<KvRow>; readonly shows: 'value' | 'no value' }
  | { readonly kind: 'KV'; readonly absent: Bytes }
  | { readonly kind: 'Node'; readonly cell: Cell<NodeRow> }
  | { readonly kind: 'Service'; readonly cell: Cell<ServiceRow> }
  | { readonly kind: 'Check'; readonly cell: Cell<CheckRow> }

export interface TxnFault {
  readonly position: number
  readonly what: string
}

/** Results in the order of the operations, or what is wrong with each that failed. */
export type TxnAnswer =
  | { readonly results: readonly TxnResult[] }
  | { readonly faults: readonly TxnFault[] }

const READING: Readonly<Record<TxnOp['kind'], readonly string[]>> = {
  KV: ['get', 'get-tree', 'get-or-empty', 'check-index', 'check-session', 'check-not-exists'],
  Node: ['get'],
  Service: ['get'],
  Check: ['get'],
  Session: [],
}

/** Whether a transaction can change nothing, whatever is stored. */
export const isReadOnly = (ops: readonly TxnOp[]): boolean =>
  ops.every(({ kind, verb }) => READING[kind].includes(verb))

/**
 * Applies operations in order. One that fails makes nothing happen; the others are tried all the
 * same, so that everything that is wrong is told at once.
 */
export function transact(
  view: Reader,
  who: Who,
  ops: readonly TxnOp[],
  limit: number,
): Decision<TxnAnswer> {
  const refused = faultsOf(ops, op => refuseOp(who, op))
  if (refused.length > 0) return { txn: [], answer: { faults: refused } }
  const overlay = new Overlay(view)
  const results: TxnResult[] = []
  const faults = faultsOf(ops, op => {
    const done = applyOp(overlay, who, op, limit)
    if (typeof done === 'string') return done
    if (isRefusal(done)) return wordsOf(done)
    overlay.apply(done.txn)
    for (const result of done.shows(overlay)) results.push(result)
    return undefined
  })
  if (faults.length > 0) return { txn: [], answer: { faults } }
  const answer = (at: Committed): TxnAnswer => ({
    results: results.map(result => ('cell' in result ? withIndexes(result, at) : result)),
  })
  return { txn: overlay.ops, answer }
}

/** The result with the indexes that its row got when the whole was committed. */
const withIndexes = <T extends { readonly cell: Cell<unknown> }>(result: T, at: Committed): T => ({
  ...result,
  cell: committedCell(result.cell, at),
})

function faultsOf(
  ops: readonly TxnOp[],
  judge: (op: TxnOp) => string | undefined,
): readonly TxnFault[] {
  return ops.flatMap((op, position) => {
    const what = judge(op)
    return what === undefined ? [] : [{ position, what }]
  })
}

/** A single call's refusal in the words of a transaction, which is applied once, as a whole. */
const wordsOf = ({ text }: Refusal): string => text.replace(/^(raft )?apply failed: /, '')

/** What is wrong with an operation by itself, whatever is stored. */
function refuseOp(who: Who, op: TxnOp): string | undefined {
  if (op.kind !== 'KV') return undefined
  const { verb, key } = op
  if (!Object.hasOwn(kvVerbs, verb)) return `unknown KV operation: ${shown(verb)}`
  if (key === '' && verb !== 'delete-tree' && verb !== 'get-tree') return 'Must provide key'
  if (verb === 'get-tree') return refuseKeyList(who, key)?.text
  // What a check says of a key is as much as reading it, so it cannot pass for a missing one.
  const capability = checkedBy.get(verb)
  if (capability === undefined) return undefined
  const wanted = access(capability, 'key', toText(key))
  // Asked of the principal: a check uses no right, so that no condition on writes is about it.
  return principalOf(who).may(wanted) ? undefined : refuse(who, [wanted])?.text
}

/** That a key does not exist is for those alone who may write it, as in Consul. */
const checkedBy: ReadonlyMap<string, Capability> = new Map([
  ['check-index', 'read'],
  ['check-session', 'read'],
  ['check-not-exists', 'write'],
])

/** What an operation does and what it then shows; or why it fails. */
interface Done {
  readonly txn: readonly Op[]
  readonly shows: (view: Reader) => readonly TxnResult[]
}
type Outcome = Done | Refusal | string

function applyOp(view: Reader, who: Who, op: TxnOp, limit: number): Outcome {
  switch (op.kind) {
    case 'KV':
      return kvVerbs[op.verb as keyof typeof kvVerbs]({ view, who, op, limit })
    case 'Node':
      return applyNode(view, who, op)
    case 'Service':
      return applyService(view, who, op)
    case 'Check':
      return applyCheck(view, who, op)
    case 'Session': {
      if (op.verb !== 'delete') return unknownVerb(op)
      const done = destroySession(view, who, op.id)
      return isRefusal(done) ? done : { txn: done.txn, shows: nothing }
    }
  }
}

const SHOWN_CHARS = 64
const shown = (text: string): string => text.slice(0, SHOWN_CHARS)
const quoted = (text: string): string => JSON.stringify(text)
const unknownVerb = ({ kind, verb }: TxnOp): string => `unknown ${kind} operation: ${shown(verb)}`
const nothing = (): readonly TxnResult[] => []

// --- keys

interface KvCall {
  readonly view: Reader
  readonly who: Who
  readonly op: OpOf<'KV'>
  readonly limit: number
}

const keyOf = ({ op }: KvCall): string => quoted(toText(op.key))

const mayRead = (who: Who, key: Bytes): boolean => who.may(access('read', 'key', toText(key)))

/** The entry that the caller may see. */
function readable({ view, who, op: { key } }: KvCall): Cell<KvRow> | undefined {
  return mayRead(who, key) ? view.get(kv, key) : undefined
}

const shows = (cell: Cell<KvRow>, what: 'value' | 'no value'): Done => ({
  txn: [],
  shows: () => [{ kind: 'KV', cell, shows: what }],
})

/** Sets under conditions; `failed` is said when they do not hold. */
function setting(call: KvCall, more: Partial<KvPut>, failed: () => string): Outcome {
  const { view, who, op } = call
  const { key, value, flags } = op
  const conditions = { cas: undefined, acquire: undefined, release: undefined }
  const done = putKv(view, who, { key, value, flags, ...conditions, ...more })
  if (isRefusal(done)) return done
  if (done.answer !== true) return failed()
  const put = (after: Reader): readonly TxnResult[] => [
    { kind: 'KV', cell: after.get(kv, key)!, shows: 'no value' },
  ]
  return { txn: done.txn, shows: put }
}

function deleting({ view, who, op: { key } }: KvCall, cas: number | undefined): Outcome {
  const done = deleteKv(view, who, { key, cas })
  if (isRefusal(done)) return done
  if (done.answer !== true) return `failed to delete key ${quoted(toText(key))}, index is stale`
  return { txn: done.txn, shows: nothing }
}

function lockRefused(call: KvCall): string {
  const holder = call.view.get(kv, call.op.key)?.row.session ?? ''
  const isDelayed = holder === '' && call.view.get(lockDelays, call.op.key) !== undefined
  const why = isDelayed ? ' due to lock delay' : ', lock is already held'
  return `failed to lock key ${keyOf(call)}${why}`
}

const kvVerbs = {
  set: call => setting(call, {}, () => ''),
  cas: call =>
    setting(call, { cas: call.op.index }, () => `failed to set key ${keyOf(call)}, index is stale`),
  lock: call => setting(call, { acquire: call.op.session }, () => lockRefused(call)),
  unlock: call =>
    setting(
      call,
      { release: call.op.session },
      () => `failed to unlock key ${keyOf(call)}, lock isn't held, or is held by another session`,
    ),
  get(call) {
    const cell = readable(call)
    return cell === undefined ? `key ${keyOf(call)} doesn't exist` : shows(cell, 'value')
  },
  'get-or-empty'(call) {
    const cell = readable(call)
    if (cell !== undefined) return shows(cell, 'value')
    return { txn: [], shows: () => [{ kind: 'KV', absent: call.op.key }] }
  },
  'get-tree'({ view, who, op: { key } }) {
    const cells = view.prefix(kv, key).filter(cell => mayRead(who, cell.key))
    return { txn: [], shows: () => cells.map(cell => ({ kind: 'KV', cell, shows: 'value' })) }
  },
  'check-index'(call) {
    const cell = readable(call)
    if (cell === undefined) return `failed to check index, key ${keyOf(call)} doesn't exist`
    const { index } = call.op
    if (cell.modifyIndex === index) return shows(cell, 'no value')
    // What this transaction wrote has no index yet.
    const current = Number.isNaN(cell.modifyIndex) ? 'of this transaction' : cell.modifyIndex
    return `failed index check for key ${keyOf(call)}, current modify index ${current} != ${index}`
  },
  'check-session'(call) {
    const cell = readable(call)
    if (cell === undefined) return `failed to check session, key ${keyOf(call)} doesn't exist`
    const { session } = call.op
    if (cell.row.session === session) return shows(cell, 'no value')
    const both = `current session ${quoted(cell.row.session)} != ${quoted(shown(session))}`
    return `failed session check for key ${keyOf(call)}, ${both}`
  },
  'check-not-exists': call =>
    call.view.get(kv, call.op.key) === undefined
      ? { txn: [], shows: nothing }
      : `key ${keyOf(call)} exists`,
  delete: call => deleting(call, undefined),
  'delete-cas': call => deleting(call, call.op.index),
  'delete-tree'({ view, who, op: { key }, limit }) {
    const done = deleteKvTree(view, who, { prefix: key, limit })
    if (isRefusal(done)) return done
    if (!done.answer.more) return { txn: done.txn, shows: nothing }
    const why = `one transaction holds less than ${limit} keys`
    return `failed to delete tree ${quoted(toText(key))}: ${why}`
  },
} satisfies Readonly<Record<string, (call: KvCall) => Outcome>>

// --- nodes, services, checks: the same verbs

/** How one kind of rows is read and written. */
interface Rows<R> {
  readonly existing: Cell<R> | undefined
  readonly isReadable: (row: R) => boolean
  /** What failures call it. */
  readonly name: string
  readonly put: () => readonly Op[] | Refusal
  readonly drop: () => readonly Op[] | Refusal
  readonly shows: (view: Reader) => readonly Shown<R>[]
}

/** A result that is a row of the kind. */
type Shown<R> = Extract<TxnResult, { readonly cell: Cell<R> }>

function applyRow<R>(op: Exclude<TxnOp, { kind: 'KV' | 'Session' }>, rows: Rows<R>): Outcome {
  const { existing, name } = rows
  // What was written is shown to those alone who may read it: what changes nothing may need less.
  const shows = (after: Reader): readonly TxnResult[] =>
    rows.shows(after).filter(({ cell }) => rows.isReadable(cell.row as R))
  const put = (): Outcome => {
    const txn = rows.put()
    return isRefusal(txn) ? txn : { txn, shows }
  }
  const drop = (): Outcome => {
    const txn = rows.drop()
    return isRefusal(txn) ? txn : { txn, shows: nothing }
  }
  switch (op.verb) {
    case 'get':
      if (existing === undefined || !rows.isReadable(existing.row)) return `${name} doesn't exist`
      return { txn: [], shows: rows.shows }
    case 'set':
      return put()
    case 'cas':
      if ((existing?.modifyIndex ?? 0) === op.index) return put()
      return `failed to set ${name}, index is stale`
    case 'delete':
      return drop()
    case 'delete-cas':
      if (existing !== undefined && existing.modifyIndex === op.index) return drop()
      return `failed to delete ${name}, index is stale`
    default:
      return unknownVerb(op)
  }
}

const txnOf = (done: Decision<true> | Refusal): readonly Op[] | Refusal =>
  isRefusal(done) ? done : done.txn

function applyNode(view: Reader, who: Who, op: OpOf<'Node'>): Outcome {
  const { node } = op
  const name = node.node
  const find = (among: Reader): Cell<NodeRow> | undefined => {
    const isById = node.id !== '' && op.verb === 'get'
    if (isById) return among.find(nodes, 'id', fromText(node.id), 1)[0]
    return among.get(nodes, fold(name))
  }
  return applyRow(op, {
    existing: find(view),
    isReadable: row => who.may(access('read', 'node', row.node)),
    name: `node ${quoted(name)}`,
    put: () => txnOf(setNode(view, who, node)),
    drop: () => txnOf(deregister(view, who, { node: name, serviceId: '', checkId: '' })),
    shows: after => [{ kind: 'Node', cell: find(after)! }],
  })
}

function applyService(view: Reader, who: Who, op: OpOf<'Service'>): Outcome {
  const { service } = op
  const { node, id: serviceId } = service
  const key = onNode(node, serviceId)
  return applyRow(op, {
    existing: view.get(services, key),
    isReadable: row => who.may(access('read', 'service', row.name)),
    name: `service ${quoted(serviceId)} on node ${quoted(node)}`,
    put: () => txnOf(setService(view, who, service)),
    drop: () =>
      serviceId === ''
        ? new Refusal(400, 'Must provide service ID')
        : txnOf(deregister(view, who, { node, serviceId, checkId: '' })),
    shows: after => [{ kind: 'Service', cell: after.get(services, key)! }],
  })
}

function applyCheck(view: Reader, who: Who, op: OpOf<'Check'>): Outcome {
  const { check } = op
  const { node, checkId } = check
  const key = onNode(node, checkId)
  return applyRow(op, {
    existing: view.get(checks, key),
    isReadable: ({ serviceName }) =>
      who.may(
        serviceName === '' ? access('read', 'node', node) : access('read', 'service', serviceName),
      ),
    name: `check ${quoted(checkId)} on node ${quoted(node)}`,
    put: () => txnOf(setCheck(view, who, check)),
    drop: () =>
      checkId === ''
        ? new Refusal(400, 'Must provide check ID')
        : txnOf(deregister(view, who, { node, serviceId: '', checkId })),
    shows: after => [{ kind: 'Check', cell: after.get(checks, key)! }],
  })
}
