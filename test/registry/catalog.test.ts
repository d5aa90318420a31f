/**
 * The rules of the catalog, as tables: what registrations and deregistrations change, who may, and
 * what reads leave out.
 */
import t from 'tap'
import type { Who } from '../../src/base/who.ts'
import {
  allNodes,
  type Deregistration,
  deregister,
  holderOf,
  nodeServices,
  type Registration,
  register,
  serviceInstances,
  serviceNames,
} from '../../src/registry/catalog.ts'
import { type Decide, put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { addressFromText } from '../../src/wire/dns/mod.ts'
import {
  checkRow,
  everybody,
  nodeRow,
  only,
  putCheck,
  putNode,
  putService,
  putSession,
  serviceRow,
  table,
  viewOf,
} from './rules.ts'

const ID1 = '00000000-0000-4000-8000-000000000001'
const ID2 = '00000000-0000-4000-8000-000000000002'

const registering =
  (more: Partial<Registration>, who: Who = everybody): Decide<unknown> =>
  view => {
    const none = { node: nodeRow('n'), skipNodeUpdate: false, service: undefined, checks: [] }
    return register(view, who, { ...none, ...more })
  }

const deregistering =
  (more: Partial<Deregistration>, who: Who = everybody): Decide<unknown> =>
  view =>
    deregister(view, who, { node: 'n', serviceId: '', checkId: '', ...more })

const web = serviceRow('n', 'w1', { name: 'web' })
const held = (session: string) =>
  put(kv, 'lock', { value: Buffer.from('v'), flags: 0n, session, lockIndex: 1 })

const lacks = (right: string, name: string) => [
  `403 Permission denied: anonymous token lacks permission '${right}' on "${name}"`,
]

t.test('register: what is new is put, what is equal is left', async t => {
  table(t, [
    { name: 'a node', rule: registering({}), gives: ['put nodes n', 'answer true'] },
    {
      name: 'an equal node, under another case of its name',
      before: [putNode('n')],
      rule: registering({}),
      gives: ['answer true'],
    },
    {
      name: 'all of it',
      rule: registering({
        service: web,
        checks: [checkRow('n', 'c'), checkRow('N', 'd', { serviceId: 'w1' })],
      }),
      gives: [
        'put nodes n',
        'put services n|w1',
        'put checks n|c',
        'put checks n|d',
        'answer true',
      ],
    },
    {
      name: 'an equal service on a node that changed',
      before: [putNode('n'), putService('n', 'w1', { name: 'web' })],
      rule: registering({ node: nodeRow('n', { meta: { a: 'b' } }), service: web }),
      gives: ['put nodes n', 'answer true'],
    },
    {
      name: 'a node that is not to be touched',
      before: [putNode('n')],
      rule: registering({
        node: nodeRow('n', { address: '' }),
        skipNodeUpdate: true,
        service: web,
      }),
      gives: ['put services n|w1', 'answer true'],
    },
    {
      name: 'another name of a service: its checks follow, but for the given',
      before: [
        putNode('n'),
        putService('n', 'w1', { name: 'old' }),
        putCheck('n', 'c', { serviceId: 'w1', serviceName: 'old' }),
        putCheck('n', 'd', { serviceId: 'w1', serviceName: 'old' }),
        putCheck('n', 'e'),
      ],
      rule: registering({
        service: web,
        checks: [checkRow('n', 'd', { serviceId: 'w1', status: 'critical' })],
      }),
      gives: ['put services n|w1', 'put checks n|c', 'put checks n|d', 'answer true'],
    },
    {
      name: 'a check of a service that is not there',
      before: [putNode('n')],
      rule: registering({ checks: [checkRow('n', 'c', { serviceId: 'w1' })] }),
      gives: ["500 Unknown service ID 'w1' for check ID 'c'"],
    },
  ])
})

t.test('register: ids and names of nodes', async t => {
  const withId = (id: string) => ({ node: nodeRow('n', { id }) })
  table(t, [
    {
      name: 'no id does not take the id away',
      before: [putNode('n', { id: ID1 })],
      rule: registering({}),
      gives: ['answer true'],
    },
    {
      name: 'an id under a new name takes all of the old name along',
      before: [
        putNode('old', { id: ID1 }),
        putService('old', 'w1'),
        putCheck('old', 'c'),
        putSession('s', 'old'),
        held('s'),
      ],
      rule: registering(withId(ID1)),
      gives: [
        'del nodes old',
        'del services old|w1',
        'del checks old|c',
        'del sessions s',
        'put kv lock',
        'put nodes n',
        'answer true',
      ],
    },
    {
      name: 'the name of a silent holder',
      before: [putNode('n', { id: ID1 })],
      rule: registering(withId(ID2)),
      gives: ['put nodes n', 'answer true'],
    },
    {
      name: 'the name of a holder that failed',
      before: [putNode('n', { id: ID1 }), putCheck('n', 'serfHealth', { status: 'critical' })],
      rule: registering(withId(ID2)),
      gives: ['put nodes n', 'answer true'],
    },
    {
      name: 'the name of a living holder',
      before: [putNode('n', { id: ID1 }), putCheck('n', 'serfHealth')],
      rule: registering(withId(ID2)),
      gives: [
        `500 failed inserting node: Error while renaming Node ID: "${ID2}": ` +
          `Node name n is reserved by node ${ID1} with name n (10.0.0.1)`,
      ],
    },
  ])
})

t.test('register: rights, also on what is stored', async t => {
  const service = [putNode('n'), putService('n', 'w1', { name: 'secret' })]
  table(t, [
    { name: 'a new node', rule: registering({}, only()), gives: lacks('node:write', 'n') },
    {
      name: 'the node as it is, with a service',
      before: [putNode('n')],
      rule: registering({ service: web }, only('service:write web')),
      gives: ['put services n|w1', 'answer true'],
    },
    {
      name: 'a service in the place of another one',
      before: service,
      rule: registering({ service: web }, only('node:write', 'service:write web')),
      gives: lacks('service:write', 'secret'),
    },
    {
      name: "a check of a service is the service's",
      before: service,
      rule: registering(
        { checks: [checkRow('n', 'c', { serviceId: 'w1' })] },
        only('node:write', 'service:write web'),
      ),
      gives: lacks('service:write', 'secret'),
    },
    {
      name: "a check of the node is the node's",
      before: [putNode('n')],
      rule: registering({ checks: [checkRow('n', 'c')] }, only('service:write')),
      gives: lacks('node:write', 'n'),
    },
    {
      name: 'another name for an id',
      before: [putNode('old', { id: ID1 })],
      rule: registering({ node: nodeRow('n', { id: ID1 }) }, only('node:write n')),
      gives: lacks('node:write', 'old'),
    },
    {
      name: "a check in the place of another service's",
      before: [
        putNode('n'),
        putService('n', 'web'),
        putService('n', 's', { name: 'secret' }),
        putCheck('n', 'c', { serviceId: 's', serviceName: 'secret' }),
      ],
      rule: registering(
        { skipNodeUpdate: true, checks: [checkRow('n', 'c', { serviceId: 'web' })] },
        only('service:write web'),
      ),
      gives: lacks('service:write', 'secret'),
    },
    {
      name: "a check in the place of the node's",
      before: [putNode('n'), putService('n', 'web'), putCheck('n', 'c')],
      rule: registering(
        { skipNodeUpdate: true, checks: [checkRow('n', 'c', { serviceId: 'web' })] },
        only('service:write web'),
      ),
      gives: lacks('node:write', 'n'),
    },
  ])
})

t.test('a check that turns critical ends the sessions that stand on it', async t => {
  const before = [
    putNode('n'),
    putCheck('n', 'c'),
    putSession('s1', 'n', { nodeChecks: ['c'] }),
    putSession('s2', 'n', { serviceChecks: [{ id: 'c', namespace: '' }], lockDelayMs: 5 }),
    putSession('s3', 'n', { nodeChecks: ['d'] }),
    held('s2'),
  ]
  const failing = (status: 'warning' | 'critical') =>
    registering({ checks: [checkRow('n', 'c', { status })] })
  const gone = ['del sessions s1', 'del sessions s2', 'put kv lock', 'put lock-delays lock']
  table(t, [
    { name: 'warning', before, rule: failing('warning'), gives: ['put checks n|c', 'answer true'] },
    {
      name: 'critical',
      before,
      rule: failing('critical'),
      gives: ['put checks n|c', ...gone, 'answer true'],
    },
    {
      name: 'gone',
      before,
      rule: deregistering({ checkId: 'c' }),
      gives: ['del checks n|c', ...gone, 'answer true'],
    },
  ])
})

t.test('deregister', async t => {
  const before = [
    putNode('n'),
    putService('n', 'w1', { name: 'web' }),
    putService('n', 'w2', { name: 'web' }),
    putCheck('n', 'c1', { serviceId: 'w1', serviceName: 'web' }),
    putCheck('n', 'c'),
    putSession('s', 'n', { nodeChecks: ['c1'] }),
  ]
  table(t, [
    {
      name: 'a service takes its checks, and their sessions',
      before,
      rule: deregistering({ serviceId: 'w1' }),
      gives: ['del services n|w1', 'del checks n|c1', 'del sessions s', 'answer true'],
    },
    {
      name: 'a node takes all',
      before,
      rule: deregistering({ node: 'N' }),
      gives: [
        'del nodes n',
        'del services n|w1',
        'del services n|w2',
        'del checks n|c',
        'del checks n|c1',
        'del sessions s',
        'answer true',
      ],
    },
    { name: 'what is not there', rule: deregistering({ serviceId: 'x' }), gives: ['answer true'] },
    { name: 'nothing', rule: deregistering({ node: '' }), gives: ['500 Must provide node'] },
    {
      name: 'a service by whom may write it',
      before,
      rule: deregistering({ serviceId: 'w2' }, only('service:write web')),
      gives: ['del services n|w2', 'answer true'],
    },
    {
      name: 'a check of it likewise',
      before,
      rule: deregistering({ checkId: 'c1' }, only('service:write web')),
      gives: ['del checks n|c1', 'del sessions s', 'answer true'],
    },
    {
      name: 'a check of the node is not',
      before,
      rule: deregistering({ checkId: 'c' }, only('service:write')),
      gives: [`403 Permission denied: anonymous token lacks permission 'node:write' on "n"`],
    },
    {
      name: 'nor the node',
      before,
      rule: deregistering({}, only('service:write')),
      gives: [`403 Permission denied: anonymous token lacks permission 'node:write' on "n"`],
    },
    {
      name: 'who may write the node may remove all that stands on it',
      before,
      rule: deregistering({ serviceId: 'w2' }, only('node:write n')),
      gives: ['del services n|w2', 'answer true'],
    },
    {
      name: "another's service",
      before,
      rule: deregistering({ serviceId: 'w2' }, only('service:write db')),
      gives: lacks('service:write', 'web'),
    },
    {
      name: "a check of another's service",
      before,
      rule: deregistering({ checkId: 'c1' }, only('service:write db')),
      gives: lacks('service:write', 'web'),
    },
    {
      name: 'what is not there is so for who may write the node',
      before,
      rule: deregistering({ serviceId: 'w9' }, only('node:write n')),
      gives: ['answer true'],
    },
    {
      name: 'and not known to others',
      before,
      rule: deregistering({ serviceId: 'w9' }, only('service:write')),
      gives: ["500 Unknown service 'w9'"],
    },
    {
      name: 'nor a check',
      before,
      rule: deregistering({ checkId: 'c9' }, only('service:write')),
      gives: ["500 Unknown check 'c9'"],
    },
  ])
})

t.test('reads leave out what the asker may not see', async t => {
  const view = viewOf(
    putNode('a', { meta: { zone: '1' } }),
    putNode('b'),
    putService('a', 'w1', { name: 'web', tags: ['x', 'Y'] }),
    putService('b', 'w2', { name: 'web', tags: ['z', 'x'] }),
    putService('b', 'd', { name: 'db' }),
  )
  const names = (who: Who, meta: [string, string][] = []) =>
    [...serviceNames(who, meta).read(view)].map(one => `${one?.name}:${one?.tags}`)
  t.strictSame(names(everybody), ['db:', 'web:Y,x,z'])
  t.strictSame(names(only('service:read web')), ['web:Y,x,z'])
  t.strictSame(names(everybody, [['zone', '1']]), ['web:Y,x'])
  t.strictSame(names(everybody, [['zone', '2']]), [])
  const kept = (who: Who, meta: [string, string][], id: string) =>
    [...serviceNames(who, meta, ({ service }) => service.row.id === id).read(view)].flatMap(one =>
      one === undefined ? [] : [`${one.name}:${one.tags}`],
    )
  t.strictSame(kept(everybody, [], 'w2'), ['web:x,z'])
  t.strictSame(kept(only('service:read db'), [], 'w2'), [])
  t.strictSame(kept(everybody, [['zone', '1']], 'w2'), [])
  const all = (who: Who) => [...allNodes(who, []).read(view)].map(({ row }) => row.node)
  t.strictSame(all(everybody), ['a', 'b'])
  t.strictSame(all(only('node:read b')), ['b'])
  const instances = (who: Who, tags: string[] = []) =>
    [...serviceInstances(who, 'WEB', { tags, meta: [] }).read(view)].map(one => one.service.row.id)
  t.strictSame(instances(everybody), ['w1', 'w2'])
  t.strictSame(instances(everybody, ['y', 'X']), ['w1'])
  t.strictSame(instances(only('service:read', 'node:read b')), ['w2'])
  t.strictSame(instances(only('node:read')), [])
  const on = nodeServices(only('node:read', 'service:read db'), 'B').read(view)
  t.strictSame(
    on?.services.map(({ row }) => row.id),
    ['d'],
  )
  t.equal(nodeServices(only('service:read'), 'b').read(view), undefined)
  t.equal(nodeServices(everybody, 'none').read(view), undefined)
})

t.test('equal questions have equal keys, others have others', async t => {
  const filter = { tags: ['a'], meta: [] as [string, string][] }
  const keys = [
    serviceInstances(everybody, 'web', filter).key,
    serviceInstances(everybody, 'web', { ...filter, tags: [] }).key,
    serviceInstances(everybody, 'web', { ...filter, meta: [['a', 'b']] }).key,
    serviceInstances(everybody, 'db', filter).key,
    serviceNames(everybody, []).key,
    allNodes(everybody, []).key,
    nodeServices(everybody, 'web').key,
  ]
  t.equal(new Set(keys).size, keys.length)
  t.equal(serviceInstances(everybody, 'WEB', filter).key, keys[0])
})

t.test('who has an address: a node, else a service, however it was written', async t => {
  const view = viewOf(
    putNode('a', { address: '10.0.0.1' }),
    putNode('b', { address: '10.0.0.1' }),
    putNode('six', { address: 'FD00:0::0006' }),
    putService('a', 'w1', { name: 'web', address: '10.0.0.1' }),
    putService('a', 'w2', { name: 'web', address: '10.0.0.2' }),
    putService('b', 'd1', { name: 'db', address: '10.0.0.2' }),
    putService('b', 'h1', { name: 'host', address: 'outside.example' }),
  )
  const holder = (text: string, who: Who = everybody) =>
    holderOf(view, who, addressFromText(text) ?? '')
  t.strictSame(holder('10.0.0.1'), { node: 'a', service: undefined })
  t.strictSame(holder('fd00::6'), { node: 'six', service: undefined })
  t.strictSame(holder('10.0.0.2'), { node: 'a', service: 'web' })
  t.strictSame(holder('10.0.0.3'), undefined)
  t.strictSame(holder('10.0.0.1', only('node:read b')), { node: 'b', service: undefined })
  const dbOnB = only('service:read db', 'node:read b')
  t.strictSame(holder('10.0.0.2', dbOnB), { node: 'b', service: 'db' })
  t.strictSame(holder('10.0.0.2', only('service:read')), undefined, 'nothing without its node')
  t.strictSame(holder('10.0.0.2', only()), undefined)
})
