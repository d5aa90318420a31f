/**
 * gatehouse.v1.Sessions through a client: sessions, what keeps them alive, and locks that wait.
 */
import t from 'tap'
import { everybody, ownCall } from '../../../src/base/who.ts'
import type { GrpcCall, UnaryMethod } from '../../../src/grpc/declare.ts'
import { sessionsService } from '../../../src/grpc/registry/sessions.ts'
import { onEveryEngine } from '../../http/engines.ts'
import { until } from '../../http/harness.ts'
import { type BothFaces, startBoth } from './harness.ts'

const sec = (seconds: number): object => ({ seconds })
const ms = (count: number): object => ({ nanos: count * 1_000_000 })

/** Resolves once so many more wait for the store than before. */
function waits({ face: { store } }: BothFaces): (count: number) => Promise<void> {
  const before = store.scopes.waiting
  return count => until(() => store.scopes.waiting === before + count)
}

/** What a waiting lock listens to: the key, its delay and its session. */
const A_LOCK = 3

const create = async ({ ask }: BothFaces, more: object = {}): Promise<string> =>
  (await ask('Sessions/Create', { lockDelay: sec(0), ...more })).id

t.test('create, get, list, renew, destroy', async t => {
  const both = await startBoth(t)
  const { ask, call, face } = both
  const id = await create(both, { name: 'mine', ttl: sec(30), behavior: 'SESSION_BEHAVIOR_DELETE' })
  const plain = await create(both, { lockDelay: undefined })
  const { session, state } = await ask('Sessions/Get', { id })
  t.match(session, {
    ...{ id, name: 'mine', node: 'alpha', behavior: 'SESSION_BEHAVIOR_DELETE' },
    ...{ ttl: { seconds: 30, nanos: 0 }, lockDelay: { seconds: 0 }, nodeChecks: ['serfHealth'] },
  })
  t.ok(state.index > 0)
  const other = (await ask('Sessions/Get', { id: plain })).session
  t.match(other, { ttl: null, lockDelay: { seconds: 15 }, behavior: 'SESSION_BEHAVIOR_RELEASE' })
  const [wire] = (await face.client.get(`/v1/session/info/${id}`)).json
  t.match(wire, { ID: id, Name: 'mine', TTL: '30s', Behavior: 'delete' }, 'the same in HTTP')
  t.equal((await ask('Sessions/List')).sessions.length, 2)
  t.equal((await ask('Sessions/List', { node: 'alpha', pageSize: 1 })).sessions.length, 1)
  t.equal((await ask('Sessions/List', { node: 'other' })).sessions.length, 0)
  t.equal((await ask('Sessions/Renew', { id })).session.id, id)
  await ask('Sessions/Destroy', { id })
  await ask('Sessions/Destroy', { id })
  t.equal((await ask('Sessions/Get', { id })).session, null)
  t.match(await call('Sessions/Renew', { id }), {
    code: 'NOT_FOUND',
    text: `Session id '${id}' not`,
  })
})

t.test('what is refused, in the words of HTTP', async t => {
  const { call } = await startBoth(t)
  const cases: [string, object, string, string][] = [
    ['Sessions/Create', { node: 'none' }, 'INVALID_ARGUMENT', 'Missing node registration'],
    ['Sessions/Create', { nodeChecks: { ids: ['x'] } }, 'INVALID_ARGUMENT', `Missing check 'x'`],
    ['Sessions/Create', { ttl: ms(1) }, 'INVALID_ARGUMENT', 'Invalid Session TTL'],
    ['Sessions/Create', { behavior: 7 }, 'INVALID_ARGUMENT', `Invalid Behavior setting '7'`],
    ['Sessions/Renew', {}, 'INVALID_ARGUMENT', 'Missing session'],
    ['Sessions/Get', {}, 'INVALID_ARGUMENT', 'Missing session'],
    ['Sessions/Destroy', {}, 'INVALID_ARGUMENT', 'Missing session'],
    ['Sessions/Lock', {}, 'INVALID_ARGUMENT', 'Missing key name'],
    ['Sessions/Lock', { key: 'k' }, 'INVALID_ARGUMENT', 'missing session'],
    ['Sessions/Lock', { key: 'k', session: 'x' }, 'INVALID_ARGUMENT', 'invalid session "x"'],
    ['Sessions/Unlock', { key: 'k' }, 'INVALID_ARGUMENT', 'missing session'],
  ]
  for (const [name, request, code, text] of cases) {
    const ended = await call(name, request)
    t.equal(ended.code, code, `${name}: ${ended.text}`)
    t.match(ended.text, text)
  }
})

onEveryEngine(t, async (t, newStore) => {
  t.test('a lock is waited for, and each holder has a greater fencing index', async t => {
    const both = await startBoth(t, { open: newStore(t) })
    const { ask } = both
    const [one, other] = [await create(both), await create(both)]
    const first = await ask('Sessions/Lock', { key: 'l', session: one, value: Buffer.from('one') })
    t.match(first, { acquired: true, lockIndex: 1 })
    t.match(await ask('Sessions/Lock', { key: 'l', session: one }), {
      acquired: true,
      lockIndex: 1,
    })
    t.match(await ask('Sessions/Lock', { key: 'l', session: other, wait: sec(0) }), {
      ...{ acquired: false, lockIndex: 0, modifyIndex: 0 },
    })
    t.match(await ask('Sessions/Lock', { key: 'l', session: other, wait: ms(5) }), {
      acquired: false,
    })
    const more = waits(both)
    const waiting = ask('Sessions/Lock', { key: 'l', session: other })
    await more(A_LOCK)
    t.equal((await ask('Sessions/Unlock', { key: 'l', session: other })).released, false)
    t.equal((await ask('Sessions/Unlock', { key: 'l', session: one })).released, true)
    t.match(await waiting, { acquired: true, lockIndex: 2 })
    const { entry } = await ask('KV/Get', { key: 'l' })
    t.match(entry, { session: other, lockIndex: 2, value: Buffer.from('one') }, 'the value stays')
  })
})

t.test(
  'a lock heeds the delay after a holder that ended, and ends with its own session',
  async t => {
    const both = await startBoth(t)
    const { ask, call, face } = both
    const ended = await create(both, { lockDelay: ms(300) })
    const next = await create(both)
    await ask('Sessions/Lock', { key: 'd', session: ended })
    await ask('Sessions/Destroy', { id: ended })
    const at = await ask('KV/Get', { key: 'd' })
    t.equal(at.entry.session, '')
    t.match(await ask('Sessions/Lock', { key: 'd', session: next, wait: sec(0) }), {
      acquired: false,
    })
    t.match(await ask('Sessions/Lock', { key: 'd', session: next }), {
      acquired: true,
      lockIndex: 2,
    })
    const third = await create(both)
    const waiting = call('Sessions/Lock', { key: 'd', session: third })
    await until(() => face.store.scopes.waiting > 0)
    await ask('Sessions/Destroy', { id: third })
    t.match(await waiting, { code: 'INVALID_ARGUMENT', text: `invalid session "${third}"` })
  },
)

t.test('who leaves while he waits is not left with the lock', async t => {
  const both = await startBoth(t)
  const { ask, open } = both
  const [one, other] = [await create(both), await create(both)]
  await ask('Sessions/Lock', { key: 'g', session: one })
  const more = waits(both)
  const stream = await open('Sessions/Lock')
  stream.call.end({ key: 'g', session: other })
  await more(A_LOCK)
  stream.call.cancel()
  await more(0)
  await ask('Sessions/Unlock', { key: 'g', session: one })
  t.equal((await ask('KV/Get', { key: 'g' })).entry.session, '')
})

t.test('who left while his lock was written does not keep it', async t => {
  const both = await startBoth(t)
  const id = await create(both)
  const gone = new AbortController()
  const { registry } = both.ports
  const leaving = new Proxy(registry, {
    get(target, name) {
      if (name !== 'setKv') return Reflect.get(target, name).bind(target)
      return async (...given: Parameters<typeof registry.setKv>) => {
        const done = await registry.setKv(...given)
        gone.abort()
        return done
      }
    },
  })
  const lock = sessionsService({ ...both.ports, registry: leaving }).find(({ path }) =>
    path.endsWith('/Lock'),
  ) as UnaryMethod<object, object>
  const call = { who: ownCall(everybody, 'test'), signal: gone.signal, leftMs: undefined }
  await lock.run({ key: 'r', session: id, wait: null }, call as GrpcCall)
  const { entry } = await both.ask('KV/Get', { key: 'r' })
  t.match(entry, { session: '', lockIndex: 1 }, 'it was held, and is free again')
})

t.test('a stream keeps a session alive, and its end ends nothing', async t => {
  const both = await startBoth(t)
  const { ask, open } = both
  const id = await create(both, { ttl: ms(150) })
  const stream = await open('Sessions/KeepAlive')
  stream.send({ id })
  // Far beyond the TTL (doubled, as sessions end late): the server renews by itself.
  await until(() => stream.answers.length > 10)
  t.match(stream.answers[0], { session: { id } })
  t.equal((await ask('Sessions/Get', { id })).session.id, id)
  stream.call.end()
  t.equal((await stream.ended).code, 'OK')
  t.equal((await ask('Sessions/Get', { id })).session.id, id, 'its TTL decides')
  await until(async () => (await ask('Sessions/Get', { id })).session === null)
  const late = await open('Sessions/KeepAlive')
  late.send({ id })
  t.equal((await late.ended).code, 'NOT_FOUND')
})

t.test('a stream is about one session, and ends with it', async t => {
  const both = await startBoth(t)
  const { ask, open } = both
  const [one, other] = [await create(both, { ttl: ms(90) }), await create(both)]
  const mixed = await open('Sessions/KeepAlive')
  mixed.send({ id: one })
  mixed.send({ id: other })
  t.equal((await mixed.ended).code, 'INVALID_ARGUMENT')
  const kept = await open('Sessions/KeepAlive')
  kept.send({ id: one })
  await until(() => kept.answers.length > 0)
  await ask('Sessions/Destroy', { id: one })
  t.equal((await kept.ended).code, 'NOT_FOUND')
})
