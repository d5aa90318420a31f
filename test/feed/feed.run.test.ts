/** Who is told what when: snapshots, deltas, resumes, resyncs, slow readers, rights. */
import t from 'tap'
import { openAuthority, type Who } from '../../src/base/who.ts'
import { del, put } from '../../src/store/store.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { settled } from '../fake/clock.ts'
import { eventually, fresh, openWorld } from './support.ts'

const node = (name: string) =>
  put(nodes, name, { node: name, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} })
const keyOf = (on: string, id: string): string => `${on}\0\0${id}`
const service = (on: string, id: string, port: number, name = 'web') =>
  put(services, keyOf(on, id), {
    ...{ node: on, id, name, kind: '', tags: [], address: '', taggedAddresses: {}, port },
    ...{ meta: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)

const web = { topic: 'health', subject: 'web' }

t.test('a snapshot, then what changes, and nothing of others', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const reader = world.read(web)
  t.ok(await eventually(() => reader.isWhole))
  t.strictSame([...reader.state.keys()], ['a/w1'])
  await world.write(service('a', 'db', 5, 'db'))
  await world.write(service('a', 'w2', 2))
  t.ok(await eventually(() => reader.frames.length === 2))
  const at = await world.write(del(services, keyOf('a', 'w1')))
  t.ok(await eventually(() => reader.frames.length === 3))
  t.strictSame(reader.frames[2]!.deletes, ['a/w1'])
  t.equal(reader.frames[2]!.revision, world.store.indexOf(world.store.view().revision))
  t.ok(at > 0)
  t.strictSame(reader.state, fresh(world.store, web))
  t.strictSame(reader.faults, [])
})

t.test('a token goes on where it was', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1), service('a', 'w2', 1))
  const first = world.read(web)
  t.ok(await eventually(() => first.isWhole))
  first.close()
  await world.write(service('a', 'w2', 2))
  await world.write(del(services, keyOf('a', 'w1')))
  const second = world.read({ ...web, resume: first.resume }).goOnFrom(first)
  t.ok(await eventually(() => second.frames.length > 0))
  t.equal(second.frames[0]!.event, 'delta')
  t.strictSame(second.frames[0]!.deletes, ['a/w1'])
  t.strictSame(second.state, fresh(world.store, web))
  const third = world.read({ ...web, resume: second.resume }).goOnFrom(second)
  t.ok(await eventually(() => third.frames.length > 0))
  t.equal(third.frames[0]!.event, 'heartbeat', 'that nothing was missed is told, too')
  t.strictSame([...second.faults, ...third.faults], [])
})

t.test('a slow reader is told once what became of it', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const reader = world.read({ ...web, room: 1 })
  t.ok(await eventually(() => reader.frames.length === 1))
  for (let port = 2; port < 50; port++) await world.write(service('a', 'w1', port))
  await settled()
  t.equal(reader.frames.length, 1)
  reader.take()
  t.ok(await eventually(() => reader.frames.length === 2))
  t.strictSame(reader.state, fresh(world.store, web))
  t.strictSame(reader.faults, [])
})

t.test('strict: who lacks the right on the whole is refused, also later', async t => {
  let mayRead = false
  let changed = (): void => {}
  const who: Who = {
    accessor: 'narrow',
    get rights() {
      return mayRead ? 'wide' : 'narrow'
    },
    may: ({ resource }) => resource === 'node' || mayRead,
  }
  const authority = {
    ...openAuthority,
    authenticate: () => who,
    watch(_who: Who, told: () => void) {
      changed = told
      return () => {}
    },
  }
  const world = openWorld(t, { authority })
  await world.write(node('a'), service('a', 'w1', 1))
  const asked = { ...web, who, token: 'narrow', isStrict: true }
  t.throws(() => world.read(asked), /403.*lacks permission 'service:read' on "web"/)
  const loose = world.read({ ...asked, isStrict: false })
  t.ok(await eventually(() => loose.isWhole))
  t.equal(loose.state.size, 0)
  mayRead = true
  const reader = world.read(asked)
  t.ok(await eventually(() => reader.isWhole))
  t.equal(reader.state.size, 1)
  mayRead = false
  changed()
  t.ok(await eventually(() => reader.ended !== undefined))
  t.match(reader.ended, { status: 403, text: /service:read/ })
})
