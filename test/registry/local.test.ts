import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { type Access, everybody, type Who } from '../../src/base/who.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import {
  deregisterLocalCheck,
  deregisterLocalService,
  moveLocal,
  reapCritical,
  refuseTtlUpdate,
  registerLocalCheck,
  registerLocalService,
  restoreCheck,
  restoreService,
  type ServiceRegistration,
  setMaintenance,
  updateLocalCheck,
} from '../../src/registry/local.ts'
import { createSession } from '../../src/registry/session.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Decide, Store } from '../../src/store/store.ts'
import { type CheckRow, type CheckStatus, checks } from '../../src/store/tables/check.ts'
import { type LocalCheck, localChecks, localServices } from '../../src/store/tables/local.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { sessions } from '../../src/store/tables/session.ts'

const NODE = 'n1'
const owner = { node: NODE, fromFile: false }

function openStore(t: Test): Store {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  t.teardown(() => store.close())
  return store
}

/** Applies a rule; gives its answer, or the refusal as `status text`. */
async function run<A>(store: Store, decide: Decide<A>): Promise<A | string> {
  const written = await store.write(decide)
  return written instanceof Refusal ? `${written.status} ${written.text}` : written.answer
}

const service = (id: string, more: Partial<ServiceRow> = {}): ServiceRow => ({
  node: 'ignored',
  id,
  name: id,
  kind: '',
  tags: [],
  address: '',
  taggedAddresses: {},
  meta: {},
  port: 80,
  ports: [],
  socketPath: '',
  weights: { passing: 1, warning: 1 },
  enableTagOverride: false,
  connectNative: false,
  agentOwned: false,
  ...more,
})

const ttl = (checkId: string, more: Partial<LocalCheck> = {}): LocalCheck => ({
  checkId,
  name: '',
  notes: '',
  kind: 'ttl',
  serviceId: '',
  definition: { ttlMs: 10_000 },
  ttlMs: 10_000,
  successBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  outputMaxSizeBytes: 0,
  ...more,
})

const http = (checkId: string, more: Partial<LocalCheck> = {}): LocalCheck =>
  ttl(checkId, {
    kind: 'http',
    ttlMs: 0,
    definition: { http: 'http://a', header: { authorization: ['secret'] }, intervalMs: 10_000 },
    ...more,
  })

/** Registers a service with checks; a status after each check's colon is the definition's. */
const put = (
  store: Store,
  given: ServiceRow,
  list: readonly (LocalCheck | readonly [LocalCheck, CheckStatus])[] = [],
  more: Partial<ServiceRegistration> = {},
  who: Who = everybody,
) => {
  const entries = list.map(one =>
    'checkId' in one ? { check: one, status: '' as const } : { check: one[0], status: one[1] },
  )
  const request = { service: given, checks: entries, replaceChecks: false, token: '', ...more }
  return run(store, view => registerLocalService(view, who, owner, request))
}

const row = (store: Store, id: string): CheckRow | undefined =>
  store.view().get(checks, onNode(NODE, id))?.row

const say = (store: Store, id: string, status: CheckStatus, output = '') =>
  run(store, view => updateLocalCheck(view, everybody, NODE, id, { status, output }))

const may = (...rights: string[]): Who => ({
  accessor: 'a-b',
  rights: rights.join(),
  may: ({ capability, resource, name }: Access) =>
    rights.includes(`${resource}:${name}:${capability}`),
})

t.test('a service: its definition and its entries, in one revision', async t => {
  const store = openStore(t)
  const before = store.view().revision
  t.same(await put(store, service('web', { tags: ['v1'] }), [http(''), ttl('')]), [
    'service:web:1',
    'service:web:2',
  ])
  t.equal(store.view().revision, before + 1)
  const entry = store.view().get(services, onNode(NODE, 'web'))!.row
  t.match(entry, { node: NODE, id: 'web', agentOwned: true, tags: ['v1'] })
  t.same(store.view().get(localServices, onNode(NODE, 'web'))!.row.service, entry)
  t.same(row(store, 'service:web:1'), {
    node: NODE,
    checkId: 'service:web:1',
    name: "Service 'web' check",
    status: 'critical',
    notes: '',
    output: '',
    serviceId: 'web',
    serviceName: 'web',
    serviceTags: ['v1'],
    type: 'http',
    interval: '10s',
    timeout: '',
    definition: {},
    agentOwned: true,
  })
  t.match(row(store, 'service:web:2'), { type: 'ttl', interval: '', timeout: '' })
  t.same(await put(store, service('one'), [ttl('')]), ['service:one'])
})

t.test('registering equal things changes nothing', async t => {
  const store = openStore(t)
  await put(store, service('web'), [http(''), [ttl('mine'), 'passing']])
  const { revision } = store.view()
  await put(store, service('web'), [http(''), [ttl('mine'), 'passing']])
  t.equal(store.view().revision, revision)
})

t.test('a status is kept unless the definition carries one; the output is kept', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a'), [ttl('b'), 'passing']])
  await say(store, 'a', 'warning', 'so so')
  await put(store, service('web', { port: 81 }), [ttl('a', { notes: 'new' })])
  t.match(row(store, 'a'), { status: 'warning', output: 'so so', notes: 'new' })
  await put(store, service('web'), [[ttl('a'), 'passing']])
  t.match(row(store, 'a'), { status: 'passing', output: 'so so' })
  t.match(row(store, 'b'), { status: 'passing' }, 'not named: still there')
})

t.test('checks that are not named: kept, following the service, or replaced', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a'), ttl('b')])
  await run(store, view =>
    setMaintenance(view, everybody, NODE, {
      serviceId: 'web',
      enable: true,
      reason: '',
      token: '',
    }),
  )
  await put(store, service('web', { name: 'shop', tags: ['new'] }), [ttl('a')])
  t.match(row(store, 'b'), { serviceName: 'shop', serviceTags: ['new'] })
  await put(store, service('web'), [ttl('a')], { replaceChecks: true })
  t.equal(row(store, 'b'), undefined)
  t.equal(store.view().get(localChecks, onNode(NODE, 'b')), undefined)
  t.match(
    row(store, '_service_maintenance:web'),
    { serviceName: 'web' },
    'not the service’s to end',
  )
})

t.test('checks of the node, and of services', async t => {
  const store = openStore(t)
  const add = (check: LocalCheck, who = everybody) =>
    run(store, view => registerLocalCheck(view, who, owner, { check, status: '', token: 't' }))
  t.equal(await add(ttl('', { name: 'disk' })), 'disk')
  t.match(row(store, 'disk'), { serviceId: '', serviceName: '', interval: '0s', timeout: '0s' })
  t.equal(await add(ttl('x', { serviceId: 'web' })), '404 ServiceID "web" does not exist')
  await put(store, service('web', { tags: ['t'] }))
  t.equal(await add(ttl('x', { serviceId: 'web' })), 'x')
  t.match(row(store, 'x'), { serviceName: 'web', serviceTags: ['t'], interval: '' })
})

t.test('deregistering', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a'), ttl('b')])
  const drop = (id: string) => run(store, view => deregisterLocalService(view, everybody, NODE, id))
  const dropCheck = (id: string) =>
    run(store, view => deregisterLocalCheck(view, everybody, NODE, id))
  t.equal(
    await drop('x'),
    '404 Unknown service ID "x". Ensure that the service ID is passed, not the service name.',
  )
  t.equal(
    await dropCheck('serfHealth'),
    '404 Unknown check ID "serfHealth". Ensure that the check ID is passed, not the check name.',
  )
  t.equal(await dropCheck('a'), true)
  t.equal(row(store, 'a'), undefined)
  t.equal(await drop('web'), true)
  for (const table of [services, checks, localServices, localChecks]) {
    t.same(store.view().prefix(table as typeof services, ''), [])
  }
})

t.test('a deregistration through the catalog takes the definition with it', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a')])
  await run(store, view =>
    deregister(view, everybody, { node: NODE, serviceId: 'web', checkId: '' }),
  )
  t.same(store.view().prefix(localServices, ''), [])
  t.same(store.view().prefix(localChecks, ''), [])
})

t.test('what clients may say of a check', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a'), http('b')])
  const ask = (id: string, who = everybody) => {
    const refusal = refuseTtlUpdate(store.view(), who, NODE, id)
    return refusal === undefined ? 'yes' : `${refusal.status} ${refusal.text}`
  }
  t.equal(ask('a'), 'yes')
  t.match(ask('x'), /^404 Unknown check ID "x"/)
  t.equal(ask('b'), '500 CheckID "b" does not have associated TTL')
  t.match(ask('a', may('node:n1:write')), /^403 .*'service:write' on "web"/)
})

t.test('a check that turns critical ends the sessions on it, in the same revision', async t => {
  const store = openStore(t)
  const node = { node: NODE, id: '', address: '127.0.0.1', taggedAddresses: {}, meta: {} }
  await run(store, view =>
    register(view, everybody, { node, skipNodeUpdate: false, service: undefined, checks: [] }),
  )
  await put(store, service('web'), [[ttl('a'), 'passing']])
  const request = {
    name: '',
    node: NODE,
    lockDelayMs: 0,
    behavior: 'release',
    ttl: '',
    ttlMs: 0,
    nodeChecks: ['a'],
    serviceChecks: [],
  }
  await run(store, view => createSession(view, everybody, 'one', request, 0))
  await say(store, 'a', 'warning')
  t.ok(store.view().get(sessions, 'one'))
  const { revision } = store.view()
  t.equal(await say(store, 'a', 'critical', 'gone'), true)
  t.equal(store.view().get(sessions, 'one'), undefined)
  t.equal(store.view().revision, revision + 1)
  t.match(await say(store, 'x', 'passing'), /^404 Unknown check ID/)
})

t.test('maintenance of a service and of the node', async t => {
  const store = openStore(t)
  await put(store, service('web'))
  const set = (serviceId: string | undefined, enable: boolean, reason = '') =>
    run(store, view =>
      setMaintenance(view, everybody, NODE, { serviceId, enable, reason, token: '' }),
    )
  t.equal(await set('web', true, 'new disk'), true)
  t.match(row(store, '_service_maintenance:web'), {
    name: 'Service Maintenance Mode',
    type: 'maintenance',
    status: 'critical',
    notes: 'new disk',
    serviceName: 'web',
    interval: '',
  })
  t.equal(await set(undefined, true), true)
  t.match(row(store, '_node_maintenance'), {
    name: 'Node Maintenance Mode',
    notes: /./,
    serviceId: '',
    interval: '',
  })
  t.equal(await set('web', false), true)
  t.equal(await set('web', false), true, 'again changes nothing')
  t.equal(await set(undefined, false), true)
  t.same(store.view().prefix(checks, ''), [])
  t.match(await set('x', true), /^404 Unknown service ID "x"/)
})

t.test('reaping: services whose checks still are critical go', async t => {
  const store = openStore(t)
  await put(store, service('bad'), [ttl('a'), ttl('b')])
  await put(store, service('good'), [[ttl('c'), 'passing']])
  await run(store, view =>
    registerLocalCheck(view, everybody, owner, { check: ttl('node'), status: '', token: '' }),
  )
  const reaped = await run(store, view =>
    reapCritical(view, NODE, ['a', 'b', 'c', 'node', 'unknown']),
  )
  t.same(reaped, ['bad'])
  t.same(
    store
      .view()
      .prefix(checks, '')
      .map(({ row }) => row.checkId),
    ['c', 'node'],
  )
})

t.test('what others wrote over our entries is undone', async t => {
  const store = openStore(t)
  await put(store, service('web', { tags: ['ours'] }), [[ttl('a'), 'passing']])
  await put(store, service('open', { tags: ['ours'], enableTagOverride: true }))
  const node = { node: NODE, id: '', address: '127.0.0.1', taggedAddresses: {}, meta: {} }
  for (const id of ['web', 'open']) {
    const known = store.view().get(services, onNode(NODE, id))!.row
    const theirs = { ...known, tags: ['theirs'], port: 1, agentOwned: false }
    const check = { ...row(store, 'a')!, status: 'critical' as const, agentOwned: false }
    await run(store, view =>
      register(view, everybody, { node, skipNodeUpdate: false, service: theirs, checks: [check] }),
    )
  }
  const restore = () =>
    run(store, view => ({
      txn: [
        ...restoreService(view, NODE, 'web'),
        ...restoreService(view, NODE, 'open'),
        ...restoreService(view, NODE, 'unknown'),
        ...restoreCheck(view, NODE, 'a', { status: 'passing', output: 'ours' }),
        ...restoreCheck(view, NODE, 'unknown', { status: 'passing', output: '' }),
      ],
      answer: true,
    }))
  await restore()
  const entry = (id: string) => store.view().get(services, onNode(NODE, id))!.row
  t.match(entry('web'), { tags: ['ours'], port: 80, agentOwned: true })
  t.match(entry('open'), { tags: ['theirs'], port: 80, agentOwned: true }, 'tags may be theirs')
  t.same(store.view().get(localServices, onNode(NODE, 'open'))!.row.service.tags, ['theirs'])
  t.match(row(store, 'a'), { status: 'passing', output: 'ours', agentOwned: true })
  const { revision } = store.view()
  await restore()
  t.equal(store.view().revision, revision, 'what is right is left alone')
})

t.test('rights: on the service, on the one it replaces, on whose check it takes', async t => {
  const store = openStore(t)
  await put(store, service('web'), [ttl('a')])
  await put(store, service('db'), [ttl('d')])
  const web = may('service:web:write')
  t.match(await put(store, service('db'), [], {}, web), /^403 .*'service:write' on "db"/)
  t.match(await put(store, service('db', { name: 'web' }), [], {}, web), /^403 .*on "db"/)
  t.match(await put(store, service('web'), [ttl('d')], {}, web), /^403 .*on "db"/)
  t.same(await put(store, service('web'), [ttl('a')], {}, web), ['a'])
  const refused: [string, Promise<unknown>][] = [
    ['service', run(store, view => deregisterLocalService(view, web, NODE, 'db'))],
    ['service', run(store, view => deregisterLocalCheck(view, web, NODE, 'd'))],
    [
      'node',
      run(store, view =>
        registerLocalCheck(view, web, owner, { check: ttl('n'), status: '', token: '' }),
      ),
    ],
    [
      'node',
      run(store, view =>
        setMaintenance(view, web, NODE, {
          serviceId: undefined,
          enable: true,
          reason: '',
          token: '',
        }),
      ),
    ],
  ]
  for (const [resource, answer] of refused) {
    t.match(await answer, new RegExp(`^403 .*'${resource}:write'`))
  }
})

t.test('the server’s own entries cannot be defined', async t => {
  const store = openStore(t)
  t.match(await put(store, service('consul')), /^400 .*"consul" is reserved/)
  t.match(await put(store, service('web'), [ttl('serfHealth')]), /^400 .*"serfHealth" is reserved/)
  const check = ttl('', { name: 'serfHealth' })
  const alone = await run(store, view =>
    registerLocalCheck(view, everybody, owner, { check, status: '', token: '' }),
  )
  t.match(alone, /^400 /)
})

t.test('a node that gets another name keeps its definitions and what its checks said', async t => {
  const store = openStore(t)
  await put(store, service('web'), [[ttl('a'), 'passing']], { token: 'secret' })
  await put(store, service('db'), [ttl('d')])
  await run(store, view =>
    registerLocalCheck(view, everybody, owner, { check: ttl('n'), status: 'warning', token: '' }),
  )
  let turns = 0
  for (let more = true; more; turns++) {
    const moved = await run(store, view => moveLocal(view, NODE, 'n2'))
    more = typeof moved === 'object' && moved.more
  }
  t.equal(turns, 3)
  const view = store.view()
  for (const table of [services, checks, localServices, localChecks]) {
    t.same(view.prefix(table as typeof services, onNode(NODE, '')), [])
  }
  t.match(view.get(localServices, onNode('n2', 'web'))!.row, {
    node: 'n2',
    token: 'secret',
    service: { node: 'n2' },
  })
  t.match(view.get(services, onNode('n2', 'db'))!.row, { node: 'n2' })
  t.match(view.get(checks, onNode('n2', 'a'))!.row, { node: 'n2', status: 'passing' })
  t.match(view.get(checks, onNode('n2', 'n'))!.row, { node: 'n2', status: 'warning' })
})
