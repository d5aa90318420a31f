/**
 * The feed over gRPC: every topic's items, the tokens, and what ends a stream.
 */
import t, { type Test } from 'tap'
import { feedService } from '../../src/grpc/feed.ts'
import { feedTexts } from '../../src/http/registry/feed.ts'
import { createWire } from '../../src/http/registry/wire.ts'
import { type FaceOptions, startFace, until } from '../http/harness.ts'
import { type Headers, type OpenStream, startGrpc } from './harness.ts'

async function start(t: Test, options: FaceOptions = {}) {
  const face = await startFace(t, options)
  const texts = feedTexts(createWire('dc1'))
  const methods = feedService({ feeds: face.feeds, datacenter: 'dc1', texts })
  const { client } = await startGrpc(t, { methods, authority: face.authority })
  const [followed, topics] = methods
  return {
    ...face,
    topics: () => client.call(topics!),
    async follow(request: object, headers: Headers = {}): Promise<OpenStream> {
      const stream = await client.open(followed!, headers)
      stream.call.end(request)
      t.teardown(() => stream.call.cancel())
      return stream
    },
  }
}

const told = async ({ answers }: OpenStream, count: number) => {
  await until(() => answers.length >= count)
  return answers
}

t.test('a snapshot and deltas of health, with what an instance is made of', async t => {
  const { client, follow } = await start(t)
  const register = (port: number, status: string) =>
    client.put('/v1/catalog/register', {
      ...{ Node: 'n', Address: '10.0.0.1', NodeMeta: { zone: 'a' } },
      Service: { ID: 'w1', Service: 'web', Port: port, Tags: ['v1'] },
      Check: { CheckID: 'c', Name: 'c', Status: status, ServiceID: 'w1' },
    })
  await register(80, 'passing')
  const stream = await follow({ topic: 'health', subject: 'web' })
  const [first] = await told(stream, 1)
  const { index } = await client.get('/v1/health/service/web')
  t.equal(first.frame, 'snapshot')
  t.match(first.snapshot, { revision: index, last: true, filtered: false, resume: /^[\w-]{20,}$/ })
  const [item] = first.snapshot.items
  t.match(item, { key: 'n/w1', revision: index, value: 'instance' })
  t.match(item.instance, {
    node: { name: 'n', address: '10.0.0.1', datacenter: 'dc1', meta: { zone: 'a' } },
    service: { id: 'w1', name: 'web', port: 80, tags: ['v1'], weights: { passing: 1 } },
    checks: [{ checkId: 'c', status: 'HEALTH_STATUS_PASSING', serviceName: 'web' }],
    status: 'HEALTH_STATUS_PASSING',
  })
  await register(81, 'critical')
  const [, second] = await told(stream, 2)
  t.equal(second.frame, 'delta')
  t.match(second.delta.upserts[0].instance, {
    service: { port: 81 },
    status: 'HEALTH_STATUS_CRITICAL',
  })
  stream.call.cancel()
  await client.put('/v1/catalog/deregister', { Node: 'n' })
  const { resume } = second.delta
  const [missed] = await told(await follow({ topic: 'health', subject: 'web', resume }), 1)
  t.match(missed, { frame: 'delta', delta: { deletes: ['n/w1'], upserts: [] } })
})

t.test('the other topics', async t => {
  const { client, follow, topics } = await start(t)
  await client.put('/v1/kv/a/1?flags=18446744073709551615', 'one')
  await client.put('/v1/kv/a/2', '')
  await client.put('/v1/catalog/register', {
    ...{ Node: 'n', Address: '10.0.0.1', Service: { Service: 'web', Tags: ['b', 'a'] } },
  })
  await client.put('/v1/config', { Kind: 'service-defaults', Name: 'web', Protocol: 'http' })
  const itemsOf = async (request: object) =>
    (await told(await follow(request), 1))[0].snapshot.items
  t.match(await itemsOf({ topic: 'kv', subject: 'a/' }), [
    { key: 'a/1', kv: { key: 'a/1', value: Buffer.from('one'), flags: '18446744073709551615' } },
    { key: 'a/2', kv: { value: Buffer.alloc(0), flags: '0' } },
  ])
  const nodes = await itemsOf({ topic: 'nodes', filter: 'Node == n' })
  t.match(nodes, [{ key: 'n', node: { name: 'n', address: '10.0.0.1' } }])
  const services = await itemsOf({ topic: 'services', filter: 'Name == web' })
  t.match(services, [{ key: 'web', service: { name: 'web', tags: ['a', 'b'] } }])
  const [entry] = await itemsOf({ topic: 'config', subject: 'service-defaults' })
  t.match(JSON.parse(entry.json), { Kind: 'service-defaults', Name: 'web', Protocol: 'http' })
  t.strictSame(await itemsOf({ topic: 'intentions' }), [])
  const names = (await topics()).answers[0].topics.map(({ name }: { name: string }) => name)
  t.strictSame(names, ['health', 'services', 'nodes', 'kv', 'config', 'intentions'])
})

t.test('what is asked wrongly, and the end of the server', async t => {
  const { follow, feeds } = await start(t)
  const ended = async (request: object) => (await follow(request)).ended
  t.match(await ended({ topic: 'x' }), { code: 'NOT_FOUND' })
  t.match(await ended({ topic: 'health' }), { code: 'INVALID_ARGUMENT' })
  t.match(await ended({ topic: 'nodes', resume: 'x' }), { code: 'INVALID_ARGUMENT' })
  t.match(await ended({ topic: 'nodes', filter: 'x y' }), { code: 'INVALID_ARGUMENT' })
  const left = await follow({ topic: 'nodes' })
  await told(left, 1)
  t.equal(feeds.stats.readers, 1)
  left.call.cancel()
  await until(() => feeds.stats.readers === 0)
  const stream = await follow({ topic: 'nodes' })
  await told(stream, 1)
  feeds.close()
  t.match(await stream.ended, { code: 'UNAVAILABLE', text: /stops/ })
})
