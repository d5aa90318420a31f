/**
 * Prepared queries on a store: which view they are executed on, and how much is given.
 */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { Who } from '../../src/base/who.ts'
import { Queries } from '../../src/registry/query.run.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { queries as queryTable } from '../../src/store/tables/query.ts'
import { Writer } from '../../src/store/writer.ts'
import { everybody, only, putNode, putService, putSession, queryRow } from './rules.ts'

const onOne = only('service:read', 'node:read n1')
/** One token is somebody's. */
const authenticate = (token: string) =>
  token === 'narrow' ? onOne : new Refusal(403, 'ACL not found')
const sealer = {
  seal: (token: string) => `sealed ${token}`,
  open: (sealed: string) => sealed.slice('sealed '.length),
}
const OPTIONS = { isStale: false, near: '', sourceIp: '', isConnect: false, limit: 0 }

async function queriesOf(t: Test): Promise<{ store: LocalStore; queries: Queries }> {
  const store = openMemoryStore({
    ...{ tables: withSystemTables(registryTables), clock: systemClock, random: systemRandom },
  })
  t.teardown(() => store.close())
  await store.write(() => ({
    txn: ['n1', 'n2', 'n3'].flatMap(node => [putNode(node), putService(node, 'web')]),
    answer: undefined,
  }))
  const queries = new Queries({
    store,
    writer: new Writer(store),
    random: systemRandom,
    node: 'n2',
    authority: { authenticate },
    sealer,
  })
  return { store, queries }
}

t.test('executes on a view that is confirmed unless an older one will do', async t => {
  const { store, queries } = await queriesOf(t)
  const { id: _id, ...request } = queryRow('', { name: 'q' })
  const id = await queries.create(everybody, request)
  if (isRefusal(id)) throw new Error(id.text)
  let confirmed = 0
  const { readIndex } = store
  store.readIndex = () => {
    confirmed++
    return readIndex.call(store)
  }
  const nodesOf = async (more: Partial<typeof OPTIONS> = {}): Promise<string[]> => {
    const executed = await queries.execute(everybody, 'q', { ...OPTIONS, ...more })
    if (executed === undefined || isRefusal(executed)) throw new Error('no such query')
    return executed.instances.map(({ node }) => node.row.node)
  }
  t.strictSame((await nodesOf()).sort(), ['n1', 'n2', 'n3'])
  t.equal(confirmed, 1)
  await nodesOf({ isStale: true })
  t.equal(confirmed, 1)
  t.equal((await nodesOf({ limit: 2 })).length, 2)
  t.equal((await nodesOf({ limit: -1 })).length, 3)
  for (let times = 0; times < 5; times++) t.equal((await nodesOf({ near: '_agent' }))[0], 'n2')
  t.match(await queries.explain(everybody, id, false), { name: 'q' })
  t.match(await queries.explain(only(), 'q', true), { status: 403 })
  t.equal(await queries.explain(only(), 'none', true), undefined)
  t.match(await queries.explain(only('query:read q'), 'q', false), { name: 'q' })
  t.equal(await queries.delete(everybody, id), id)
  t.equal(await queries.execute(everybody, 'q', OPTIONS), undefined)
})

t.test(
  'a token that somebody left in a query decides what it shows, and is kept sealed',
  async t => {
    const { store, queries } = await queriesOf(t)
    const { id: _id, ...request } = queryRow('', { name: 'q', token: 'narrow' })
    const id = await queries.create(everybody, request)
    if (isRefusal(id)) throw new Error(id.text)
    const kept = () => store.view().get(queryTable, id)?.row.token
    t.equal(kept(), 'sealed narrow')
    const nodesFor = async (who: Who): Promise<[string[], boolean] | string> => {
      const executed = await queries.execute(who, 'q', OPTIONS)
      if (executed === undefined) return 'none'
      if (isRefusal(executed)) return executed.text
      return [executed.instances.map(({ node }) => node.row.node), executed.isFiltered]
    }
    const named = { ...only(), accessor: 'acc' }
    t.strictSame(await nodesFor(named), [['n1'], true], 'more than the asker may see')
    t.strictSame(await nodesFor(everybody), [['n1'], false], 'no token is told of no filter')
    t.match(await queries.explain(everybody, 'q', true), { token: 'narrow' })
    t.match(await queries.explain(only('query:read q'), 'q', true), { token: '<hidden>' })
    t.equal(await queries.update(everybody, id, { ...request, token: 'gone' }), id)
    t.equal(kept(), 'sealed gone')
    t.equal(await nodesFor(everybody), 'ACL not found')
    t.match(await queries.update(everybody, id, { ...request, token: '<hidden>' }), { status: 500 })
    t.equal(await queries.update(everybody, id, { ...request, token: '' }), id)
    t.strictSame(await nodesFor(named), [[], true])
    t.strictSame(await nodesFor(only('service:read', 'node:read n2')), [['n2'], false])
  },
)

t.test('a query without a name is explained to who manages alone', async t => {
  const { store, queries } = await queriesOf(t)
  const SESSION = '0f3c7a52-1111-4222-8333-444455556666'
  await store.write(() => ({ txn: [putSession(SESSION, 'n1')], answer: undefined }))
  const { id: _id, ...request } = queryRow('', { session: SESSION })
  const id = await queries.create(only(), request)
  if (isRefusal(id)) throw new Error(id.text)
  t.match(await queries.explain(only('query:read'), id, true), { status: 403 })
  t.match(await queries.explain(only('acl:write'), id, true), { id })
})
