/** Which server is asked, what is repeated and what is not, and which token goes along. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { kvApi } from '../../src/client/api.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { settled } from '../fake/clock.ts'
import { FakeServers } from './link-fake.ts'

const get = { key: 'a' }
const again = { repeatable: true }

t.test('keeps to one server while it answers, and to another when it is away', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1', 'c:1'])
  for (let i = 0; i < 3; i++) await servers.call(kvApi.get, get, again)
  t.same(
    fake.seen.map(({ server }) => server),
    ['a:1', 'a:1', 'a:1'],
  )
  fake.down.add('a:1')
  await servers.call(kvApi.get, get)
  await servers.call(kvApi.get, get)
  const [fourth, fifth] = fake.seen.slice(3).map(({ server }) => server)
  t.not(fourth, 'a:1')
  t.equal(fifth, fourth)
})

t.test('waits for servers that are all away, longer each time, and not for ever', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1'])
  fake.down.add('a:1').add('b:1')
  const call = servers.call(kvApi.get, get, { timeoutMs: 3_000 })
  const refused = t.rejects(call, { code: 'UNAVAILABLE', retryable: true, mayHaveHappened: false })
  await fake.clock.advance(3_000)
  await refused
  t.equal(fake.seen.length, 0)
  const later = servers.call(kvApi.get, get)
  await fake.clock.advance(2_000)
  fake.down.clear()
  await fake.clock.advance(limits.clientRetryMaxMs)
  await later
  t.equal(fake.seen.length, 1)
})

t.test('what may have been carried out is repeated only where that does no harm', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1'])
  let failures = 1
  fake.handle = () => {
    if (failures-- > 0) throw new GatehouseError('UNAVAILABLE', 'cut', { mayHaveHappened: true })
    return {}
  }
  await t.rejects(servers.call(kvApi.put, { key: 'a', value: Buffer.from(''), flags: '0' }), {
    code: 'UNAVAILABLE',
    mayHaveHappened: true,
  })
  t.equal(fake.seen.length, 1)
  failures = 1
  await fake.clock.advance(10_000)
  await servers.call(kvApi.get, get, again)
  t.equal(fake.seen.length, 3)
})

t.test('a silent server is left for another while there is time', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1'])
  fake.silent.add('a:1')
  const call = servers.call(kvApi.get, get, again)
  await fake.clock.advance(limits.clientTryMs)
  await call
  t.same(
    fake.seen.map(({ server }) => server),
    ['a:1', 'b:1'],
  )
})

t.test("refusals are the caller's: nobody else is asked", async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1'])
  for (const code of ['PERMISSION_DENIED', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED'] as const) {
    fake.handle = () => {
      throw new GatehouseError(code, 'no', { requestId: 'r1', retryAfterMs: 500 })
    }
    await t.rejects(servers.call(kvApi.get, get, again), { code, requestId: 'r1' })
  }
  t.equal(fake.seen.length, 3)
})

t.test('a refused token is replaced once', async t => {
  const fake = new FakeServers()
  const tokens = ['old', 'new', 'newer']
  const refused: string[] = []
  const servers = fake.to(['a:1'], {
    current: () => Promise.resolve(tokens[0]!),
    renew: token => {
      refused.push(token)
      tokens.shift()
      return Promise.resolve(true)
    },
  })
  fake.handle = ({ token }) => {
    if (token !== 'new') throw new GatehouseError('UNAUTHENTICATED', 'no such token')
    return { entry: null }
  }
  await servers.call(kvApi.get, get)
  t.same(
    fake.seen.map(({ token }) => token),
    ['old', 'new'],
  )
  fake.handle = () => {
    throw new GatehouseError('UNAUTHENTICATED', 'no such token')
  }
  await t.rejects(servers.call(kvApi.get, get), { code: 'UNAUTHENTICATED' })
  t.equal(fake.seen.length, 4)
})

t.test('who gives up, or closes the client, waits no longer', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1'])
  fake.silent.add('a:1')
  const giveUp = new AbortController()
  const call = servers.call(kvApi.get, get, { signal: giveUp.signal })
  await settled()
  giveUp.abort()
  await t.rejects(call, { code: 'CANCELLED' })
  fake.down.add('a:1')
  const waiting = servers.call(kvApi.get, get)
  await settled()
  fake.closed.abort()
  await t.rejects(waiting, { code: 'CANCELLED', message: 'the client was closed' })
  await t.rejects(servers.call(kvApi.get, get), { code: 'CANCELLED' })
  t.equal(fake.clock.timers, 0)
})

t.test('many streams of one server share connections, but not one', async t => {
  const fake = new FakeServers()
  const servers = fake.to()
  const listener = { onMessage: () => {}, onEnd: () => {} }
  const { signal } = new AbortController()
  const most = limits.clientStreamsPerConnection
  const streams = []
  for (let i = 0; i < most; i++)
    streams.push(await servers.listen(kvApi.get, get, listener, signal))
  await servers.call(kvApi.get, get)
  t.equal(fake.links, 1)
  streams.pop()?.cancel()
  await servers.listen(kvApi.get, get, listener, signal)
  t.equal(fake.links, 1)
  await servers.listen(kvApi.get, get, listener, signal)
  t.equal(fake.links, 2)
  fake.streams[0]?.listener.onEnd(undefined)
  await servers.listen(kvApi.get, get, listener, signal)
  t.equal(fake.links, 2)
})

t.test('a stream is opened where a server answers', async t => {
  const fake = new FakeServers()
  const servers = fake.to(['a:1', 'b:1'], { current: async () => 'tok', renew: async () => false })
  fake.down.add('a:1')
  const listener = { onMessage: () => {}, onEnd: () => {} }
  const { signal } = new AbortController()
  await t.rejects(servers.listen(kvApi.get, get, listener, signal), { code: 'UNAVAILABLE' })
  const stream = await servers.listen(kvApi.get, get, listener, signal)
  t.equal(stream.server, 'b:1')
  t.equal(fake.streams[0]?.token, 'tok')
  stream.failed()
  fake.down.clear()
  await fake.clock.advance(limits.clientRetryMs)
  await servers.listen(kvApi.get, get, listener, signal)
  stream.cancel()
  t.equal(fake.streams[0]?.isCancelled, true)
})
