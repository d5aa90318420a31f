import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { everybody, type Who } from '../../../src/base/who.ts'
import {
  deregister,
  holderOf,
  nodeServices,
  type Registration,
  register,
  serviceInstances,
  serviceNames,
} from '../../../src/registry/catalog.ts'
import { nodeChecks, serviceChecks, serviceHealth } from '../../../src/registry/health.ts'
import type { Question } from '../../../src/store/ask.ts'
import type { Follows } from '../../../src/store/replica/engine.ts'
import type { Interest, View } from '../../../src/store/replica/interest.ts'
import {
  addressInterest,
  namesInterest,
  nodeInterest,
  serviceInterest,
} from '../../../src/store/replica/kinds.ts'
import type { Store } from '../../../src/store/store.ts'
import type { CheckRow, CheckStatus } from '../../../src/store/tables/check.ts'
import { addressValues } from '../../../src/store/tables/names.ts'
import type { ServiceRow } from '../../../src/store/tables/service.ts'
import { colds } from '../../conformance/store.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { propertyRuns } from '../../run/budget.ts'
import { flow, LateServer, openReplica, openStore, type TestReplica } from './world.ts'

const NOBODY: Follows = { id: '', token: '' }
const NODES = ['n1', 'N2', 'n3']
const SERVICES = ['web', 'Web', 'db', 'gone']
const ADDRESSES = ['10.0.0.1', '10.0.0.2', 'a.example']

const serviceRow = (node: string, name: string, id: string, more: Partial<ServiceRow> = {}) => ({
  ...{ node, id, name, kind: '', tags: [], address: '', taggedAddresses: {}, meta: {}, port: 80 },
  ...{ ports: [], socketPath: '', weights: { passing: 1, warning: 1 }, connectNative: false },
  ...{ enableTagOverride: false, agentOwned: false },
  ...more,
})

const checkRow = (
  node: string,
  service: ServiceRow | undefined,
  status: CheckStatus,
): CheckRow => ({
  ...{ node, checkId: `check:${service?.id ?? 'node'}`, name: 'a check', status, notes: '' },
  ...{ output: '', serviceId: service?.id ?? '', serviceName: service?.name ?? '' },
  ...{ serviceTags: [], type: '', interval: '', timeout: '', definition: {}, agentOwned: false },
})

interface Entry {
  readonly node: string
  readonly address: string
  readonly service: string | undefined
  readonly id: string
  readonly tags: readonly string[]
  readonly status: CheckStatus
}

const registrationOf = ({ node, address, service, id, tags, status }: Entry): Registration => {
  const row = service === undefined ? undefined : serviceRow(node, service, id, { tags, address })
  return {
    node: { node, id: '', address, taggedAddresses: {}, meta: {} },
    skipNodeUpdate: false,
    service: row,
    checks: [checkRow(node, row, status)],
  }
}

const put = async (store: Store, entry: Entry): Promise<void> => {
  await store.write(view => register(view, everybody, registrationOf(entry)))
}

/** What stands on an interest, as one value. */
const answersOf = (interest: Interest, who: Who): readonly Question<unknown>[] => {
  const { kind, name } = interest
  if (kind === 'service') {
    const filter = { tags: [], meta: [] }
    return [
      serviceInstances(who, name, filter),
      serviceHealth(who, name, { ...filter, passing: false }),
      serviceHealth(who, name, { ...filter, passing: true }),
      serviceChecks(who, name, []),
    ]
  }
  if (kind === 'node') return [nodeServices(who, name), nodeChecks(who, name)]
  if (kind === 'names') return [serviceNames(who, [])]
  const read = (view: View): unknown => holderOf(view, who, name)
  const newest = (view: View) => view.revision
  return [{ key: '', target: { scope: 'none' }, newest, read }]
}

/** A value without what differs between equal rows. */
const plain = (value: unknown): string => {
  const list = value !== null && typeof value === 'object' && Symbol.iterator in value
  return JSON.stringify(list ? [...(value as Iterable<unknown>)] : (value ?? null))
}

const interests: readonly Interest[] = [
  ...['web', 'db', 'gone', 'never'].map(serviceInterest),
  ...['n1', 'n2', 'absent'].map(nodeInterest),
  ...ADDRESSES.flatMap(addressValues).map(addressInterest),
  namesInterest,
]

const some = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)

const entry: fc.Arbitrary<Entry> = fc.record({
  node: some(NODES),
  address: some(ADDRESSES),
  service: fc.option(some(SERVICES), { nil: undefined }),
  id: some(['a', 'b']),
  tags: fc.subarray(['x', 'y']),
  status: some(['passing', 'warning', 'critical'] as const),
})

type Step =
  | { readonly do: 'put'; readonly entry: Entry }
  | { readonly do: 'remove'; readonly node: string; readonly id: string }
  | { readonly do: 'ask'; readonly which: number }
  | { readonly do: 'deliver'; readonly count: number }
  | { readonly do: 'see'; readonly server: number; readonly count: number }
  | { readonly do: 'cut' | 'forget' | 'restart'; readonly server: number }
  | { readonly do: 'turn' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('put' as const), entry }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('remove' as const),
      node: some(NODES),
      id: some(['', 'a', 'b']),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      which: fc.nat({ max: interests.length - 1 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('see' as const),
      server: fc.nat({ max: 1 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: some(['cut', 'forget', 'restart'] as const),
      server: fc.nat({ max: 1 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
)

/** Holds what a replica shows against the store as it was at that revision. */
class Judge {
  readonly #views = new Map<number, View>()
  readonly #asked = new Set<number>()
  readonly #last = new Map<string, { newest: number; answer: string }>()
  #revision = 0
  compared = 0

  note(store: Store): void {
    const view = store.view() as View
    this.#views.set(view.revision, view)
  }

  asked(which: number): void {
    this.#asked.add(which)
  }

  look({ replica }: TestReplica): void {
    const view = replica.view() as unknown as View
    assert(view.revision >= this.#revision, 'the revision does not go back')
    this.#revision = view.revision
    for (const which of this.#asked) {
      const interest = interests[which]!
      if (replica.stateOf(interest, NOBODY) !== 'live') continue
      const whole = this.#views.get(view.revision)
      assert(whole !== undefined, `revision ${view.revision} was the store's`)
      for (const [i, question] of answersOf(interest, everybody).entries()) {
        const answer = plain(question.read(view as never))
        assert.equal(answer, plain(question.read(whole as never)), `${interest.kind} ${i}`)
        const newest = question.newest(view as never, replica.scopes)
        assert(newest <= view.revision, 'no index is of the future')
        const last = this.#last.get(`${which} ${i}`)
        if (last !== undefined && question.key !== '') {
          assert(newest >= last.newest, 'the index does not go back')
          if (last.answer !== answer) {
            assert(newest > last.newest, `the index of ${interest.kind} ${i} tells of the change`)
          }
        }
        this.#last.set(`${which} ${i}`, { newest, answer })
        this.compared++
      }
    }
  }
}

async function run(steps: readonly Step[], room: number): Promise<number> {
  const clock = new FakeClock()
  const store = openStore(clock)
  const servers = [new LateServer(store, clock), new LateServer(store, clock)] as const
  const follower = openReplica(clock, servers[0], room)
  const judge = new Judge()
  judge.note(store)
  follower.replica.start()
  const act = async (one: Step): Promise<void> => {
    switch (one.do) {
      case 'put':
        await put(store, one.entry)
        judge.note(store)
        return
      case 'remove': {
        const { node, id } = one
        const request = { node, serviceId: id, checkId: '' }
        await store.write(view => deregister(view, everybody, request))
        judge.note(store)
        return
      }
      case 'ask':
        judge.asked(one.which)
        follower.replica.ensure([interests[one.which]!], NOBODY)?.catch(() => {})
        return
      case 'deliver':
        follower.link()?.deliver(one.count)
        return
      case 'see':
        servers[one.server]!.catchUp(one.count)
        return
      case 'forget':
        servers[one.server]!.forget()
        return
      case 'restart':
        servers[one.server]!.restart()
        return
      case 'cut':
        follower.aim(servers[one.server])
        follower.link()?.cut()
        await clock.advance(5_000)
        return
      case 'turn':
        await settled()
    }
  }
  for (const one of steps) {
    await act(one)
    await settled(1)
    judge.look(follower)
  }
  // In the end everything arrives.
  for (const server of servers) server.catchUp()
  await flow(follower)
  await clock.advance(1_500)
  await flow(follower)
  judge.look(follower)
  assert.equal(follower.replica.view().revision, store.view().revision)
  await follower.replica.close()
  for (const server of servers) server.close()
  await store.close()
  return judge.compared
}

t.test('a replica shows what the store was at its revision, whatever happens', async t => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
      some([1, 2, Number.POSITIVE_INFINITY]),
      async (steps, room) => {
        compared += await run(steps, room)
      },
    ),
    { numRuns: propertyRuns() },
  )
  t.ok(compared > 1_000, `${compared} answers were compared`)
})

t.test('cold rows are for servers to read', async t => {
  const { replica } = openReplica(new FakeClock(), undefined)
  const refused = { code: 'unavailable', message: /the servers are asked for it/ }
  await t.rejects(replica.cold.get(colds, 'a'), refused)
  await t.rejects(replica.cold.scan(colds, '', { limit: 1 }), refused)
  await t.rejects(replica.cold.keys(colds, '', { limit: 1 }), refused)
  await t.rejects(replica.cold.prove(), refused)
  await t.rejects(replica.freeze(), { code: 'unavailable' })
  await replica.close()
})
