/**
 * The checks of nodes without an agent: which are run, by whom, and what becomes of the catalog.
 */
import t, { type Test } from 'tap'
import { type ExternalConfig, externalChecks, probeOf } from '../../src/agent/external-checks.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { del, type Op, type Store } from '../../src/store/store.ts'
import { type CheckDefinition, type CheckRow, checks } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { services } from '../../src/store/tables/service.ts'
import { Timekeeper } from '../../src/store/timekeeper.ts'
import { httpTarget, toolsWith } from '../checks/support.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { putCheck, putNode, putService, viewOf } from '../registry/rules.ts'

const EXTERNAL = { meta: { 'external-node': 'true' } }

const config: ExternalConfig = {
  checkUpdateIntervalMs: 300_000,
  checkOutputMaxSizeBytes: 4_096,
  discardCheckOutput: false,
  checkReapIntervalMs: 30_000,
  checkDeregisterMinMs: 60_000,
}

t.test('what is run for a check of the catalog', async t => {
  const cases: [string, CheckDefinition, string | undefined][] = [
    ['http', { http: 'http://x/', intervalMs: 5_000 }, 'http 5000'],
    ['tcp', { tcp: 'x:1', intervalMs: 5_000 }, 'tcp 5000'],
    ['udp', { udp: 'x:1', intervalMs: 5_000 }, 'udp 5000'],
    ['grpc', { grpc: 'x:1', intervalMs: 5_000 }, 'grpc 5000'],
    ['h2ping', { h2ping: 'x:1', intervalMs: 5_000 }, 'h2ping 5000'],
    ['no interval', { http: 'http://x/' }, `http ${limits.checkExternalIntervalMs}`],
    ['script', { scriptArgs: ['true'], intervalMs: 5_000 }, undefined],
    ['docker', { dockerContainerId: 'c', scriptArgs: ['true'], intervalMs: 5_000 }, undefined],
    ['os_service', { osService: 'sshd', intervalMs: 5_000 }, undefined],
    ['alias', { aliasNode: 'other' }, undefined],
    ['ttl', { ttlMs: 5_000 }, undefined],
    ['ttl and http', { ttlMs: 5_000, http: 'http://x/' }, undefined],
    ['nothing', {}, undefined],
  ]
  for (const [name, definition, wanted] of cases) {
    const view = viewOf(putNode('n', EXTERNAL), putCheck('n', 'c', { definition }))
    const found = probeOf(view, onNode('n', 'c'))
    const shown = found && `${found.kind} ${found.definition.intervalMs}`
    t.equal(shown, wanted, name)
  }
  const definition = { http: 'http://x/', intervalMs: 5_000 }
  const others: [string, Op[]][] = [
    ['another node', [putNode('n'), putCheck('n', 'c', { definition })]],
    [
      'another value',
      [putNode('n', { meta: { 'external-node': 'yes' } }), putCheck('n', 'c', { definition })],
    ],
    [
      'an agent runs it',
      [putNode('n', EXTERNAL), putCheck('n', 'c', { definition, agentOwned: true })],
    ],
    ['no such check', [putNode('n', EXTERNAL)]],
  ]
  for (const [name, rows] of others) {
    t.equal(probeOf(viewOf(...rows), onNode('n', 'c')), undefined, name)
  }
})

interface World {
  readonly clock: FakeClock
  readonly store: Store
  /** Starts a server of the store; it takes the role when that is free. */
  server(holder: string, more?: Partial<ExternalConfig>): Timekeeper
  write(...txn: Op[]): Promise<void>
}

function world(t: Test): World {
  const clock = new FakeClock()
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const started: Timekeeper[] = []
  t.teardown(async () => {
    await Promise.all(started.map(one => one.stop()))
    await store.close()
  })
  return {
    clock,
    store,
    server(holder, more = {}) {
      // Checks start at once.
      const random = { ...systemRandom, fraction: () => 0 }
      const ports = { store, clock, random, log: silentLog, timeouts: new Timeouts(clock) }
      const duties = [externalChecks({ ...ports, tools: toolsWith() }, { ...config, ...more })]
      const server = new Timekeeper(ports, { role: 'registry', holder, kinds: [], duties })
      server.start()
      started.push(server)
      return server
    },
    async write(...txn) {
      await store.write(() => ({ txn, answer: undefined }))
    },
  }
}

const rowOf = ({ store }: World): CheckRow | undefined =>
  store.view().get(checks, onNode('n', 'c'))?.row

const statusOf = (w: World): string | undefined => rowOf(w)?.status

/** Lets the fake time run while real sockets work, until something holds. */
async function runUntil({ clock }: World, holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (holds()) return
    await clock.advance(100)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  throw new Error(`never: ${what}`)
}

/** A target whose health can be changed, and how often it was asked. */
async function target(t: Test) {
  const state = { status: 200, asked: 0 }
  const port = await httpTarget(t, (_request, response) => {
    state.asked++
    response.writeHead(state.status).end('body')
  })
  const definition = { http: `http://127.0.0.1:${port}/`, intervalMs: 1_000 }
  return { state, definition }
}

/** A node with a service and a check of it, which nobody has run yet. */
const registered = (definition: CheckDefinition): Op[] => [
  putNode('n', EXTERNAL),
  putService('n', 's', {}),
  putCheck('n', 'c', { serviceId: 's', serviceName: 's', status: 'critical', definition }),
]

t.test('a check follows its target; an unchanged result is not written', async t => {
  const w = world(t)
  const { state, definition } = await target(t)
  w.server('one')
  await w.write(...registered(definition))
  await runUntil(w, () => statusOf(w) === 'passing', 'it passes')
  t.match(rowOf(w)?.output, /^HTTP GET http:\/\/127.0.0.1:\d+\/: 200 OK Output: body$/)
  const at = w.store.view().revision
  const { asked } = state
  await runUntil(w, () => state.asked > asked + 5, 'it is asked again')
  t.equal(w.store.view().newest(checks), at)
  state.status = 503
  await runUntil(w, () => statusOf(w) === 'critical', 'it fails')
  t.match(rowOf(w)?.definition, definition, 'the rest of the row is as it was registered')
  state.status = 429
  await runUntil(w, () => statusOf(w) === 'warning', 'it warns')
})

t.test('checks come and go with registrations, meta and definitions', async t => {
  const w = world(t)
  const { state, definition } = await target(t)
  await w.write(...registered(definition))
  w.server('one')
  await runUntil(w, () => statusOf(w) === 'passing', 'one that was there before is run')
  const silent = async (what: string): Promise<void> => {
    await settled()
    await w.clock.advance(2_000)
    const { asked } = state
    await w.clock.advance(5_000)
    t.equal(state.asked, asked, what)
  }
  await w.write(putNode('n'))
  await silent('not without the meta')
  await w.write(putNode('n', EXTERNAL))
  const { asked } = state
  await runUntil(w, () => state.asked > asked, 'with the meta again')
  await w.write(putCheck('n', 'c', { status: 'passing', definition: {} }))
  await silent('not without a target')
  await w.write(putCheck('n', 'c', { status: 'critical', definition }))
  await runUntil(w, () => statusOf(w) === 'passing', 'with a target again')
  await w.write(putCheck('n', 'c', { status: 'critical', definition }))
  await runUntil(w, () => statusOf(w) === 'passing', 'what others say is corrected')
  await w.write(del(checks, onNode('n', 'c')))
  await silent('not once it is deregistered')
  t.equal(rowOf(w), undefined)
})

t.test('one of two servers probes; the other one takes over', async t => {
  const w = world(t)
  const { state, definition } = await target(t)
  const one = w.server('one')
  await runUntil(w, () => one.holding, 'the role is taken')
  const two = w.server('two')
  await w.write(...registered({ ...definition, intervalMs: 10_000 }))
  await runUntil(w, () => statusOf(w) === 'passing', 'it passes')
  for (let i = 0; i < 3; i++) {
    const { asked } = state
    await runUntil(w, () => state.asked > asked, 'it is asked again')
    await settled()
    t.equal(state.asked, asked + 1, 'once')
  }
  t.equal(two.holding, false)
  await one.stop()
  state.status = 500
  await runUntil(w, () => two.holding, 'the role moves')
  await runUntil(w, () => statusOf(w) === 'critical', 'the other server probes')
})

t.test('a service whose check stays critical is deregistered', async t => {
  const w = world(t)
  const { state, definition } = await target(t)
  const serviceOf = () => w.store.view().get(services, onNode('n', 's'))
  w.server('one', { checkReapIntervalMs: 1_000, checkDeregisterMinMs: 1_000 })
  await w.write(...registered({ ...definition, deregisterCriticalServiceAfterMs: 20_000 }))
  await runUntil(w, () => statusOf(w) === 'passing', 'it passes')
  state.status = 500
  await runUntil(w, () => statusOf(w) === 'critical', 'it fails')
  await w.clock.advance(15_000)
  t.ok(serviceOf())
  await runUntil(w, () => serviceOf() === undefined, 'the service goes')
  t.equal(rowOf(w), undefined, 'and its check')
})
