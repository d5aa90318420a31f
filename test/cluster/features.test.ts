/**
 * Feature levels: a level rises when all agree, and who does not speak it stays out.
 */
import fc from 'fast-check'
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import {
  archiveProblem,
  type Levels,
  ownLevels,
  raiseLevel,
  refuseLevel,
} from '../../src/cluster/features.ts'
import { enterServer, type ServerSelf, setState } from '../../src/cluster/servers.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { restoreSnapshot, saveSnapshot } from '../../src/store/snapshot.ts'
import { type Op, put } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { activeLevel, FEATURE_KEY, features, ServerState } from '../../src/store/tables/server.ts'
import type { Version } from '../../src/store/view.ts'
import { applyOps, viewOf } from '../registry/rules.ts'
import { propertyRuns } from '../run/budget.ts'

const NOW = wallMs(1)
const selfNamed = (name: string): ServerSelf => ({
  ...{ nodeId: name, name, address: '10.0.0.1', version: '1.0.0', hasAcl: false, meta: {} },
  ...{ ports: { server: 8300, serfLan: 8301, serfWan: 8302 }, sinceMs: 1 },
})
const written = (level: number): Op => put(features, FEATURE_KEY, { level })
/** A version that speaks `highest`, and the one before it. */
const version = (highest: number): Levels => ({ lowest: Math.max(1, highest - 1), highest })

/** Enters a server; gives the refusal's text, or ''. */
function enter(view: Version, name: string, levels: Levels): string {
  const given = enterServer(view, selfNamed(name), levels, NOW)
  if (given instanceof Refusal) return given.text
  applyOps(view, given.txn)
  return ''
}

const raise = (view: Version): number => {
  applyOps(view, raiseLevel(view).txn)
  return activeLevel(view)
}

t.test('what is written decides who may open the store', async t => {
  t.equal(refuseLevel(viewOf(), ownLevels), undefined)
  t.match(refuseLevel(viewOf(written(2)), ownLevels), {
    status: 409,
    text: /too old: it reads feature levels up to 1, and level 2 is written/,
  })
  t.equal(refuseLevel(viewOf(written(2)), version(2)), undefined)
  t.equal(refuseLevel(viewOf(written(2)), version(3)), undefined)
  t.match(refuseLevel(viewOf(written(2)), version(4)), { text: /too new/ })
})

t.test(
  'a restore makes nobody forgotten: the level stays where one server speaks less',
  async t => {
    const tables = withSystemTables(registryTables)
    const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
    t.teardown(() => store.close())
    const archive: Buffer[] = []
    for await (const chunk of saveSnapshot(store, tables)) archive.push(chunk)
    for (const [name, highest] of [
      ['a', 1],
      ['b', 2],
    ] as const) {
      await store.write(view => enterServer(view, selfNamed(name), version(highest), NOW))
    }
    const read = (async function* () {
      yield* archive
    })()
    const restored = await restoreSnapshot(store, read, undefined, tables)
    t.notOk(restored instanceof Refusal)
    t.equal(store.status().generation, 2)
    t.same(raiseLevel(store.view()), { txn: [], answer: 1 })
  },
)

t.test('an archive of a newer level is not restored', async t => {
  const rowAt = (level: number) => {
    return { key: features.prefix + FEATURE_KEY, body: features.codec.encode({ level }) }
  }
  t.equal(archiveProblem(rowAt(2), version(2)), undefined)
  t.match(archiveProblem(rowAt(3), version(2)), 'of feature level 3, and this server reads up to 2')
  t.equal(archiveProblem({ ...rowAt(3), key: 'kv/level' }, version(2)), undefined)
})

t.test('the next version joins and leaves, and comes to stay', async t => {
  const view = viewOf()
  for (const name of ['a', 'b', 'c']) t.equal(enter(view, name, version(1)), '')
  t.equal(raise(view), 1)
  t.equal(enter(view, 'd', version(2)), '')
  t.equal(raise(view), 1, 'the others do not speak it')
  applyOps(view, setState(view, 'd', ServerState.left, NOW).txn)
  for (const name of ['a', 'b']) t.equal(enter(view, name, version(2)), '')
  t.equal(raise(view), 1)
  t.equal(enter(view, 'a', version(1)), '', 'one goes back to the version before')
  t.equal(enter(view, 'a', version(2)), '')
  t.equal(enter(view, 'c', version(2)), '')
  t.equal(raise(view), 2, 'all agree')
  t.match(enter(view, 'b', version(1)), /too old/)
  t.match(enter(view, 'e', version(4)), /too new/)
  t.equal(enter(view, 'e', version(3)), '')
  t.equal(raise(view), 2)
})

t.test('a level is never above what any server of the list speaks', t => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    highest: fc.integer({ min: 1, max: 4 }),
    leaves: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), steps => {
      const view = viewOf()
      const spoken = new Map<string, number>()
      let before = 1
      for (const { name, highest, leaves } of steps) {
        if (leaves) {
          applyOps(view, setState(view, name, ServerState.left, NOW).txn)
          spoken.delete(name)
        } else if (enter(view, name, version(highest)) === '') spoken.set(name, highest)
        const level = raise(view)
        if (level < before) return false
        if ([...spoken.values()].some(one => one < level)) return false
        before = level
      }
      return true
    }),
    { numRuns: propertyRuns() },
  )
  t.end()
})
