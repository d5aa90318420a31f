/** How much a replica keeps, and for how long. */
import t, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { everybody } from '../../../src/base/who.ts'
import { serviceInstances } from '../../../src/registry/catalog.ts'
import type { Replica } from '../../../src/store/replica/engine.ts'
import { serviceInterest } from '../../../src/store/replica/kinds.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { scope } from '../../../src/store/tables/names.ts'
import { nodes } from '../../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../../src/store/tables/service.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { DirectWay, openStore, publish, replicaBy } from './world.ts'

const NOBODY = { id: '', token: '' }

const node = (name: string) =>
  put(nodes, name, { node: name, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} })
const service = (on: string, name: string, meta: Record<string, string> = {}) =>
  put(services, `${on}\0\0${name}`, {
    ...{ node: on, id: name, name, kind: '', tags: [], address: '', taggedAddresses: {}, port: 1 },
    ...{ meta, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)

interface World {
  readonly clock: FakeClock
  readonly store: Store
  readonly way: DirectWay
  readonly replica: Replica
  ask(name: string): Promise<void>
  /** How many instances of a service are here. */
  count(name: string): number
}

async function open(t: Test): Promise<World> {
  const clock = new FakeClock()
  const store = openStore(clock)
  const publisher = publish(store, clock)
  const way = new DirectWay(publisher)
  const replica = replicaBy(way, clock)
  t.teardown(async () => {
    await replica.close()
    publisher.close()
    await store.close()
  })
  return {
    ...{ clock, store, way, replica },
    ask: async name => replica.ensure([serviceInterest(name)], NOBODY),
    count(name) {
      const question = serviceInstances(everybody, name, { tags: [], meta: [] })
      return [...question.read(replica.view() as never)].length
    },
  }
}

t.test('rows are bounded: what was not asked for longest goes, and comes again', async t => {
  const { store, clock, replica, ask, count } = await open(t)
  const meta = { text: 'x'.repeat(4_000) }
  const on = Array.from({ length: 100 }, (_, at) => `n${at}`)
  await store.write(() => ({ txn: on.map(node), answer: undefined }))
  const names = Array.from({ length: 50 }, (_, at) => `s${at}`)
  for (const name of names) {
    const txn = on.map(one => service(one, name, meta))
    await store.write(() => ({ txn, answer: undefined }))
    await ask(name)
    await clock.advance(1)
    t.equal(count(name), on.length)
    t.ok(replica.kept.sizeBytes <= limits.viewRowsSizeBytes)
  }
  t.ok(replica.kept.interests < names.length)
  t.equal(replica.stateOf(serviceInterest('s0'), NOBODY), 'absent')
  await ask('s0')
  t.equal(count('s0'), on.length)
})

t.test(
  'names that nobody has are bounded too, and do not push out those that are there',
  async t => {
    const { store, replica, ask, count } = await open(t)
    await store.write(() => ({ txn: [node('a'), service('a', 'web')], answer: undefined }))
    await ask('web')
    for (let at = 0; at < 3 * limits.viewAbsentInterests; at += 64) {
      const names = Array.from({ length: 64 }, (_, i) => `invented-${at + i}`)
      await Promise.all(names.map(ask))
    }
    t.ok(replica.kept.interests <= limits.viewAbsentInterests + 65, `${replica.kept.interests}`)
    t.equal(count('web'), 1)
  },
)

t.test('what is used stays, what is not goes, and nothing while no server is there', async t => {
  const { store, clock, way, replica, ask } = await open(t)
  const txn = [node('a'), ...['used', 'waited', 'idle'].map(name => service('a', name))]
  await store.write(() => ({ txn, answer: undefined }))
  for (const name of ['used', 'waited', 'idle', 'absent']) await ask(name)
  await settled()
  const waiter = replica.scopes.wait({ scope: scope.health('waited') }, () => {})
  const stateOf = (name: string): string => {
    // Not to be asked for more than at the end: that would be a use.
    const kept = replica.scopes.known(scope.health(name))
    return kept === undefined ? 'gone' : 'here'
  }
  const used = replica.scopes.known(scope.health('used'))!
  for (let passedMs = 0; passedMs < 2 * limits.viewIdleMs; passedMs += limits.viewIdleMs / 4) {
    // As DNS does whenever it answers from what it keeps.
    used.isUsed = true
    await clock.advance(limits.viewSweepMs)
    await skip(clock, limits.viewIdleMs / 4)
  }
  t.equal(stateOf('used'), 'here')
  t.equal(stateOf('waited'), 'here')
  t.equal(stateOf('idle'), 'gone')
  t.equal(stateOf('absent'), 'gone')
  waiter.cancel()
  way.cut()
  await skip(clock, 3 * limits.viewIdleMs)
  t.equal(stateOf('waited'), 'here', 'it is all that anybody can be told')
})

/** Time passes at once, and then in steps: to fire the timer of each second takes long. */
async function skip(clock: FakeClock, ms: number): Promise<void> {
  clock.elapse(ms)
  await clock.advance(2 * limits.viewSweepMs)
}
