/** Work of more than one transaction: marked, done in steps, finished by anybody. */
import t, { type Test } from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { fromText } from '../../src/base/bytes.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { endKvTree, stepKvTree, stepNode, stepSession } from '../../src/registry/ending.ts'
import { putKv } from '../../src/registry/kv.ts'
import { Registry } from '../../src/registry/room.run.ts'
import {
  allSessions,
  createSession,
  destroySession,
  endSessions,
  renewable,
} from '../../src/registry/session.ts'
import { registryTimers } from '../../src/registry/timers.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { type Decide, type Op, put, type Store } from '../../src/store/store.ts'
import { endings } from '../../src/store/tables/ending.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { services } from '../../src/store/tables/service.ts'
import { lockDelays, sessions } from '../../src/store/tables/session.ts'
import { ownRenewals, Timekeeper } from '../../src/store/timekeeper.ts'
import type { Version } from '../../src/store/view.ts'
import { Writer } from '../../src/store/writer.ts'
import { onEveryEngine } from '../http/engines.ts'
import {
  applyOps,
  everybody,
  nodeRow,
  only,
  putNode,
  putSession,
  serviceRow,
  viewOf,
} from './rules.ts'

const entry = (session = '', sizeBytes = 1) => ({
  value: Buffer.alloc(sizeBytes, 'v'),
  flags: 0n,
  session,
  lockIndex: 1,
})
const many = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
const name = (i: number): string => `k/${String(i).padStart(5, '0')}`

/** Decides, applies, and gives the answer with the number of operations. */
function run<A>(version: Version, decide: Decide<A>): { answer: A; ops: readonly Op[] } {
  const given = decide(new Recorder(version), wallMs(0), systemRandom)
  if (given instanceof Refusal) throw new Error(given.text)
  applyOps(version, given.txn)
  return { answer: given.answer as A, ops: given.txn }
}

/** Steps to the end; each must be small. Calls `between` after each. */
function finish(
  t: Test,
  version: Version,
  step: Decide<{ more: boolean }>,
  between: () => void = () => {},
): number {
  for (let steps = 1; ; steps++) {
    const { answer, ops } = run(version, step)
    if (ops.length > limits.endingOps + 2) t.fail(`${ops.length} operations`)
    between()
    if (!answer.more) return steps
  }
}

t.test('a tree of keys', t => {
  const version = viewOf(...many(3_000, i => put(kv, name(i), entry())))
  const marked = run(version, view => endKvTree(view, everybody, 'k/'))
  t.same(marked.answer, { more: true })
  t.equal(marked.ops.length, 1, 'nothing but the mark')
  let written = 0
  const steps = finish(
    t,
    version,
    view => stepKvTree(view, 'k/'),
    () => {
      // What is written meanwhile stays, before and behind what goes.
      for (const key of [`k/0-new-${written}`, `k/z-new-${written}`, name(written)]) {
        applyOps(version, [put(kv, key, entry())])
      }
      written++
    },
  )
  t.ok(steps > 2)
  t.equal(version.count(kv), 3 * written)
  t.equal(version.count(endings), 0)
  t.same(run(version, view => stepKvTree(view, 'k/')).ops, [], 'one more does nothing')
  const small = run(version, view => endKvTree(view, everybody, 'k/'))
  t.same([small.answer, small.ops.length], [{ more: false }, 3 * written], 'at once where it fits')
  const refused = endKvTree(version, only('key:read'), 'k/')
  t.match(refused, { status: 403 })
  t.end()
})

t.test('a session that holds very much', t => {
  for (const [what, held] of [
    ['very many locks', many(2_500, i => put(kv, name(i), entry('s')))],
    ['locks of large values', many(6, i => put(kv, name(i), entry('s', 200_000)))],
    [
      'one lock that is larger than a step',
      [put(kv, 'k', entry('s', 600_000)), put(kv, 'l', entry('s'))],
    ],
  ] as const) {
    const version = viewOf(putNode('n'), putSession('s', 'n', { lockDelayMs: 5_000 }), ...held)
    const destroyed = run(version, view => destroySession(view, everybody, 's'))
    t.equal(destroyed.answer, true)
    t.same(
      destroyed.ops.map(({ key }) => key),
      ['s'],
      `${what}: the mark alone`,
    )
    const keys = held.map(({ key }) => key)
    const isHeld = (key: string) => version.get(kv, key)?.row.session === 's'
    t.ok(keys.every(isHeld), 'no lock is freed yet')
    const acquire = (key: string) =>
      putKv(version, everybody, {
        ...{ key, value: Buffer.from('x'), flags: 0n, cas: undefined, release: undefined },
        acquire: 's',
      })
    t.match(acquire('new'), { status: 500, text: /invalid session/ })
    t.match(renewable(version, everybody, 's'), { status: 404 })
    t.same([...allSessions(everybody).read(version as never)], [], 'it is shown no more')
    t.same(run(version, view => destroySession(view, everybody, 's')).ops, [])
    const steps = finish(t, version, view => stepSession(view, 's'))
    t.ok(steps > 1, what)
    t.notOk(keys.some(isHeld))
    t.ok(keys.every(key => version.get(lockDelays, key)?.row.delayMs === 5_000))
    t.equal(version.get(sessions, 's'), undefined)
    t.same(run(version, view => stepSession(view, 's')).ops, [])
  }
  t.end()
})

t.test('sessions that end together share what fits, and the others are marked', t => {
  const version = viewOf(
    putNode('n'),
    ...many(3, i => putSession(`s${i}`, 'n')),
    ...many(900, i => put(kv, name(i), entry(`s${i % 3}`))),
    ...many(900, i => put(kv, `m${name(i)}`, entry('s1'))),
  )
  const ops = endSessions(version, version.find(sessions, 'node', 'n'))
  t.ok(ops.length <= limits.endingOps)
  applyOps(version, ops)
  t.equal(version.get(sessions, 's1')?.row.ending, 'marked')
  t.equal(version.get(sessions, 's0'), undefined)
  finish(t, version, view => stepSession(view, 's1'))
  t.equal(version.count(sessions), 0)
  t.end()
})

t.test('a node with very much on it', t => {
  const version = viewOf(
    putNode('n'),
    putNode('other'),
    ...many(2_500, i => put(services, onNode('n', `s${i}`), serviceRow('n', `s${i}`))),
    put(services, onNode('other', 's'), serviceRow('other', 's')),
    ...many(40, i => putSession(`i${i}`, 'n')),
    ...many(2_000, i => put(kv, name(i), entry('i3'))),
  )
  const request = { node: 'N', serviceId: '', checkId: '' }
  const gone = run(version, view => deregister(view, everybody, request))
  t.same(
    gone.ops.map(({ table, key }) => [table.name, key]),
    [['nodes', 'n']],
  )
  t.equal(version.get(nodes, 'n')?.row.ending, 'marked')
  const again = register(version, everybody, {
    ...{ node: nodeRow('n'), skipNodeUpdate: false, service: undefined, checks: [] },
  })
  t.match(again, { status: 503, text: /being deregistered/ })
  const session = createSession(
    version,
    everybody,
    'new',
    {
      ...{ name: '', node: 'n', lockDelayMs: 0, behavior: '', ttl: '' },
      nodeChecks: [],
      serviceChecks: [],
    },
    0,
  )
  t.match(session, { status: 500, text: /Missing node/ })
  t.same(run(version, view => deregister(view, everybody, request)).ops, [], 'twice is once')
  finish(t, version, view => stepNode(view, 'n'))
  t.equal(version.get(nodes, 'n'), undefined)
  t.equal(version.count(services), 1, 'of the other node')
  t.equal(version.count(sessions), 1, 'the one with very much goes its own way')
  finish(t, version, view => stepSession(view, 'i3'))
  t.equal(version.count(sessions), 0)
  t.notOk(version.prefix(kv, '').some(({ row }) => row.session !== ''))
  t.end()
})

function open(t: Test, store: Store) {
  const timekeeper = new Timekeeper(
    { store, clock: systemClock, random: systemRandom, log: silentLog },
    { role: 'registry', holder: 'one', kinds: registryTimers(0) },
  )
  t.teardown(() => timekeeper.stop())
  const registry = new Registry({
    store,
    writer: new Writer(store),
    renewals: ownRenewals(timekeeper),
    sessionTtlMinMs: 10_000,
    clock: systemClock,
    metrics: new Metrics(systemClock),
    timeouts: new Timeouts(systemClock),
    log: silentLog,
  })
  return { timekeeper, registry }
}

const fill = async (store: Store, ops: readonly Op[]): Promise<void> => {
  for (let at = 0; at < ops.length; at += 1_000) {
    await store.write(() => ({ txn: ops.slice(at, at + 1_000), answer: null }))
  }
}

t.test('on every engine', t => {
  onEveryEngine(t, async (t, newStore) => {
    t.test('what no transaction holds goes', async t => {
      const store = await newStore(t)()
      t.teardown(() => store.close())
      const { registry } = open(t, store)
      await fill(
        store,
        many(5_000, i => put(kv, name(i), entry())),
      )
      t.equal(await registry.deleteKvTree(everybody, 'k/'), true)
      t.equal(store.view().count(kv), 0)
      await fill(store, [
        putNode('n'),
        ...many(2_500, i => put(services, onNode('n', `s${i}`), serviceRow('n', `s${i}`))),
      ])
      await fill(store, [putSession('s', 'n')])
      for (const i of [0, 1, 2, 3, 4, 5]) await fill(store, [put(kv, name(i), entry('s', 400_000))])
      t.equal(await registry.destroySession(everybody, 's'), true)
      t.ok(
        store
          .view()
          .prefix(kv, 'k/')
          .every(({ row }) => row.session === ''),
      )
      t.equal(await registry.deregister(everybody, { node: 'n', serviceId: '', checkId: '' }), true)
      t.equal(store.view().count(services), 0)
      t.equal(store.view().count(nodes), 0)
      t.equal(store.view().count(sessions), 0)
    })

    t.test('another server goes on after any step', async t => {
      const store = await newStore(t)()
      t.teardown(() => store.close())
      await fill(store, [
        putNode('n'),
        ...many(1_500, i => put(kv, name(i), entry())),
        ...many(1_500, i => put(services, onNode('n', `s${i}`), serviceRow('n', `s${i}`))),
        putSession('s', 'n'),
        ...many(1_500, i => put(kv, `l/${i}`, entry('s'))),
      ])
      // Marked, and one step done; then nobody calls any more.
      await store.write(view => endKvTree(view, everybody, 'k/'))
      await store.write(view => stepKvTree(view, 'k/'))
      await store.write(view => destroySession(view, everybody, 's'))
      const request = { node: 'n', serviceId: '', checkId: '' }
      await store.write(view => deregister(view, everybody, request))
      await store.write(view => stepNode(view, fromText('n')))
      const { timekeeper } = open(t, store)
      timekeeper.start()
      const isDone = (): boolean =>
        [nodes, services, sessions, endings].every(
          table => store.view().count(table as never) === 0,
        )
      for (let polls = 0; polls < 3_000 && !isDone(); polls++) {
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      t.ok(isDone())
      t.equal(store.view().count(kv), 1_500)
      t.ok(
        store
          .view()
          .prefix(kv, 'l/')
          .every(({ row }) => row.session === ''),
      )
    })
  })
  t.end()
})
