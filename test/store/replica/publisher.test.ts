/** What a server does for those who follow: once for all of them, and for nobody without bound. */
import t, { type Test } from 'tap'
import { OperatingError } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { serviceInterest } from '../../../src/store/replica/kinds.ts'
import type { ViewAnswer, ViewSubscription } from '../../../src/store/replica/messages.ts'
import type { Follower, Publisher } from '../../../src/store/replica/publisher.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { nodes } from '../../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../../src/store/tables/service.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { openStore, publish } from './world.ts'

const HELLO = { clusterId: '', generation: 0, revision: 0 }

const node = (name: string) =>
  put(nodes, name, { node: name, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} })
const service = (on: string, name: string, port: number) =>
  put(services, `${on}\0\0${name}`, {
    ...{ node: on, id: name, name, kind: '', tags: [], address: '', taggedAddresses: {}, port },
    ...{ meta: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)

const web = (id: number): ViewSubscription => ({
  ...{ id, kind: 'service', name: Buffer.from(serviceInterest('web').name), token: '', since: 0 },
})

/** Somebody who follows, and takes what comes while he has room. */
class Taker {
  readonly answers: ViewAnswer[] = []
  readonly follower: Follower
  ended = ''

  constructor(publisher: Publisher, subscriptions: readonly ViewSubscription[], room = 1e9) {
    this.follower = publisher.open({
      send: answer => {
        this.answers.push(answer)
        return this.answers.length < room
      },
      end: reason => {
        this.ended = reason
      },
    })
    const request = { subscribe: subscriptions, unsubscribe: [], confirm: 0 }
    this.follower.receive({ hello: HELLO, ...request })
  }

  /** Takes what came. */
  take(): ViewAnswer[] {
    const taken = this.answers.splice(0)
    this.follower.drained()
    return taken
  }
}

async function open(t: Test): Promise<{ store: Store; clock: FakeClock; publisher: Publisher }> {
  const clock = new FakeClock()
  const store = openStore(clock)
  const publisher = publish(store, clock)
  t.teardown(async () => {
    publisher.close()
    await store.close()
  })
  await store.write(() => ({ txn: [node('a'), service('a', 'web', 1)], answer: undefined }))
  return { store, clock, publisher }
}

t.test('a change is encoded once for a thousand who follow it, and is the same bytes', async t => {
  const { store, publisher } = await open(t)
  const takers = Array.from({ length: 1_000 }, (_, id) => new Taker(publisher, [web(id + 1)]))
  while (takers.some(({ answers }) => answers.length === 0)) await settled()
  t.equal(publisher.stats.encoded, 1)
  for (const taker of takers) taker.take()
  await store.write(() => ({ txn: [service('a', 'web', 2)], answer: undefined }))
  while (takers.some(({ answers }) => answers.length === 0)) await settled()
  t.equal(publisher.stats.encoded, 2)
  const bodies = new Set(
    takers.flatMap(taker => taker.take()).map(({ updates }) => updates[0]?.body),
  )
  t.equal(bodies.size, 1)
  t.match(publisher.stats, { followers: 1_000, interests: 1, sent: 2_000 })
})

t.test('who does not take what comes is told of all changes at once when he does', async t => {
  const { store, publisher } = await open(t)
  const slow = new Taker(publisher, [web(1)], 1)
  const quick = new Taker(publisher, [web(1)])
  await settled()
  quick.take()
  for (let port = 2; port < 102; port++) {
    await store.write(() => ({ txn: [service('a', 'web', port)], answer: undefined }))
    await settled(2)
  }
  t.ok(quick.answers.length > 10)
  t.equal(slow.answers.length, 1, 'nothing waits for him')
  slow.take()
  await settled()
  t.equal(slow.answers.length, 1)
  const [late] = slow.take()
  t.match(late, { revision: store.view().revision, isLast: true })
  t.equal(late?.updates.length, 1)
})

t.test('nobody is shown a part of a revision, nor less than he has seen', async t => {
  const { store, clock, publisher } = await open(t)
  const names = Array.from({ length: 3_000 }, (_, at) => `n${at}`)
  for (let at = 0; at < names.length; at += 500) {
    const txn = names.slice(at, at + 500).flatMap(name => [node(name), service(name, 'web', 1)])
    await store.write(() => ({ txn, answer: undefined }))
  }
  const taker = new Taker(publisher, [web(1)])
  await settled(40)
  const answers = taker.take()
  t.ok(answers.length > 1, 'in pieces')
  t.same(new Set(answers.map(({ revision }) => revision)).size, 1)
  t.same(
    answers.map(({ isLast }) => isLast),
    answers.map((_, at) => at === answers.length - 1),
  )
  for (const { updates } of answers) {
    for (const { body } of updates) t.ok(body.length < 2 * limits.viewPieceSizeBytes)
  }
  const { clusterId, generation } = store.status()
  const ahead = new Taker(publisher, [])
  const seen = { clusterId, generation, revision: store.view().revision + 1 }
  ahead.follower.receive({ hello: seen, subscribe: [web(2)], unsubscribe: [], confirm: 0 })
  await clock.advance(0)
  ahead.take()
  await clock.advance(limits.viewHeartbeatMs)
  t.same(ahead.take(), [], 'he has seen more')
  await store.write(() => ({ txn: [service('a', 'web', 9)], answer: undefined }))
  await settled()
  t.match(ahead.take(), [{ revision: seen.revision }])
})

t.test('a heartbeat tells that nothing changed, and how old the view is', async t => {
  const { clock, publisher } = await open(t)
  const taker = new Taker(publisher, [web(1)])
  await settled()
  taker.take()
  await clock.advance(limits.viewHeartbeatMs)
  t.match(taker.take(), [{ updates: [], isLast: true, ageMs: 0 }])
})

t.test('what is not served, too much, and a server that stops', async t => {
  const { publisher } = await open(t)
  const taker = new Taker(publisher, [{ ...web(1), kind: 'weather' }])
  await settled()
  const [answer] = taker.take()
  t.match(answer?.updates, [{ state: 'REFUSED', status: 501 }])
  const many = Array.from({ length: limits.viewInterests + 1 }, (_, id) => web(id + 2))
  const request = { subscribe: many, unsubscribe: [], confirm: 0 }
  taker.follower.receive(request)
  await settled(40)
  const refused = taker
    .take()
    .flatMap(({ updates }) => updates)
    .filter(({ state }) => state === 'REFUSED')
  t.match(refused, [{ status: 429 }])
  taker.follower.receive({ subscribe: [], unsubscribe: many.map(({ id }) => id), confirm: 0 })
  t.equal(publisher.stats.interests, 0, 'nothing is kept for nobody')
  publisher.close()
  t.equal(taker.ended, 'the server stops')
  t.throws(() => new Taker(publisher, []), OperatingError)
})
