/**
 * Transactions: what each verb gives and says, and that they are the single calls in their order.
 */
import t from 'tap'
import { publicIndex, revision } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { type Access, Caller, Lacked, ownCall, type Who } from '../../src/base/who.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { deleteKv, deleteKvTree, putKv } from '../../src/registry/kv.ts'
import { destroySession } from '../../src/registry/session.ts'
import { isReadOnly, type TxnAnswer, type TxnOp, transact } from '../../src/registry/txn.ts'
import { answerOf } from '../../src/store/local.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { type Decision, type Op, put } from '../../src/store/store.ts'
import { checks } from '../../src/store/tables/check.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { fold, onNode } from '../../src/store/tables/names.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { services } from '../../src/store/tables/service.ts'
import { lockDelays } from '../../src/store/tables/session.ts'
import type { Version } from '../../src/store/view.ts'
import { type Draw, seeded } from '../fake/random.ts'
import {
  applyOps,
  checkRow,
  everybody,
  nodeRow,
  only,
  putCheck,
  putNode,
  putService,
  putSession,
  serviceRow,
  viewOf,
} from './rules.ts'

const LIMIT = 4_096

type KvOp = Extract<TxnOp, { kind: 'KV' }>
const kvOp = (verb: string, key: string, more: Partial<KvOp> = {}): TxnOp => ({
  ...{ kind: 'KV', verb, key, value: Buffer.from('v'), flags: 0n, index: 0, session: '' },
  ...more,
})
const nodeOp = (verb: string, node: string, index = 0): TxnOp => ({
  ...{ kind: 'Node', verb, node: nodeRow(node), index },
})
const serviceOp = (verb: string, node: string, id: string, index = 0): TxnOp => ({
  ...{ kind: 'Service', verb, service: serviceRow(node, id), index },
})
const checkOp = (verb: string, node: string, id: string, index = 0): TxnOp => ({
  ...{ kind: 'Check', verb, check: checkRow(node, id), index },
})
const sessionOp = (verb: string, id: string): TxnOp => ({ kind: 'Session', verb, id })

const entry = (key: string, more: Partial<KvRow> = {}): Op =>
  put(kv, key, { value: Buffer.from('v'), flags: 0n, session: '', lockIndex: 0, ...more })

interface Ran {
  readonly txn: readonly Op[]
  readonly answer: TxnAnswer
}

function run(view: Version, ops: readonly TxnOp[], who: Who = everybody): Ran {
  const { txn, answer } = transact(new Recorder(view), who, ops, LIMIT)
  const at = { revision: revision(view.revision + 1), index: publicIndex(view.revision + 1) }
  return { txn, answer: answerOf(answer, at) }
}

/** The answer as lines: what each result shows, or where it fails and why. */
function told(before: readonly Op[], ops: readonly TxnOp[], who?: Who): string[] {
  const { answer } = run(viewOf(...before), ops, who)
  if ('faults' in answer) return answer.faults.map(({ position, what }) => `${position}: ${what}`)
  return answer.results.map(result => {
    if ('absent' in result) return `no ${result.absent}`
    const { key, createIndex, modifyIndex } = result.cell
    const what = result.kind === 'KV' ? ` ${result.shows}` : ''
    const shown = key.replaceAll('\0\0', '|')
    return `${result.kind} ${shown} ${createIndex} ${modifyIndex}${what}`
  })
}

t.test('what each verb on keys gives', async t => {
  const s = putSession('s', 'n')
  const held = entry('h', { session: 's', lockIndex: 3 })
  const cases: [string, Op[], TxnOp[], string[]][] = [
    ['set', [], [kvOp('set', 'k')], ['KV k 1 1 no value']],
    ['set the same again', [entry('k')], [kvOp('set', 'k')], ['KV k 1 1 no value']],
    ['get', [entry('k')], [kvOp('get', 'k')], ['KV k 1 1 value']],
    ['get nothing', [], [kvOp('get', 'k')], [`0: key "k" doesn't exist`]],
    ['get or empty', [], [kvOp('get-or-empty', 'k')], ['no k']],
    [
      'get tree',
      [entry('a/1'), entry('a/2')],
      [kvOp('get-tree', 'a/')],
      ['KV a/1 1 1 value', 'KV a/2 2 2 value'],
    ],
    ['get all', [entry('a')], [kvOp('get-tree', '')], ['KV a 1 1 value']],
    ['cas 0', [], [kvOp('cas', 'k')], ['KV k 1 1 no value']],
    ['cas', [entry('k')], [kvOp('cas', 'k', { index: 1, flags: 2n })], ['KV k 1 2 no value']],
    [
      'cas fails',
      [entry('k')],
      [kvOp('cas', 'k', { index: 9 })],
      ['0: failed to set key "k", index is stale'],
    ],
    ['lock', [s], [kvOp('lock', 'k', { session: 's' })], ['KV k 2 2 no value']],
    ['lock without', [], [kvOp('lock', 'k')], ['0: missing session']],
    ['lock by nobody', [], [kvOp('lock', 'k', { session: 'x' })], ['0: invalid session "x"']],
    [
      'lock a held key',
      [s, held, putSession('o', 'n')],
      [kvOp('lock', 'h', { session: 'o' })],
      ['0: failed to lock key "h", lock is already held'],
    ],
    [
      'lock too early',
      [s, put(lockDelays, 'k', { delayMs: 1 })],
      [kvOp('lock', 'k', { session: 's' })],
      ['0: failed to lock key "k" due to lock delay'],
    ],
    ['unlock', [s, held], [kvOp('unlock', 'h', { session: 's' })], ['KV h 2 3 no value']],
    [
      'unlock another',
      [s, held],
      [kvOp('unlock', 'h', { session: 'o' })],
      [`0: failed to unlock key "h", lock isn't held, or is held by another session`],
    ],
    ['check index', [entry('k')], [kvOp('check-index', 'k', { index: 1 })], ['KV k 1 1 no value']],
    [
      'check a wrong index',
      [entry('k')],
      [kvOp('check-index', 'k', { index: 2 })],
      ['0: failed index check for key "k", current modify index 1 != 2'],
    ],
    [
      'check the index of nothing',
      [],
      [kvOp('check-index', 'k')],
      [`0: failed to check index, key "k" doesn't exist`],
    ],
    [
      'check session',
      [s, held],
      [kvOp('check-session', 'h', { session: 's' })],
      ['KV h 2 2 no value'],
    ],
    [
      'check a wrong session',
      [s, held],
      [kvOp('check-session', 'h', { session: 'o' })],
      ['0: failed session check for key "h", current session "s" != "o"'],
    ],
    [
      'check the session of nothing',
      [],
      [kvOp('check-session', 'h')],
      [`0: failed to check session, key "h" doesn't exist`],
    ],
    ['check not exists', [], [kvOp('check-not-exists', 'k')], []],
    ['check that it does', [entry('k')], [kvOp('check-not-exists', 'k')], ['0: key "k" exists']],
    ['delete', [entry('k')], [kvOp('delete', 'k')], []],
    ['delete nothing', [], [kvOp('delete', 'k')], []],
    ['delete cas', [entry('k')], [kvOp('delete-cas', 'k', { index: 1 })], []],
    [
      'delete cas fails',
      [entry('k')],
      [kvOp('delete-cas', 'k', { index: 2 })],
      ['0: failed to delete key "k", index is stale'],
    ],
    ['delete tree', [entry('k')], [kvOp('delete-tree', 'k'), kvOp('check-not-exists', 'k')], []],
    ['an unknown verb', [], [kvOp('put', 'k')], ['0: unknown KV operation: put']],
    ['a name of every object', [], [kvOp('toString', 'k')], ['0: unknown KV operation: toString']],
    [
      'no key',
      [],
      [kvOp('set', ''), kvOp('get', '')],
      ['0: Must provide key', '1: Must provide key'],
    ],
  ]
  for (const [name, before, ops, gives] of cases) t.strictSame(told(before, ops), gives, name)
})

t.test('what each verb on nodes, services and checks gives', async t => {
  const all = [putNode('n'), putService('n', 'web'), putCheck('n', 'c')]
  const cases: [string, TxnOp[], string[]][] = [
    [
      'get',
      [nodeOp('get', 'N'), serviceOp('get', 'n', 'web'), checkOp('get', 'n', 'c')],
      ['Node n 1 1', 'Service n|web 2 2', 'Check n|c 3 3'],
    ],
    [
      'get nothing',
      [nodeOp('get', 'x'), serviceOp('get', 'n', 'x'), checkOp('get', 'x', 'c')],
      [
        `0: node "x" doesn't exist`,
        `1: service "x" on node "n" doesn't exist`,
        `2: check "c" on node "x" doesn't exist`,
      ],
    ],
    [
      'set',
      [nodeOp('set', 'm'), serviceOp('set', 'm', 'db'), checkOp('set', 'm', 'up')],
      ['Node m 4 4', 'Service m|db 4 4', 'Check m|up 4 4'],
    ],
    [
      'set on no node',
      [serviceOp('set', 'm', 'db'), checkOp('set', 'm', 'up')],
      ['0: Missing node registration', '1: Missing node registration'],
    ],
    [
      'cas',
      [nodeOp('cas', 'n', 1), serviceOp('cas', 'n', 'web', 2), checkOp('cas', 'n', 'c', 3)],
      ['Node n 1 1', 'Service n|web 2 2', 'Check n|c 3 3'],
    ],
    [
      'cas fails',
      [nodeOp('cas', 'n'), serviceOp('cas', 'n', 'web'), checkOp('cas', 'n', 'x', 3)],
      [
        '0: failed to set node "n", index is stale',
        '1: failed to set service "web" on node "n", index is stale',
        '2: failed to set check "x" on node "n", index is stale',
      ],
    ],
    [
      'delete',
      [checkOp('delete', 'n', 'c'), serviceOp('delete', 'n', 'web'), nodeOp('delete', 'n')],
      [],
    ],
    ['delete cas', [checkOp('delete-cas', 'n', 'c', 3), nodeOp('delete-cas', 'n', 1)], []],
    [
      'delete cas fails',
      [
        nodeOp('delete-cas', 'x'),
        serviceOp('delete-cas', 'n', 'web', 1),
        checkOp('delete-cas', 'n', 'c', 1),
      ],
      [
        '0: failed to delete node "x", index is stale',
        '1: failed to delete service "web" on node "n", index is stale',
        '2: failed to delete check "c" on node "n", index is stale',
      ],
    ],
    [
      'unknown verbs',
      [nodeOp('lock', 'n'), serviceOp('', 'n', 'web'), sessionOp('set', 's')],
      [
        '0: unknown Node operation: lock',
        '1: unknown Service operation: ',
        '2: unknown Session operation: set',
      ],
    ],
    [
      'delete without a name',
      [serviceOp('delete', 'n', ''), checkOp('delete', 'n', ''), nodeOp('delete', '')],
      ['0: Must provide service ID', '1: Must provide check ID', '2: Must provide node'],
    ],
  ]
  for (const [name, ops, gives] of cases) t.strictSame(told(all, ops), gives, name)
  const id = '0f3c7a52-1111-4222-8333-444455556666'
  const byId: TxnOp = { kind: 'Node', verb: 'get', node: nodeRow('', { id }), index: 0 }
  t.strictSame(told([putNode('n', { id })], [byId]), ['Node n 1 1'], 'a node by its id')
})

t.test('each operation sees those before it, and a session that ends frees its keys', async t => {
  const s = putSession('s', 'n')
  t.strictSame(
    told([s], [kvOp('lock', 'k', { session: 's' }), sessionOp('delete', 's'), kvOp('get', 'k')]),
    ['KV k 2 2 no value', 'KV k 2 2 value'],
  )
  t.strictSame(
    told([entry('k')], [kvOp('set', 'k', { flags: 1n }), kvOp('check-index', 'k', { index: 1 })]),
    ['1: failed index check for key "k", current modify index of this transaction != 1'],
  )
  t.strictSame(told([], [kvOp('set', 'k'), kvOp('delete', 'k'), kvOp('get', 'k')]), [
    `2: key "k" doesn't exist`,
  ])
})

t.test('one that fails makes nothing happen, and all that fail are told', async t => {
  const view = viewOf(entry('k'))
  const { txn, answer } = run(view, [
    kvOp('set', 'new'),
    kvOp('cas', 'k', { index: 9 }),
    kvOp('get', 'new'),
    kvOp('get', 'none'),
  ])
  t.same(txn, [])
  t.match(answer, { faults: [{ position: 1 }, { position: 3 }] })
})

t.test('a tree that is more than a transaction is refused as a whole', async t => {
  const view = viewOf(...['a', 'b', 'c'].map(key => entry(`t/${key}`)))
  const { txn, answer } = transact(new Recorder(view), everybody, [kvOp('delete-tree', 't/')], 3)
  t.same(txn, [])
  t.match(answer, {
    faults: [{ what: 'failed to delete tree "t/": one transaction holds less than 3 keys' }],
  })
})

t.test('rights: writes are denied by name, reads see nothing', async t => {
  const all = [putNode('n'), putService('n', 'web'), putCheck('n', 'c'), entry('k')]
  const nobody = only()
  const lacks = (right: string, name: string): string =>
    `Permission denied: anonymous token lacks permission '${right}:write' on "${name}"`
  const cases: [TxnOp, string[]][] = [
    [kvOp('set', 'k'), [lacks('key', 'k')]],
    [kvOp('cas', 'k'), [lacks('key', 'k')]],
    [kvOp('lock', 'k', { session: 's' }), [lacks('key', 'k')]],
    [kvOp('delete', 'k'), [lacks('key', 'k')]],
    [kvOp('delete-tree', 'k'), [lacks('key', 'k')]],
    [kvOp('get', 'k'), [`key "k" doesn't exist`]],
    [
      kvOp('check-index', 'k'),
      [`Permission denied: anonymous token lacks permission 'key:read' on "k"`],
    ],
    [kvOp('check-not-exists', 'k'), [lacks('key', 'k')]],
    [nodeOp('get', 'n'), [`node "n" doesn't exist`]],
    [nodeOp('delete', 'n'), [lacks('node', 'n')]],
    [nodeOp('set', 'new'), [lacks('node', 'new')]],
    [serviceOp('get', 'n', 'web'), [`service "web" on node "n" doesn't exist`]],
    [serviceOp('set', 'n', 'web'), [lacks('service', 'web')]],
    [serviceOp('delete', 'n', 'web'), [lacks('service', 'web')]],
    [checkOp('get', 'n', 'c'), [`check "c" on node "n" doesn't exist`]],
    [checkOp('set', 'n', 'c'), [lacks('node', 'n')]],
  ]
  for (const [op, whats] of cases) {
    t.strictSame(
      told(all, [op], nobody),
      whats.map(what => `0: ${what}`),
      `${op.kind} ${op.verb}`,
    )
  }
  t.strictSame(told(all, [kvOp('get-tree', ''), kvOp('get-or-empty', 'k')], nobody), ['no k'])
  t.strictSame(told(all, [nodeOp('set', 'n')], nobody), [], 'what is as it was is not shown')
  const listing = only('asked for key:list', 'key:read')
  t.strictSame(told(all, [kvOp('get-tree', 'k')], listing), [
    `0: Permission denied: anonymous token lacks permission 'key:list' on "k"`,
  ])
})

t.test('a check uses no right to write, though it takes one', async t => {
  const who = only('key:write k')
  const granted: Access[] = []
  const { request } = ownCall(who, 'PUT /v1/txn')
  const caller = new Caller(who, request, new Lacked(), granted)
  t.strictSame(told([], [kvOp('check-not-exists', 'k')], caller), [])
  t.strictSame([granted, caller.lacked.count], [[], 0])
  t.strictSame(told([], [kvOp('check-not-exists', 'x')], caller), [
    `0: Permission denied: anonymous token lacks permission 'key:write' on "x"`,
  ])
  t.match(caller.lacked.rights, [{ resource: 'key', name: 'x' }])
})

t.test('what only reads is told from what may write', async t => {
  t.ok(isReadOnly([]))
  t.ok(isReadOnly([kvOp('get', 'k'), kvOp('check-index', 'k'), nodeOp('get', 'n')]))
  for (const op of [kvOp('set', 'k'), kvOp('nonsense', 'k'), sessionOp('delete', 's')]) {
    t.notOk(isReadOnly([kvOp('get', 'k'), op]))
  }
})

// --- the same as single calls

const KEYS = ['a', 'a/1', 'a/2', 'b']
const NODES = ['n', 'm']
const SESSIONS = ['s', 'o']

/** An operation, and the single call that it stands for; undefined for one that must fail. */
interface Pair {
  readonly op: TxnOp
  readonly single: (view: Version) => Decision<unknown> | Refusal
}

const fails = new Refusal(409, 'the condition does not hold')
const unless = (isFailing: boolean, done: Decision<unknown> | Refusal) => (isFailing ? fails : done)
const nothing: Decision<unknown> = { txn: [], answer: true }
const held = (done: Decision<boolean> | Refusal): Decision<unknown> | Refusal =>
  done instanceof Refusal || done.answer === true ? done : fails

function kvPair(draw: Draw, start: Version): Pair {
  const key = draw.pick(KEYS)
  const session = draw.pick(SESSIONS)
  const known = start.get(kv, key)?.modifyIndex ?? 0
  const index = draw.chance(70) ? known : draw.below(5)
  const value = Buffer.from(draw.pick(['x', 'y']))
  const verb = draw.pick([
    ...['set', 'cas', 'lock', 'unlock', 'get', 'get-tree', 'get-or-empty', 'check-index'],
    ...['check-session', 'check-not-exists', 'delete', 'delete-cas', 'delete-tree'],
  ])
  const op = kvOp(verb, key, { value, index, session })
  const request = { key, value, flags: 0n, cas: undefined, acquire: undefined, release: undefined }
  const single = (view: Version): Decision<unknown> | Refusal => {
    const row = view.get(kv, key)
    switch (verb) {
      case 'set':
        return putKv(view, everybody, request)
      case 'cas':
        return held(putKv(view, everybody, { ...request, cas: index }))
      case 'lock':
        return held(putKv(view, everybody, { ...request, acquire: session }))
      case 'unlock':
        return held(putKv(view, everybody, { ...request, release: session }))
      case 'delete':
        return deleteKv(view, everybody, { key, cas: undefined })
      case 'delete-cas':
        return held(deleteKv(view, everybody, { key, cas: index }))
      case 'delete-tree':
        return deleteKvTree(view, everybody, { prefix: key, limit: LIMIT })
      case 'get':
        return unless(row === undefined, nothing)
      case 'check-index':
        return unless(row?.modifyIndex !== index, nothing)
      case 'check-session':
        return unless(row?.row.session !== session, nothing)
      case 'check-not-exists':
        return unless(row !== undefined, nothing)
      default:
        return nothing
    }
  }
  return { op, single }
}

function catalogPair(draw: Draw, start: Version): Pair {
  const kind = draw.pick(['Node', 'Service', 'Check'] as const)
  const name = draw.pick(NODES)
  const verb = draw.pick(['set', 'cas', 'get', 'delete', 'delete-cas'])
  const [address, port] = [draw.pick(['10.0.0.1', '10.0.0.2']), draw.below(2)]
  const node = nodeRow(name, { address })
  const service = serviceRow(name, 'web', { port })
  const check = checkRow(name, 'c', {
    status: draw.pick(['passing', 'critical']),
    serviceId: draw.chance(30) ? 'web' : '',
  })
  const cellIn = (view: Version) =>
    kind === 'Node'
      ? view.get(nodes, fold(name))
      : kind === 'Service'
        ? view.get(services, onNode(name, 'web'))
        : view.get(checks, onNode(name, 'c'))
  const known = cellIn(start)?.modifyIndex ?? 0
  const index = draw.chance(70) ? known : draw.below(5)
  const op: TxnOp =
    kind === 'Node'
      ? { kind, verb, node, index }
      : kind === 'Service'
        ? { kind, verb, service, index }
        : { kind, verb, check, index }
  const single = (view: Version): Decision<unknown> | Refusal => {
    const now = cellIn(view)
    if (verb === 'get') return unless(now === undefined, nothing)
    if (verb === 'cas' && (now?.modifyIndex ?? 0) !== index) return fails
    if (verb === 'delete-cas' && now?.modifyIndex !== index) return fails
    if (verb.startsWith('delete')) {
      const ids = {
        serviceId: kind === 'Service' ? 'web' : '',
        checkId: kind === 'Check' ? 'c' : '',
      }
      return deregister(view, everybody, { node: name, ...ids })
    }
    const on = view.get(nodes, fold(name))
    if (kind !== 'Node' && on === undefined) return fails
    return register(view, everybody, {
      node: kind === 'Node' ? node : on!.row,
      skipNodeUpdate: kind !== 'Node',
      service: kind === 'Service' ? service : undefined,
      checks: kind === 'Check' ? [check] : [],
    })
  }
  return { op, single }
}

function sessionPair(draw: Draw): Pair {
  const id = draw.pick(SESSIONS)
  return {
    op: sessionOp('delete', id),
    single: view => destroySession(view, everybody, id),
  }
}

function pairOf(draw: Draw, start: Version): Pair {
  if (draw.chance(10)) return sessionPair(draw)
  return draw.chance(55) ? kvPair(draw, start) : catalogPair(draw, start)
}

/** All rows but for their indexes, which are one transaction's or many. */
const rowsOf = (view: Version): string[] =>
  registryTables.flatMap(table =>
    [...view.entries(table)].map(({ key, row }) => {
      const text = JSON.stringify(row, (_key, value) =>
        typeof value === 'bigint' ? String(value) : value,
      )
      return `${table.name} ${key} ${text}`
    }),
  )

function startOf(draw: Draw): Version {
  const some: Op[] = [
    ...NODES.filter(() => draw.chance(70)).map(node => putNode(node)),
    ...SESSIONS.filter(() => draw.chance(70)).map(id =>
      putSession(id, 'n', {
        behavior: draw.pick(['release', 'delete']),
        lockDelayMs: draw.pick([0, 1_000]),
        nodeChecks: draw.chance(30) ? ['c'] : [],
      }),
    ),
    ...KEYS.filter(() => draw.chance(50)).map(key => entry(key)),
  ]
  const view = viewOf(...some)
  const node = view.get(nodes, 'n')
  if (node !== undefined && draw.chance(60)) {
    applyOps(view, [
      putService('n', 'web'),
      putCheck('n', 'c', { serviceId: 'web', serviceName: 'web' }),
    ])
  }
  if (view.get(kv, 'a') !== undefined && draw.chance(50)) {
    applyOps(view, [entry('a', { session: 's', lockIndex: 1 })])
  }
  return view
}

t.test('a transaction is its operations as single calls, all or none', async t => {
  let whole = 0
  for (let seed = 0; seed < 2_000; seed++) {
    const draw = seeded(seed)
    const start = startOf(draw)
    const pairs = Array.from({ length: 1 + draw.below(7) }, () => pairOf(draw, start))
    const ops = pairs.map(({ op }) => op)
    const one = start.cut(undefined)
    const single = start.cut(undefined)
    const { txn, answer } = run(one, ops)
    applyOps(one, txn)
    const failing = pairs.flatMap(({ single: call }, position) => {
      const done = call(single)
      if (done instanceof Refusal) return [position]
      applyOps(single, done.txn)
      return []
    })
    const faults = 'faults' in answer ? answer.faults.map(({ position }) => position) : []
    const [is, wanted] = [
      JSON.stringify([faults, rowsOf(one)]),
      JSON.stringify([failing, rowsOf(failing.length === 0 ? single : start)]),
    ]
    if (is !== wanted) {
      t.equal(is, wanted, `seed ${seed}: ${ops.map(({ kind, verb }) => `${kind} ${verb}`).join()}`)
      return
    }
    if (failing.length === 0) whole++
  }
  t.ok(whole > 200, `${whole} of them were applied`)
})
