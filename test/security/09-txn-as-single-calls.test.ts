/**
 * A transaction allows what its operations allow as single calls, no more and no less, whatever
 * the rights of whoever sends it. (The class of CVE-2021-38698.)
 */
import { inspect } from 'node:util'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { type Access, access, type Who } from '../../src/base/who.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { deleteKv, deleteKvTree, kvEntry, kvTree, putKv } from '../../src/registry/kv.ts'
import { destroySession } from '../../src/registry/session.ts'
import { type TxnOp, type TxnResult, transact } from '../../src/registry/txn.ts'
import type { View } from '../../src/store/ask.ts'
import { answerOf } from '../../src/store/local.ts'
import { Recorder } from '../../src/store/recorder.ts'
import type { Decision, Op } from '../../src/store/store.ts'
import type { Version } from '../../src/store/view.ts'
import type { Draw } from '../fake/random.ts'
import { casesOf } from '../fuzz/cases.ts'
import { applyOps, checkRow, nodeRow, only, serviceRow } from '../registry/rules.ts'
import { untilBudget } from '../run/budget.ts'
import {
  committedOn,
  drawGranted,
  drawState,
  type Granted,
  KEYS,
  NODES,
  SERVICES,
  SESSIONS,
} from './granted.ts'

const LIMIT = 100

/** What a single call makes of a view: operations, and what it shows; or its refusal. */
type Single = (view: Version, who: Who) => Decision<unknown> | Refusal

interface Pair {
  readonly op: TxnOp
  readonly single: Single
}

const shown = (keys: readonly string[]): Decision<unknown> => ({ txn: [], answer: keys })

const kvReads: Record<string, (key: string) => Single> = {
  get: key => (view, who) => {
    const question = kvEntry(who, key)
    return question instanceof Refusal ? question : shown(keysOf(question.read(view as View)))
  },
  'get-tree': prefix => (view, who) => {
    const question = kvTree(who, prefix)
    if (question instanceof Refusal) return question
    return shown(question.read(view as View).map(cell => cell.key))
  },
  'check-session': key => kvReads.get!(key),
}

const keysOf = (cell: { readonly key: string } | undefined): string[] =>
  cell === undefined ? [] : [cell.key]

function drawKv(draw: Draw): Pair {
  const key = draw.pick(KEYS)
  const verb = draw.pick([
    ...['set', 'delete', 'delete-tree', 'get', 'get-tree', 'check-session', 'check-not-exists'],
  ])
  const value = Buffer.from('y')
  const put = { key, value, flags: 0n, cas: undefined, acquire: undefined, release: undefined }
  const op: TxnOp = { kind: 'KV', verb, key, value, flags: 0n, index: 0, session: '' }
  const single: Single =
    kvReads[verb]?.(key) ??
    ((view, who) => {
      if (verb === 'delete') return deleteKv(view, who, { key, cas: undefined })
      if (verb === 'delete-tree') return deleteKvTree(view, who, { prefix: key, limit: LIMIT })
      if (verb === 'set') return putKv(view, who, put)
      // That a key is not there is for who may write it.
      const done = putKv(view, who, { ...put, cas: 0 })
      return done instanceof Refusal || done.answer === true ? withoutOps(done) : STALE
    })
  return { op, single }
}

const STALE = new Refusal(409, 'the condition does not hold')
const withoutOps = <A>(done: Decision<A> | Refusal): Decision<unknown> | Refusal =>
  done instanceof Refusal ? done : shown([])

function drawCatalog(draw: Draw): Pair {
  const kind = draw.pick(['Node', 'Service', 'Check'] as const)
  const isDelete = draw.chance(40)
  const verb = isDelete ? 'delete' : 'set'
  const [name, serviceName] = [draw.pick(NODES), draw.pick(SERVICES)]
  const node = nodeRow(name, { address: draw.pick(['10.0.0.1', '10.0.0.2']) })
  // An id of one service with the name of another: it takes its place.
  const service = serviceRow(name, draw.pick(SERVICES), { name: serviceName })
  const check = checkRow(name, draw.pick(['c', ...SERVICES.map(one => `c-${one}`)]), {
    serviceId: draw.chance(50) ? serviceName : '',
  })
  const op: TxnOp =
    kind === 'Node'
      ? { kind, verb, node, index: 0 }
      : kind === 'Service'
        ? { kind, verb, service, index: 0 }
        : { kind, verb, check, index: 0 }
  const single: Single = (view, who) => {
    if (isDelete) {
      const serviceId = kind === 'Service' ? service.id : ''
      const checkId = kind === 'Check' ? check.checkId : ''
      return deregister(view, who, { node: name, serviceId, checkId })
    }
    return register(view, who, {
      node: kind === 'Node' ? node : nodeRow(name, { address: '10.0.0.1' }),
      skipNodeUpdate: kind !== 'Node',
      service: kind === 'Service' ? service : undefined,
      checks: kind === 'Check' ? [check] : [],
    })
  }
  return { op, single }
}

function drawSession(draw: Draw): Pair {
  const id = draw.pick(SESSIONS)
  const single: Single = (view, who) => destroySession(view, who, id)
  return { op: { kind: 'Session', verb: 'delete', id }, single }
}

function drawPair(draw: Draw): Pair {
  if (draw.chance(50)) return drawKv(draw)
  return draw.chance(80) ? drawCatalog(draw) : drawSession(draw)
}

interface Case {
  readonly who: Granted
  readonly state: Version
  readonly pairs: readonly Pair[]
}

const make = (draw: Draw): Case => ({
  who: drawGranted(draw),
  state: drawState(draw),
  pairs: Array.from({ length: 1 + draw.below(4) }, () => drawPair(draw)),
})

const counted = { refused: 0, applied: 0 }

/** The single calls one after the other, each on what those before it made. */
function singly({ who, state, pairs }: Case): Map<number, string> {
  const refusals = new Map<number, string>()
  const view = state.cut(undefined)
  for (const [position, { op, single }] of pairs.entries()) {
    const done = single(view, who)
    if (!(done instanceof Refusal)) applyOps(view, done.txn)
    else if (done.status === 403) refusals.set(position, textOf(op, done.text))
  }
  return refusals
}

/** A read of one key that is refused passes for a missing key in a transaction, as in Consul. */
const textOf = (op: TxnOp, text: string): string =>
  op.kind === 'KV' && op.verb === 'get' ? `key "${op.key}" doesn't exist` : text

function run(one: Case): void {
  const { who, state, pairs } = one
  const refusals = singly(one)
  const ops = pairs.map(({ op }) => op)
  const { txn, answer } = transact(new Recorder(state), who, ops, LIMIT)
  const done = answerOf(answer, committedOn(state))
  const whats = new Map(
    'faults' in done ? done.faults.map(({ position, what }) => [position, what]) : [],
  )
  for (const [position, text] of refusals) {
    const what = whats.get(position)
    // What is wrong in itself is told before anything is applied, and of that alone.
    const isToldFirst = [...whats.values()].every(isStatic)
    if (what !== text && !(what === undefined && whats.size > 0 && isToldFirst)) {
      throw new Error(`${position} is "${what}" and singly "${text}"`)
    }
  }
  for (const [position, what] of whats) {
    if (what.startsWith('Permission denied') && !refusals.has(position) && whats.size === 1) {
      throw new Error(`${position} alone is refused: ${what}`)
    }
  }
  if (refusals.size > 0) {
    counted.refused++
    if (whats.size === 0 || txn.length > 0) throw new Error('it was applied')
    return
  }
  if ('results' in done) {
    counted.applied++
    for (const result of done.results) if ('cell' in result) mustBeReadable(who, result)
  }
}

/** Refusals that are given before anything is tried. */
const isStatic = (what: string): boolean => /'key:(list|read|write)' on/.test(what)

function mustBeReadable(who: Who, result: TxnResult): void {
  if (!('cell' in result)) return
  const wanted = wantedFor(result)
  if (wanted !== undefined && !who.may(wanted)) throw new Error(`${wanted.name} is shown`)
}

function wantedFor(result: Extract<TxnResult, { cell: unknown }>): Access | undefined {
  switch (result.kind) {
    case 'KV':
      // Who writes a key is told of it, without its value.
      return result.shows === 'no value' ? undefined : access('read', 'key', result.cell.key)
    case 'Node':
      return access('read', 'node', result.cell.row.node)
    case 'Service':
      return access('read', 'service', result.cell.row.name)
    case 'Check': {
      const { node, serviceName } = result.cell.row
      if (serviceName === '') return access('read', 'node', node)
      return access('read', 'service', serviceName)
    }
  }
}

const show = ({ who, pairs }: Case): string => inspect([who.rules, pairs.map(one => one.op)])

t.test('generated: rights, states and operations', async t => {
  const cases = await untilBudget('transactions by rights', 50_000, casesOf({ make, run, show }))
  t.ok(counted.refused > cases / 10, `${counted.refused} of ${cases} were refused`)
  t.ok(counted.applied > cases / 20, `${counted.applied} of ${cases} were applied`)
})

const denials = (ops: readonly TxnOp[], ...rights: string[]): string[] => {
  const state = drawState({ below: () => 0, chance: () => true, pick: choices => choices[0]! })
  const { txn, answer } = transact(new Recorder(state), only(...rights), ops, LIMIT)
  const done = answerOf(answer, committedOn(state))
  if ('faults' in done) return done.faults.map(({ position, what }) => `${position}: ${what}`)
  return [`applied ${(txn as readonly Op[]).length}`]
}

const kvOp = (verb: string, key: string): TxnOp => ({
  ...{ kind: 'KV', verb, key, flags: 0n, index: 0, session: '' },
  value: Buffer.from('y'),
})
const lacks = (right: string, name: string): string =>
  `Permission denied: anonymous token lacks permission '${right}' on "${name}"`

t.test('attack: what is refused alone, between what is allowed', async t => {
  const service = serviceRow('n', 'web', { name: 'web2' })
  const cases: readonly [TxnOp, string][] = [
    [kvOp('set', 'b'), lacks('key:write', 'b')],
    [kvOp('delete-tree', 'a/1'), lacks('key:write', 'a/1')],
    [kvOp('check-not-exists', 'b'), lacks('key:write', 'b')],
    [{ kind: 'Service', verb: 'set', service, index: 0 }, lacks('service:write', 'web')],
    [{ kind: 'Session', verb: 'delete', id: 's' }, lacks('session:write', 'n')],
  ]
  for (const [op, what] of cases) {
    const around = [kvOp('set', 'a'), op, kvOp('set', 'a')]
    const rights = ['key:write a', 'service:write web2']
    t.strictSame(denials(around, ...rights), [`1: ${what}`], `${op.kind} ${op.verb}`)
  }
})

t.test('near miss: the same with the rights that it takes', async t => {
  const service = serviceRow('n', 'web', { name: 'web2' })
  const ops: readonly TxnOp[] = [
    kvOp('set', 'b'),
    kvOp('delete-tree', 'a/1'),
    { kind: 'Service', verb: 'set', service, index: 0 },
    { kind: 'Session', verb: 'delete', id: 's' },
  ]
  const rights = ['key:write b', 'key_prefix:write a/1', 'service:write web', 'service:write web2']
  t.match(denials(ops, ...rights, 'session:write n'), [/^applied [1-9]/])
})
