/**
 * Prepared queries on a store: which view they are executed on, and how much is given.
 */
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Queries } from '../../src/registry/query.run.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { Writer } from '../../src/store/writer.ts'
import { everybody, only, putNode, putService, queryRow } from './rules.ts'

t.test('executes on a view that is confirmed unless an older one will do', async t => {
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
  })
  const { id: _id, ...request } = queryRow('', { name: 'q' })
  const id = await queries.create(everybody, request)
  if (isRefusal(id)) throw new Error(id.text)
  let confirmed = 0
  const { readIndex } = store
  store.readIndex = () => {
    confirmed++
    return readIndex.call(store)
  }
  const options = { isStale: false, near: '', sourceIp: '', isConnect: false, limit: 0 }
  const nodesOf = async (more: Partial<typeof options> = {}): Promise<string[]> => {
    const executed = await queries.execute(everybody, 'q', { ...options, ...more })
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
  t.equal(await queries.delete(everybody, id), id)
  t.equal(await queries.execute(everybody, 'q', options), undefined)
})
