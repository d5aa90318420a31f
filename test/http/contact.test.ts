/**
 * What an answer says of the view that it was read from, where others write to the store too:
 * the truth where a stale view was enough, and that it is the newest where the store was asked.
 */
import t from 'tap'
import { contactOf } from '../../src/http/contact.ts'
import { ageless } from '../../src/store/freshness.ts'
import { openMemory } from './engines.ts'
import { startFace } from './harness.ts'

const OLD_MS = 2_500
const old = { ageMs: () => OLD_MS, isDegraded: true }

async function openShared() {
  const store = await openMemory()
  Object.defineProperty(store, 'supports', { value: { ...store.supports, shared: true } })
  return store
}

const asks = {
  'a transaction that reads': ['PUT', '/v1/txn', [{ KV: { Verb: 'get-tree', Key: '' } }]],
  'the execution of a query': ['GET', '/v1/query/web/execute', ''],
  'its explanation': ['GET', '/v1/query/web/explain', ''],
  usage: ['GET', '/v1/operator/usage', ''],
} as const

t.test('how old it may be, in headers and body', async t => {
  const { client } = await startFace(t, { open: openShared, age: old })
  await client.put('/v1/kv/a', '1')
  await client.send('POST', '/v1/query', { Name: 'web', Service: { Service: 'web' } })
  for (const [name, [method, path, body]] of Object.entries(asks)) {
    const fresh = await client.send(method, path, body)
    t.match(fresh.json, { KnownLeader: true, LastContact: 0, ConsistencyLevel: 'leader' }, name)
    const stale = await client.raw(method, `${path}?stale`, body)
    const LastContact = OLD_MS * 1_000_000
    t.match(
      JSON.parse(stale.text),
      { KnownLeader: false, LastContact, ConsistencyLevel: 'stale' },
      name,
    )
    if (name === 'usage') continue
    t.match(fresh.headers, { 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '0' }, name)
    const told = { 'x-consul-knownleader': 'false', 'x-consul-lastcontact': String(OLD_MS) }
    t.match(stale.headers, told, name)
  }
  t.equal((await client.get('/v1/operator/usage?stale&consistent')).status, 400)
})

t.test('a view that nobody looks after has no age', async t => {
  const unknown = { ageMs: () => Number.POSITIVE_INFINITY, isDegraded: false }
  t.strictSame(contactOf(unknown, true), { isKnown: true, ageMs: 0 })
  t.strictSame(contactOf(old, false), contactOf(ageless, true))
})
