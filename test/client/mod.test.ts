/** What users see: options that make no sense, which token goes where, and an end that ends all. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { type ConnectOptions, connect, GatehouseError } from '../../src/client/mod.ts'
import { settled } from '../fake/clock.ts'
import { FakeServers, type Seen } from './link-fake.ts'

function open(options: ConnectOptions = {}) {
  const fake = new FakeServers()
  const { clock, random } = fake
  const { dial } = fake.world
  fake.handle = answer
  const client = connect({ servers: ['a:1'], clock, random, dial, ...options })
  return { fake, client }
}

function answer({ method }: Seen): object {
  switch (method) {
    case 'Identity/Login':
      return { auth: { clientToken: 'got', durationSeconds: 60, renewable: true } }
    case 'Sessions/Create':
      return { id: 's1' }
    case 'Sessions/Lock':
      return { acquired: true, lockIndex: 1, modifyIndex: 5 }
    case 'Secrets/Read':
      return { data: Buffer.from('{"a":1}'), lease: null }
    case 'KV/Put':
      return { done: true, modifyIndex: 6 }
    default:
      return {}
  }
}

t.test('options that make no sense are refused at once', async t => {
  const login = { method: 'userpass', username: 'u', password: 'p' } as const
  for (const options of [
    { servers: [] },
    { servers: ['http://a:1'] },
    { servers: ['a'] },
    { token: 'x', login },
    { secrets: { token: 'x', login } },
  ]) {
    t.throws(() => connect(options), { name: 'GatehouseError', code: 'INVALID_ARGUMENT' })
  }
  for (const server of ['a:1', '[::1]:8502', 'server-1.example:8503']) {
    await connect({ servers: [server] }).close()
  }
})

t.test('one token for all, or one for each half', async t => {
  const one = open({ token: 'both' })
  await one.client.kv.put('a', 'b')
  await one.client.secret('secret/data/a')
  t.same(
    one.fake.seen.map(({ token }) => token),
    ['both', 'both'],
  )
  const two = open({
    token: 'registry',
    secrets: { login: { method: 'userpass', username: 'u', password: 'p' }, namespace: 'team' },
  })
  await two.client.kv.put('a', 'b')
  await two.client.secret('secret/data/a')
  t.same(
    two.fake.seen.map(({ method, token }) => `${method} ${token}`),
    ['KV/Put registry', 'Identity/Login ', 'Secrets/Read got'],
  )
  t.match(two.fake.seen[1]?.request, { namespace: 'team' })
  await Promise.all([one.client.close(), two.client.close()])
})

t.test('closing gives back what was taken, and leaves nothing behind', async t => {
  const { fake, client } = open({
    login: { method: 'userpass', username: 'u', password: 'p' },
  })
  const lookup = client.lookup('web')
  await client.register({ name: 'web', address: '10.0.0.1', port: 80, id: 'w' })
  await client.register({ name: 'db', address: '10.0.0.1', port: 81, id: 'd', keepOnClose: true })
  await client.lock('leader')
  await client.secret('secret/data/a')
  await settled()
  t.match(fake.streams[0]?.request, { topic: 'health', subject: 'web', resume: '' })
  t.match(fake.streams[1]?.request, { topic: 'kv', subject: 'leader' })
  const before = fake.seen.length
  await client.close()
  const said = fake.methods.slice(before)
  t.same(said.sort(), [
    'Identity/RevokeSelf',
    'Registry/Deregister',
    'Sessions/Destroy',
    'Sessions/Unlock',
  ])
  t.equal(fake.methods.at(-1), 'Identity/RevokeSelf', 'the others needed the token')
  await settled()
  t.same(
    fake.streams.map(({ isCancelled }) => isCancelled),
    [true, true],
  )
  t.equal(fake.clock.timers, 0)
  await t.rejects(lookup.ready(), { code: 'CANCELLED' })
  await t.rejects(client.kv.get('a'), { code: 'CANCELLED' })
  t.equal(client.close(), client.close())
})

t.test('closing does not wait for ever for servers that are away', async t => {
  const { fake, client } = open()
  await client.register({ name: 'web', address: '10.0.0.1', port: 80 })
  fake.silent.add('a:1')
  const closed = client.close()
  await fake.clock.advance(limits.clientCloseMs)
  await closed
  await settled()
  t.equal(fake.clock.timers, 0)
})

t.test('a lock is lost when its key is held by nobody or another', async t => {
  const { fake, client } = open()
  const lock = await client.lock('leader')
  await settled()
  const stream = fake.streams[0]!
  const tell = (revision: number, session: string): void => {
    const kv = { key: 'leader', value: Buffer.of(), flags: '0', session, modifyIndex: revision }
    const snapshot = { revision, resume: 'r', items: [{ key: 'leader', revision, kv }] }
    stream.listener.onMessage({ snapshot } as never)
  }
  tell(4, '')
  t.equal(lock.isHeld, true, 'what was before it was taken says nothing')
  tell(5, 's1')
  t.equal(lock.isHeld, true)
  tell(9, 's2')
  t.equal(lock.isHeld, false)
  t.match(lock.lost.reason, { code: 'ABORTED' })
  await client.close()
})

t.test('a view without rights holds up nobody else', async t => {
  const { fake, client } = open()
  const keys = client.follow('kv', 'secret/')
  await settled()
  const snapshot = { revision: 2, resume: 'r', items: [] }
  fake.streams[0]?.listener.onMessage({ snapshot } as never)
  fake.streams[0]?.listener.onEnd(new GatehouseError('PERMISSION_DENIED', 'no more'))
  await settled()
  t.equal(keys.isLive, false)
  await client.kv.put('a', 'b')
  t.equal(fake.methods.at(-1), 'KV/Put', 'at once')
  await client.close()
})

t.test('values have the form of their topic', async t => {
  const { fake, client } = open()
  const config = client.follow('config', 'service-defaults')
  const nodes = client.follow('nodes')
  await settled()
  const tell = (at: number, item: object): void => {
    const snapshot = { revision: 2, resume: 'r', items: [{ key: 'k', revision: 2, ...item }] }
    fake.streams[at]?.listener.onMessage({ snapshot } as never)
    fake.streams[at]?.listener.onMessage({ unheardOf: {} } as never)
  }
  tell(0, { json: Buffer.from('{"Name":"web"}') })
  tell(1, { node: { id: '', name: 'n1', address: '10.0.0.1', datacenter: 'dc1' } })
  t.same((await config.ready()).get('k'), { Name: 'web' })
  t.match((await nodes.ready()).get('k'), { name: 'n1', meta: {} })
  await client.close()
})
