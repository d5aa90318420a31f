/**
 * What is done to a range is what was authorised for that range, and a list shows what its items
 * would show one by one: no request for much is judged as one for less. (The class of etcd's
 * CVE-2026-73499, of CVE-2019-12291 and GHSA-xp3c-3jw3-4vcr.)
 */
import { inspect } from 'node:util'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { access, type Who } from '../../src/base/who.ts'
import {
  allNodes,
  nodeServices,
  serviceInstances,
  serviceNames,
} from '../../src/registry/catalog.ts'
import { checksInState, nodeChecks, serviceHealth } from '../../src/registry/health.ts'
import { deleteKv, deleteKvTree, kvEntry, kvKeys, kvTree } from '../../src/registry/kv.ts'
import { nodeInfos } from '../../src/registry/overview.ts'
import { allSessions, sessionById, sessionsOnNode } from '../../src/registry/session.ts'
import { type TxnOp, transact } from '../../src/registry/txn.ts'
import type { Question, View } from '../../src/store/ask.ts'
import { answerOf } from '../../src/store/local.ts'
import { Recorder } from '../../src/store/recorder.ts'
import type { Version } from '../../src/store/view.ts'
import type { Draw } from '../fake/random.ts'
import { casesOf } from '../fuzz/cases.ts'
import { startFace } from '../http/harness.ts'
import { anonymousBy, authorityOf, everythingFor, ruledBy } from '../http/principals.ts'
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

interface Case {
  readonly who: Granted
  readonly state: Version
  readonly prefix: string
}

const make = (draw: Draw): Case => ({
  who: drawGranted(draw),
  state: drawState(draw),
  prefix: draw.pick(['', 'a', 'a/', 'a/1', ...KEYS]),
})
const show = ({ who, prefix }: Case): string => inspect([who.rules, prefix])
const LIMIT = 100
const counted = { trees: 0, refused: 0, left: 0 }

const sorted = (found: Iterable<string>): string => [...found].toSorted().join()
const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what)
}
const equal = (one: Iterable<string>, other: Iterable<string>, what: string): void =>
  must(sorted(one) === sorted(other), `${what}: ${sorted(one)} instead of ${sorted(other)}`)

function treeOf({ who, state, prefix }: Case, verb: string) {
  const op: TxnOp = {
    ...{ kind: 'KV', verb, key: prefix, value: Buffer.alloc(0), flags: 0n, index: 0, session: '' },
  }
  const { txn, answer } = transact(new Recorder(state), who, [op], LIMIT)
  const done = answerOf(answer, committedOn(state))
  return { txn, done }
}

/** A tree is deleted where each of its keys could be, by itself and in a transaction. */
function holdDelete(one: Case): void {
  const { who, state, prefix } = one
  const deleted = deleteKvTree(state, who, { prefix, limit: LIMIT })
  const { txn, done } = treeOf(one, 'delete-tree')
  must('faults' in done === deleted instanceof Refusal, 'a transaction differs')
  if (deleted instanceof Refusal) {
    counted.refused++
    must(txn.length === 0, 'it was refused and applied')
    return
  }
  counted.trees++
  const keys = deleted.txn.map(({ key }) => key)
  equal(
    txn.map(({ key }) => key),
    keys,
    'in a transaction',
  )
  must(
    keys.every(key => key.startsWith(prefix)),
    'a key outside of the prefix',
  )
  // Also those that could be there by the time that it is executed.
  for (const key of [...keys, ...KEYS.filter(key => key.startsWith(prefix)), `${prefix}new`]) {
    const single = deleteKv(state, who, { key, cas: undefined })
    must(!(single instanceof Refusal), `"${key}" alone is refused`)
  }
}

/** A tree shows what its keys would show one by one, and nothing where it may not be listed. */
function holdRead(one: Case): void {
  const { who, state, prefix } = one
  const view = state as View
  const tree = kvTree(who, prefix)
  const keys = kvKeys(who, prefix, '')
  const { done } = treeOf(one, 'get-tree')
  const isRefused = tree instanceof Refusal
  must(isRefused === !who.may(access('list', 'key', prefix)), 'listing is a right')
  must(isRefused === keys instanceof Refusal && isRefused === 'faults' in done, 'they differ')
  if (tree instanceof Refusal || keys instanceof Refusal || 'faults' in done) return
  const stored = KEYS.filter(key => key.startsWith(prefix))
  const singly = stored.filter(key => {
    const question = kvEntry(who, key)
    return !(question instanceof Refusal) && question.read(view) !== undefined
  })
  equal(
    tree.read(view).map(({ key }) => key),
    singly,
    'a tree',
  )
  equal(keys.read(view), singly, 'its keys')
  const shown = done.results.flatMap(result => ('cell' in result ? [result.cell.key] : []))
  equal(shown, singly, 'in a transaction')
  if (singly.length < stored.length) counted.left++
}

/** Lists of the catalog show what each of their items would show. */
function holdLists({ who, state }: Case): void {
  const view = state as View
  const read = <T>(question: Question<Iterable<T | undefined>>): T[] =>
    [...question.read(view)].filter(item => item !== undefined)
  const maySee = (node: string): boolean => who.may(access('read', 'node', node))
  const mayUse = (service: string): boolean => who.may(access('read', 'service', service))
  const seen = read(allNodes(who, [])).map(({ row }) => row.node)
  const singly = NODES.filter(node => nodeServices(who, node).read(view) !== undefined)
  equal(seen, singly, 'nodes')
  equal(
    read(nodeInfos(who)).map(({ node }) => node.row.node),
    singly,
    'nodes with all on them',
  )
  must(seen.every(maySee), 'a node')
  must(
    read(serviceNames(who, [])).every(({ name }) => mayUse(name)),
    'a name of a service',
  )
  for (const name of SERVICES) {
    const instances = read(serviceInstances(who, name, { tags: [], meta: [] }))
    const wanted = { tags: [], meta: [], passing: false }
    const health = read(serviceHealth(who, name, wanted))
    const nodesOf = (list: typeof instances) => list.map(({ node }) => node.row.node)
    equal(nodesOf(instances), nodesOf(health), `instances of ${name}`)
    must(
      nodesOf(instances).every(node => maySee(node) && mayUse(name)),
      `an instance of ${name}`,
    )
  }
  for (const { row } of read(checksInState(who, 'any', []))) {
    must(maySee(row.node), `a check on ${row.node}`)
    must(row.serviceName === '' || mayUse(row.serviceName), `a check of ${row.serviceName}`)
  }
  const onNodes = NODES.flatMap(node => read(nodeChecks(who, node)).map(({ key }) => key))
  equal(
    onNodes,
    read(checksInState(who, 'any', [])).map(({ key }) => key),
    'checks',
  )
  const sessions = read(allSessions(who)).map(({ row }) => row.id)
  equal(
    sessions,
    SESSIONS.filter(id => read(sessionById(who, id)).length > 0),
    'sessions',
  )
  equal(
    sessions,
    NODES.flatMap(node => read(sessionsOnNode(who, node)).map(({ row }) => row.id)),
    'by node',
  )
}

function run(one: Case): void {
  holdDelete(one)
  holdRead(one)
  holdLists(one)
}

t.test('generated: rights, states and ranges', async t => {
  const cases = await untilBudget('ranges by rights', 50_000, casesOf({ make, run, show }))
  for (const [what, count] of Object.entries(counted)) {
    t.ok(count > cases / 20, `${what}: ${count} of ${cases}`)
  }
})

const below = `key_prefix "a/" { policy = "write" }`

t.test('attack: trees that hold what is denied, over HTTP', async t => {
  const rules: Readonly<Record<string, Who>> = {
    '': anonymousBy(''),
    all: ruledBy(everythingFor('write')),
    below: ruledBy(below),
    but: ruledBy(`${below} key "a/secret" { policy = "deny" }`),
    reads: ruledBy(`${below} key_prefix "a/secret" { policy = "read" }`),
    list: ruledBy('key_prefix "" { policy = "read" }', { keyListPolicy: true }),
  }
  const { client, store } = await startFace(t, { authority: authorityOf(rules) })
  for (const key of ['a', 'a/1', 'a/secret', 'ab', 'b'])
    await client.as('all').put(`/v1/kv/${key}`, 'x')
  const { revision } = store.status()
  const attacks: readonly [string, string][] = [
    ['below', ''],
    ['below', 'a'],
    ['below', 'ab'],
    ['but', 'a/'],
    ['but', 'a/s'],
    ['but', 'a/secret'],
    ['reads', 'a/'],
    ['reads', 'a/secret'],
    ['', 'a/'],
  ]
  for (const [token, prefix] of attacks) {
    const name = `${token} ${prefix}`
    const deleted = await client.as(token).delete(`/v1/kv/${prefix}?recurse`)
    t.equal(deleted.status, 403, name)
    t.match(deleted.text, new RegExp(`lacks permission 'key:write'( on "${prefix}")?$`), name)
    const op = { KV: { Verb: 'delete-tree', Key: prefix } }
    t.equal((await client.as(token).put('/v1/txn', [op])).status, 409, name)
  }
  for (const query of ['?recurse', '?keys']) {
    const listed = await client.as('list').get(`/v1/kv/a/${query}`)
    t.equal(listed.status, 403, query)
    t.match(listed.text, /lacks permission 'key:list' on "a\/"$/)
  }
  t.equal(store.status().revision, revision, 'nothing was written')
})

t.test('near miss: what is allowed goes, and nothing beside it', async t => {
  const rules = {
    '': anonymousBy(''),
    all: ruledBy(everythingFor('write')),
    below: ruledBy(`${below} key "a" { policy = "deny" } key_prefix "ab" { policy = "deny" }`),
    list: ruledBy('key_prefix "a/" { policy = "list" }', { keyListPolicy: true }),
  }
  const { client } = await startFace(t, { authority: authorityOf(rules) })
  for (const key of ['a', 'a/1', 'a/2', 'ab']) await client.as('all').put(`/v1/kv/${key}`, 'x')
  t.strictSame((await client.as('list').get('/v1/kv/a/?keys')).json, ['a/1', 'a/2'])
  const tree = await client.as('below').get('/v1/kv/?keys')
  t.strictSame(tree.json, ['a/1', 'a/2'])
  t.equal(tree.headers['x-consul-results-filtered-by-acls'], 'true')
  t.equal((await client.as('below').delete('/v1/kv/a/?recurse')).json, true)
  t.strictSame((await client.as('all').get('/v1/kv/?keys')).json, ['a', 'ab'])
})
