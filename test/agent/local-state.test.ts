import t from 'tap'
import type { Config } from '../../src/agent/config.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError, type Refusal } from '../../src/base/errors.ts'
import { everybody } from '../../src/base/who.ts'
import { checkFromFile } from '../../src/http/registry/agent-body.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { updateLocalCheck } from '../../src/registry/local.ts'
import { createSession } from '../../src/registry/session.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal } from '../../src/store/store.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { sessions } from '../../src/store/tables/session.ts'
import { httpTarget, tcpTarget, until } from '../checks/support.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { freshFolder } from '../fake/folder.ts'
import {
  config,
  entry,
  given,
  ids,
  NODE,
  put,
  row,
  runUntil,
  say,
  shown,
  tables,
  type World,
  world,
} from './local-world.ts'

t.test('a start announces the server and registers what files say', async t => {
  const file = (body: object) => ({ body, where: 'web.hcl:1' }) as Config['services'][number]
  const w = world(t, {
    config: {
      services: [file({ Name: 'web', Port: 80, Check: { TTL: '10s' } }), file({ Name: 'db' })],
      checks: [file({ Name: 'disk', TTL: '30s', Status: 'passing' })],
    },
  })
  await w.agent.start()
  t.ok(w.store.view().get(nodes, NODE))
  t.ok(entry(w, 'consul'))
  t.same(ids(w).sort(), ['db', 'web'])
  t.same(
    w.agent
      .checks(everybody)
      .map(({ checkId }) => checkId)
      .sort(),
    ['disk', 'service:web'],
  )
  await put(w, { Name: 'api' })
  await say(w, 'service:web', 'passing', 'well')
  await w.agent.stop()

  const again = world(t, {
    ...w,
    config: { services: [file({ Name: 'web', Port: 81, Check: { TTL: '10s' } })], checks: [] },
  })
  await again.agent.start()
  t.same(ids(again).sort(), ['api', 'web'], 'what files do not say any more is gone')
  t.equal(entry(again, 'web')?.port, 81)
  t.equal(shown(again, 'service:web'), 'passing well', 'a status is kept')
  t.equal(shown(again, 'disk'), 'none')
})

t.test('a definition of a file that is refused names its place', async t => {
  const services = [{ body: { Name: '' }, where: 'web.hcl:7' }]
  const w = world(t, { config: { services } })
  await t.rejects(w.agent.start(), { message: 'web.hcl:7: Missing service name' })
})

t.test('an HTTP check follows its target, with thresholds', async t => {
  let status = 200
  let asked = 0
  const port = await httpTarget(t, (_request, response) => {
    asked++
    response.writeHead(status).end('hello')
  })
  const w = world(t)
  await w.agent.start()
  const http = `http://127.0.0.1:${port}/`
  const check = { HTTP: http, Interval: '1s', SuccessBeforePassing: 2, FailuresBeforeCritical: 2 }
  await put(w, { Name: 'web', Check: check })
  t.equal(row(w, 'service:web')?.status, 'critical')
  await runUntil(w, () => row(w, 'service:web')?.status === 'passing', 'passing')
  t.equal(asked, 1, 'the first success counts at once')
  t.equal(row(w, 'service:web')?.output, `HTTP GET ${http}: 200 OK Output: hello`)
  const { revision } = w.store.view()
  for (let i = 0; i < 5; i++) {
    const before = asked
    status = i % 2 === 0 ? 500 : 200
    await runUntil(w, () => asked > before, 'asked')
  }
  t.equal(w.store.view().revision, revision, 'flapping within the thresholds costs no write')
  status = 500
  await runUntil(w, () => row(w, 'service:web')?.status === 'critical', 'critical')
})

t.test('a session ends with its check, in the same revision', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10s', Status: 'passing' } })
  const request = {
    name: '',
    node: NODE,
    lockDelayMs: 0,
    behavior: 'release',
    ttl: '',
    ttlMs: 0,
    nodeChecks: ['serfHealth', 'service:web'],
    serviceChecks: [],
  }
  await w.store.write(view => createSession(view, everybody, 'one', request, 0))
  t.ok(w.store.view().get(sessions, 'one'))
  await w.clock.advance(9_000)
  const { revision } = w.store.view()
  await w.clock.advance(2_000)
  t.match(row(w, 'service:web'), { status: 'critical', output: 'TTL expired' })
  t.equal(w.store.view().get(sessions, 'one'), undefined)
  t.equal(w.store.view().revision, revision + 1)
})

t.test(
  'TTL: reports that change nothing cost no write; a new status is written at once',
  async t => {
    const w = world(t)
    await w.agent.start()
    await put(w, { Name: 'web', Check: { TTL: '10s' } })
    t.equal(await say(w, 'service:web', 'passing', 'well'), true)
    t.match(row(w, 'service:web'), { status: 'passing', output: 'well' })
    const { revision } = w.store.view()
    for (let i = 0; i < 20; i++) {
      await say(w, 'service:web', 'passing', 'well')
      await w.clock.advance(5_000)
    }
    t.equal(w.store.view().revision, revision)
    await say(w, 'service:web', 'warning')
    t.equal(w.store.view().revision, revision + 1)
    await w.clock.advance(11_000)
    t.match(row(w, 'service:web'), { status: 'critical', output: 'TTL expired' })
    await say(w, 'service:web', 'passing', 'back')
    t.match(row(w, 'service:web'), { status: 'passing', output: 'back' })
    const long = 'x'.repeat(5_000)
    await say(w, 'service:web', 'warning', long)
    t.match(row(w, 'service:web')?.output, /^x{4096} \.\.\. \(captured 4096 of 5000 bytes\)$/)
  },
)

t.test('TTL: who registers again is alive', async t => {
  const w = world(t)
  await w.agent.start()
  const body = { Name: 'web', Check: { TTL: '10s', Status: 'passing' } }
  for (let i = 0; i < 4; i++) {
    await put(w, body)
    await w.clock.advance(8_000)
  }
  t.equal(row(w, 'service:web')?.status, 'passing')
})

t.test('TTL: what cannot be reported', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TCP: '127.0.0.1:1', Interval: '10s' } })
  t.match(await say(w, 'serfHealth', 'passing'), { status: 404 })
  t.match(await say(w, 'service:web', 'passing'), {
    status: 500,
    text: 'CheckID "service:web" does not have associated TTL',
  })
})

t.test('outputs alone are gathered; the newest is shown', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m' } })
  await say(w, 'service:web', 'passing', 'one')
  const { revision } = w.store.view()
  for (let i = 0; i < 29; i++) {
    await say(w, 'service:web', 'passing', `output ${i}`)
    await w.clock.advance(10_000)
  }
  t.equal(w.store.view().revision, revision)
  t.equal(shown(w, 'service:web'), 'passing output 28')
  t.equal(row(w, 'service:web')?.output, 'one')
  await w.clock.advance(11_000)
  t.equal(w.store.view().revision, revision + 1)
  t.equal(row(w, 'service:web')?.output, 'output 28')
  await w.clock.advance(600_000)
  t.equal(row(w, 'service:web')?.status, 'critical')
})

t.test('reports that overtake each other: the newest is written last', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m' } })
  const reports = ['passing', 'critical', 'passing', 'warning', 'passing', 'critical'] as const
  const answers = reports.map((status, i) => say(w, 'service:web', status, `${i}`))
  t.same(
    await Promise.all(answers),
    answers.map(() => true),
  )
  t.match(row(w, 'service:web'), { status: 'critical', output: '5' })
})

t.test('a status of a definition holds against what the check said before', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m' } })
  await say(w, 'service:web', 'warning', 'so so')
  await put(w, { Name: 'web', Check: { TTL: '10m', Status: 'passing' } })
  await w.clock.advance(120_000)
  t.equal(row(w, 'service:web')?.status, 'passing')
  t.equal(shown(w, 'service:web'), 'passing so so')
})

t.test('a deregistration through the catalog stops the check', async t => {
  const { port } = await tcpTarget(t, () => asked++)
  let asked = 0
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TCP: `127.0.0.1:${port}`, Interval: '1s' } })
  await runUntil(w, () => row(w, 'service:web')?.status === 'passing', 'passing')
  const gone = { node: NODE, serviceId: 'web', checkId: '' }
  await w.store.write(view => deregister(view, everybody, gone))
  await settled()
  const before = asked
  await w.clock.advance(120_000)
  t.equal(asked, before)
  t.same(ids(w), [])
  t.equal(entry(w, 'web'), undefined, 'and it does not come back')
})

t.test('what others write over our entries is undone', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Port: 80, Check: { TTL: '10m', Status: 'passing' } })
  const node = { ...w.store.view().get(nodes, NODE)!.row, address: '10.0.0.9' }
  const edit = () =>
    w.store.write(view =>
      register(view, everybody, {
        node,
        skipNodeUpdate: false,
        service: { ...entry(w, 'web')!, port: 1, agentOwned: false },
        checks: [{ ...row(w, 'service:web')!, status: 'critical', agentOwned: false }],
      }),
    )
  await edit()
  t.equal(entry(w, 'web')?.port, 1)
  await w.clock.advance(1_100)
  t.match(entry(w, 'web'), { port: 80, agentOwned: true })
  t.match(row(w, 'service:web'), { status: 'passing', agentOwned: true })
  t.equal(w.store.view().get(nodes, NODE)!.row.address, '127.0.0.1')
  const { revision } = w.store.view()
  await w.clock.advance(300_000)
  t.equal(w.store.view().revision, revision, 'what is right costs no write')
  // Who fights over an entry gets one answer a second.
  for (let i = 0; i < 10; i++) {
    await edit()
    await w.clock.advance(100)
  }
  t.ok(w.store.view().revision - revision <= 10 + 4)
  const all = { node: NODE, serviceId: '', checkId: '' }
  await w.store.write(view => deregister(view, everybody, all))
  await w.clock.advance(1_100)
  t.ok(w.store.view().get(nodes, NODE), 'a deregistered node comes back')
  t.ok(entry(w, 'consul'))
  t.same(ids(w), [], 'without what was registered on it')
})

t.test('services whose checks stay critical are deregistered', async t => {
  const w = world(t)
  await w.agent.start()
  const after = { TTL: '10m', DeregisterCriticalServiceAfter: '10s' }
  await put(w, { Name: 'gone', Check: after })
  await put(w, { Name: 'back', Check: after })
  await put(w, { Name: 'long', Check: { TTL: '10m', DeregisterCriticalServiceAfter: '2m' } })
  await w.clock.advance(50_000)
  await say(w, 'service:back', 'passing')
  await say(w, 'service:back', 'critical')
  t.same(ids(w).sort(), ['back', 'gone', 'long'], 'a minute at least')
  await w.clock.advance(45_000)
  t.same(ids(w).sort(), ['back', 'long'])
  await w.clock.advance(60_000)
  t.same(ids(w), [])
})

t.test('maintenance outlives what checks say', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web' })
  const set = (serviceId: string | undefined, enable: boolean) =>
    w.agent.setMaintenance(everybody, { serviceId, enable, reason: 'why', token: '' })
  t.equal(await set('web', true), true)
  t.equal(await set(undefined, true), true)
  await w.clock.advance(120_000)
  t.equal(shown(w, '_service_maintenance:web'), 'critical ')
  t.equal(shown(w, '_node_maintenance'), 'critical ')
  await set('web', false)
  await set(undefined, false)
  t.same(w.agent.checks(everybody), [])
})

t.test('checks of the node, and their end', async t => {
  const w = world(t)
  await w.agent.start()
  const request = checkFromFile({ Name: 'disk', TTL: '10s', Status: 'passing' })
  if (isRefusal(request)) throw new Error(request.text)
  t.equal(await w.agent.registerCheck(everybody, request), true)
  t.equal(await say(w, 'disk', 'warning', '80 %'), true)
  t.equal(shown(w, 'disk'), 'warning 80 %')
  t.equal(await w.agent.deregisterCheck(everybody, 'disk'), true)
  t.equal(shown(w, 'disk'), 'none')
  t.match(await say(w, 'disk', 'passing'), { status: 404 })
  t.match(await w.agent.deregisterCheck(everybody, 'disk'), { status: 404 })
  t.match(await w.agent.deregisterService(everybody, 'web'), { status: 404 })
})

t.test('rights: lists show what the asker may see', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10s' } })
  await put(w, { Name: 'db', Check: { TTL: '10s' } })
  const who = {
    accessor: 'a',
    rights: 'web',
    may: ({ name }: { readonly name: string }) => name === 'web',
  }
  t.same(
    w.agent.services(who).map(({ row }) => row.id),
    ['web'],
  )
  t.same(
    w.agent.checks(who).map(({ checkId }) => checkId),
    ['service:web'],
  )
})

t.test('a write that fails is tried again, and told of once', async t => {
  const inner = openMemoryStore({ tables, clock: new FakeClock(), random: systemRandom })
  let isDown = false
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === 'write' && isDown) {
        return () => Promise.reject(new OperatingError(OperatingCode.unavailable, 'no quorum'))
      }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  t.teardown(() => inner.close())
  let status = 200
  const port = await httpTarget(t, (_request, response) => response.writeHead(status).end())
  const w = world(t, { store })
  await w.agent.start()
  for (let i = 0; i < 10; i++) {
    const check = { HTTP: `http://127.0.0.1:${port}/${i}`, Interval: '1s' }
    await put(w, { Name: `web${i}`, Check: check })
  }
  await put(w, { Name: 'ttl', Check: { TTL: '10m' } })
  await runUntil(w, () => row(w, 'service:web9')?.status === 'passing', 'passing')
  isDown = true
  status = 500
  await t.rejects(say(w, 'service:ttl', 'passing'), { code: 'unavailable' })
  await runUntil(w, () => shown(w, 'service:web9').startsWith('critical'), 'known here')
  t.equal(row(w, 'service:web9')?.status, 'passing')
  await w.clock.advance(1_100)
  t.ok(w.warnings.length < 6, `${w.warnings.length} lines`)
  isDown = false
  await runUntil(w, () => row(w, 'service:web9')?.status === 'critical', 'written')
  await w.clock.advance(61_100)
  t.equal(row(w, 'service:ttl')?.status, 'passing', 'the upkeep writes what nobody repeated')
})

t.test('a restart on disk keeps definitions and statuses', async t => {
  const folder = freshFolder(t)
  const clock = new FakeClock()
  const open = () => openLevelStore({ tables, clock, random: systemRandom, folder })
  const port = await httpTarget(t, (_request, response) => response.end('well'))
  const body = {
    Name: 'web',
    Checks: [{ TTL: '10s' }, { HTTP: `http://127.0.0.1:${port}/`, Interval: '60s' }],
  }
  const store = await open()
  const first = world(t, { store, clock })
  await first.agent.start()
  await put(first, body)
  await say(first, 'service:web:1', 'warning', 'so so')
  await runUntil(first, () => row(first, 'service:web:2')?.status === 'passing', 'passing')
  await clock.advance(1_000)
  await first.agent.stop()
  await store.close()
  await clock.pause(3_600_000)

  const reopened = await open()
  t.teardown(() => reopened.close())
  const { revision } = reopened.view()
  const second = world(t, { store: reopened, clock })
  await second.agent.start()
  t.same(ids(second), ['web'])
  t.equal(shown(second, 'service:web:1'), 'warning so so', 'the last status, time starts over')
  t.match(shown(second, 'service:web:2'), /^passing HTTP GET/)
  await clock.advance(8_000)
  t.equal(reopened.view().revision, revision, 'a restart costs no write')
  await clock.advance(4_000)
  await until(() => row(second, 'service:web:1')?.status === 'critical', 'lapsed')
})

t.test('a node that gets another name keeps what it was asked to keep', async t => {
  const w = world(t, { config: { nodeName: 'old-name' } })
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10s', Status: 'passing' } })
  await w.agent.stop()
  const renamed = world(t, { store: w.store, clock: w.clock })
  await renamed.agent.start()
  t.same(ids(renamed), ['web'])
  t.equal(shown(renamed, 'service:web'), 'passing ')
  t.same(
    w.store
      .view()
      .prefix(nodes, '')
      .map(({ row }) => row.node),
    [NODE],
  )
})

t.test('a store that was restored: the checks are those of the archive', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10s' } })
  await w.store.restore({ rows: [], index: 100, verify: () => {} })
  await w.clock.advance(1_100)
  t.same(ids(w), [])
  t.equal(shown(w, 'service:web'), 'none')
  t.ok(entry(w, 'consul'), 'and the server is announced again')
})

t.test('stopping: hanging targets are let go, nothing runs any more', async t => {
  const { port, sockets } = await tcpTarget(t)
  const w = world(t)
  await w.agent.start()
  for (let i = 0; i < 20; i++) {
    const check = { HTTP: `http://127.0.0.1:${port}/${i}`, Interval: '10s' }
    await put(w, { Name: `web${i}`, Check: check })
  }
  await runUntil(w, () => sockets.size === 20, 'asked')
  await w.agent.stop()
  await until(() => sockets.size === 0, 'closed')
  const { revision } = w.store.view()
  await w.clock.advance(200_000)
  t.equal(w.store.view().revision, revision)
  t.equal(sockets.size, 0)
})

const addCheck = async ({ agent }: World, body: object): Promise<true | Refusal> => {
  const request = checkFromFile(body)
  if (isRefusal(request)) throw new Error(request.text)
  return agent.registerCheck(everybody, request)
}

t.test('scripts are off unless they are switched on, for whom they are', async t => {
  const script = { Name: 'script', Args: ['true'], Interval: '1s' }
  const docker = { ...script, DockerContainerID: 'c' }
  const file = (body: object) => ({ body, where: 'web.hcl:1' }) as Config['services'][number]
  const remote =
    'Scripts are disabled on this agent from remote calls; ' +
    "to enable, configure 'enable_script_checks' to true"
  const off = world(t)
  await off.agent.start()
  t.match(await addCheck(off, script), { status: 400, text: remote })
  t.match(await addCheck(off, docker), { status: 400, text: remote })
  const service = given({ Name: 'web', Checks: [{ TTL: '10s' }, { ...script, Name: '' }] })
  t.match(await off.agent.registerService(everybody, service), { status: 400, text: remote })
  t.same(ids(off), [], 'nothing is half done')
  const refused = world(t, { config: { checks: [file(script)] } })
  await t.rejects(refused.agent.start(), {
    message:
      'web.hcl:1: Scripts are disabled on this agent; to enable, configure ' +
      "'enable_script_checks' or 'enable_local_script_checks' to true",
  })
  const byFiles = { byAnybody: false, byFiles: true }
  const local = world(t, { config: { checks: [file(script)], scriptChecks: byFiles } })
  await local.agent.start()
  await runUntil(local, () => row(local, 'script')?.status === 'passing', 'passing')
  t.match(await addCheck(local, { ...script, Name: 'other' }), { status: 400, text: remote })
})

t.test(
  'a reload with a script, where they are off, is refused before anything is done',
  async t => {
    const w = world(t)
    await w.agent.start()
    const script = { Name: 'script', Args: ['true'], Interval: '1s' }
    const file = (body: object) => ({ body, where: 'web.hcl:1' }) as Config['services'][number]
    const problem = /^web\.hcl:1: Scripts are disabled on this agent; to enable/
    t.match(w.agent.problemOf({ ...config, checks: [file(script)] }), problem)
    const service = file({ Name: 'web', Checks: [{ TTL: '1s' }, script] })
    t.match(w.agent.problemOf({ ...config, services: [service] }), problem)
    // The switch itself waits for a restart.
    const on = { byAnybody: true, byFiles: true }
    t.match(w.agent.problemOf({ ...config, scriptChecks: on, checks: [file(script)] }), problem)
    t.equal(w.agent.problemOf({ ...config, checks: [file({ Name: 'c', TTL: '1s' })] }), undefined)
  },
)

t.test('a script that was taken does not run once scripts are off', async t => {
  const on = world(t, { config: { scriptChecks: { byAnybody: true, byFiles: true } } })
  await on.agent.start()
  t.equal(await addCheck(on, { Name: 'script', Args: ['true'], Interval: '1s' }), true)
  await runUntil(on, () => row(on, 'script')?.status === 'passing', 'passing')
  await on.agent.stop()
  const off = world(t, { store: on.store, clock: on.clock })
  await off.agent.start()
  await off.clock.advance(5_000)
  t.match(row(off, 'script'), { status: 'critical', output: /^Scripts are disabled on this agent/ })
})

t.test('an alias follows its target, here and on another node', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'side', Check: { Name: 'alias', AliasService: 'web' } })
  await w.clock.advance(100)
  t.match(row(w, 'service:side'), { type: 'alias', status: 'critical' })
  t.equal(shown(w, 'service:side'), 'critical Service web could not be found on node ')
  await put(w, { Name: 'web', Check: { Name: 'web alive', TTL: '10m', Status: 'passing' } })
  await w.clock.advance(100)
  t.match(row(w, 'service:side'), { status: 'passing' })
  t.equal(shown(w, 'service:side'), 'passing All checks passing.')
  await say(w, 'service:web', 'warning', 'so so')
  await w.clock.advance(100)
  t.equal(shown(w, 'service:side'), 'warning Aliased check "web alive" failing: so so')
  await w.agent.setMaintenance(everybody, {
    serviceId: undefined,
    enable: true,
    reason: '',
    token: '',
  })
  await w.clock.advance(100)
  t.equal(row(w, 'service:side')?.status, 'critical', 'checks of the node count')
  await w.agent.setMaintenance(everybody, {
    serviceId: undefined,
    enable: false,
    reason: '',
    token: '',
  })
  await w.agent.deregisterService(everybody, 'web')
  await w.clock.advance(100)
  t.match(shown(w, 'service:side'), /^critical Service web could not be found/)

  await addCheck(w, { Name: 'far', AliasNode: 'other', AliasService: 'db' })
  await w.clock.advance(100)
  t.equal(shown(w, 'far'), 'critical Service db could not be found on node other')
  const node = { ...w.store.view().get(nodes, NODE)!.row, node: 'other', id: '' }
  const registration = {
    node,
    skipNodeUpdate: false,
    service: { ...given({ Name: 'db' }).service, node: 'other', agentOwned: false },
    checks: [],
  }
  await w.store.write(view => register(view, everybody, registration))
  await w.clock.advance(100)
  t.equal(shown(w, 'far'), 'passing No checks found.')
  // Outputs alone are written by then.
  await w.clock.advance(310_000)
  const { revision } = w.store.view()
  await w.clock.advance(60_000)
  t.equal(w.store.view().revision, revision, 'what does not change costs no write')
  await w.agent.deregisterCheck(everybody, 'far')
  await w.store.write(view =>
    deregister(view, everybody, { node: 'other', serviceId: '', checkId: '' }),
  )
  await w.clock.advance(100)
  t.equal(shown(w, 'far'), 'none')
})

t.test('a restart, and a new definition, find the target as it is', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m', Status: 'passing' } })
  await put(w, { Name: 'side', Check: { AliasService: 'web' } })
  await w.clock.advance(100)
  t.match(shown(w, 'service:side'), /^passing/)
  await put(w, { Name: 'side', Check: { AliasService: 'none' } })
  await w.clock.advance(100)
  t.match(shown(w, 'service:side'), /^critical Service none/)
  await put(w, { Name: 'side', Check: { AliasService: 'web' } })
  await w.agent.stop()
  await w.store.write(view => updateLocalCheck(view, everybody, NODE, 'service:web', ILL))
  const again = world(t, { store: w.store, clock: w.clock })
  await again.agent.start()
  await again.clock.advance(100)
  t.match(shown(again, 'service:side'), /^warning Aliased check .* failing: ill$/)
})

const ILL = { status: 'warning', output: 'ill' } as const

t.test('what a node holds that its agent does not know is removed, later, and told', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m', Status: 'passing' } })
  await w.clock.advance(5_000)
  const node = w.store.view().get(nodes, NODE)!.row
  const stray = { ...given({ Name: 'stray' }).service, agentOwned: false }
  const check = { ...row(w, 'service:web')!, agentOwned: false, type: '', definition: {} }
  const registration = {
    node,
    skipNodeUpdate: false,
    service: stray,
    checks: [
      { ...check, checkId: 'stray', serviceId: '', serviceName: '' },
      { ...check, checkId: 'of-stray', serviceId: 'stray' },
      { ...check, checkId: 'of-web', serviceId: 'web' },
    ],
  }
  await w.store.write(view => register(view, everybody, registration))
  await w.clock.advance(10_000)
  t.ok(entry(w, 'stray'), 'not at once')
  await w.clock.advance(60_000)
  t.equal(entry(w, 'stray'), undefined)
  for (const id of ['stray', 'of-stray', 'of-web']) t.equal(row(w, id), undefined, id)
  t.ok(row(w, 'service:web') && entry(w, 'web') && entry(w, 'consul') && row(w, 'serfHealth'))
  t.ok(w.warnings.some(text => /does not know on its node.*"unknownService":"stray"/.test(text)))
})

t.test('a deregistration through the catalog is told, one through the agent is not', async t => {
  const w = world(t)
  await w.agent.start()
  for (const Name of ['mine', 'taken']) await put(w, { Name })
  await w.agent.deregisterService(everybody, 'mine')
  const gone = { node: NODE, serviceId: 'taken', checkId: '' }
  await w.store.write(view => deregister(view, everybody, gone))
  await w.clock.advance(3_000)
  const lines = w.told.filter(text => text.includes('deregistered through the catalog'))
  t.equal(lines.length, 1)
  t.match(lines[0], /"service":"taken"/)
})

t.test('tags that the catalog was given stay, where the service says so', async t => {
  const w = world(t)
  await w.agent.start()
  await put(w, { Name: 'web', Tags: ['a'], Port: 80, EnableTagOverride: true })
  const node = w.store.view().get(nodes, NODE)!.row
  const service = { ...entry(w, 'web')!, tags: ['b'], port: 1, agentOwned: false }
  const edit = { node, skipNodeUpdate: false, service, checks: [] }
  await w.store.write(view => register(view, everybody, edit))
  await w.clock.advance(2_000)
  t.match(entry(w, 'web'), { tags: ['b'], port: 80, agentOwned: true })
})

t.test('outputs are not kept where that is asked for', async t => {
  const w = world(t, { config: { discardCheckOutput: true, checkUpdateIntervalMs: 0 } })
  await w.agent.start()
  const port = await httpTarget(t, (_request, response) => response.end('secret'))
  const http = { HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' }
  await put(w, { Name: 'web', Checks: [{ TTL: '10m' }, http] })
  await say(w, 'service:web:1', 'passing', 'secret')
  await runUntil(w, () => row(w, 'service:web:2')?.status === 'passing', 'passing')
  t.same(
    w.agent.checks(everybody).map(({ output }) => output),
    ['', ''],
  )
})

t.test('reaping is as often and as soon as it is configured', async t => {
  const config = { checkReapIntervalMs: 1_000, checkDeregisterMinMs: 5_000 }
  const w = world(t, { config })
  await w.agent.start()
  await put(w, { Name: 'web', Check: { TTL: '10m', DeregisterCriticalServiceAfter: '1s' } })
  await w.clock.advance(4_000)
  t.same(ids(w), ['web'])
  await w.clock.advance(3_000)
  t.same(ids(w), [])
})
