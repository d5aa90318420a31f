/**
 * gatehouse.v1.Registry through a client: registrations, heartbeats, and lists in pages.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { until } from '../../http/harness.ts'
import { type BothFaces, startBoth } from './harness.ts'

const names = (items: { name: string }[]): string[] => items.map(({ name }) => name)

/** A service `web` on so many nodes, the even ones with a check that passes. */
async function webOn({ ask }: BothFaces, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const status = at % 2 === 0 ? 'HEALTH_STATUS_PASSING' : 'HEALTH_STATUS_WARNING'
    await ask('Registry/Register', {
      node: { name: `n${at}`, address: `10.0.0.${at}`, meta: { rack: `r${at % 3}` } },
      service: { name: 'web', port: 80, tags: at === 0 ? ['v1', 'v2'] : ['v1'] },
      checks: [{ name: 'c', status, serviceId: 'web' }],
    })
  }
}

t.test('what is registered is found, and goes', async t => {
  const { ask, face } = await startBoth(t)
  await ask('Registry/Register', {
    node: {
      ...{ name: 'n1', address: '10.0.0.1', id: '0F3C7A52-1111-4222-8333-444455556677' },
      ...{ taggedAddresses: { lan: '10.0.0.1' }, meta: { a: 'b' } },
    },
    service: {
      ...{ name: 'db', id: 'db1', tags: ['x'], address: '10.0.0.2', meta: { m: 'n' } },
      taggedAddresses: { lan: { address: '10.0.0.3', port: 5 } },
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 2, default: true },
      ],
      weights: { passing: 3, warning: 2 },
    },
    checks: [
      {
        ...{ name: 'http', status: 'HEALTH_STATUS_PASSING', serviceId: 'db1', output: 'ok' },
        definition: {
          ...{ http: 'http://x', interval: { seconds: 10 }, header: { A: { values: ['b', 'c'] } } },
          ...{ timeout: { nanos: 500_000_000 }, tlsSkipVerify: true },
        },
      },
    ],
  })
  const { instances } = await ask('Registry/ListInstances', { service: 'db' })
  t.match(instances, [
    {
      node: { name: 'n1', id: '0f3c7a52-1111-4222-8333-444455556677', datacenter: 'dc1' },
      service: {
        ...{ id: 'db1', name: 'db', port: 2, tags: ['x'], meta: { m: 'n' } },
        ...{ weights: { passing: 3, warning: 2 }, ports: [{ name: 'a' }, { default: true }] },
        taggedAddresses: { lan: { address: '10.0.0.3', port: 5 } },
      },
      checks: [
        {
          ...{ checkId: 'http', serviceName: 'db', status: 'HEALTH_STATUS_PASSING' },
          definition: {
            ...{ http: 'http://x', interval: { seconds: 10, nanos: 0 }, tlsSkipVerify: true },
            ...{ timeout: { nanos: 500_000_000 }, header: { A: { values: ['b', 'c'] } } },
          },
        },
      ],
      status: 'HEALTH_STATUS_PASSING',
    },
  ])
  const [wire] = (await face.client.get('/v1/health/service/db')).json
  t.match(wire, { Service: { ID: 'db1', Port: 2 }, Checks: [{ Definition: { Timeout: '500ms' } }] })
  const node = await ask('Registry/GetNode', { name: 'N1' })
  t.match(node, { node: { name: 'n1', meta: { a: 'b' } }, services: [{ id: 'db1' }] })
  await ask('Registry/Deregister', { node: 'n1', serviceId: 'db1' })
  t.equal((await ask('Registry/ListInstances', { service: 'db' })).instances.length, 0)
  await ask('Registry/Deregister', { node: 'n1' })
  t.equal((await ask('Registry/GetNode', { name: 'n1' })).node, null)
})

t.test('lists: health, tags, meta, filters, what is near', async t => {
  const both = await startBoth(t)
  const { ask, call, face } = both
  await webOn(both, 6)
  const list = async (request: object): Promise<string[]> =>
    (await ask('Registry/ListInstances', { service: 'web', ...request })).instances.map(
      (one: { node: { name: string } }) => one.node.name,
    )
  t.strictSame(await list({}), ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'])
  t.strictSame(await list({ passingOnly: true }), ['n0', 'n2', 'n4'])
  t.strictSame(await list({ tags: ['V2'] }), ['n0'])
  t.strictSame(await list({ nodeMeta: { rack: 'r1' } }), ['n1', 'n4'])
  t.strictSame(await list({ filter: 'Node.Node == "n3" or Service.Port != 80' }), ['n3'])
  const at = async (node: string, x: number) =>
    face.client.put('/v1/coordinate/update', {
      ...{ Node: node, Segment: '' },
      Coord: { Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 0 },
    })
  for (const [node, x] of [
    ['n3', 0],
    ['n5', 0.1],
    ['n0', 0.2],
  ] as const)
    await at(node, x)
  await until(async () => (await list({ near: 'n3' }))[2] === 'n0')
  t.strictSame((await list({ near: 'n3' })).slice(0, 3), ['n3', 'n5', 'n0'])
  t.strictSame(names((await ask('Registry/ListServices')).services), ['consul', 'web'])
  const tags = (await ask('Registry/ListServices', { nodeMeta: { rack: 'r0' } })).services
  t.match(tags, [{ name: 'web', tags: ['v1', 'v2'] }])
  const filtered = await ask('Registry/ListServices', { filter: 'ServiceName == "web"' })
  t.strictSame(names(filtered.services), ['web'])
  const checks = async (request: object): Promise<number> =>
    (await ask('Registry/ListChecks', request)).checks.length
  t.equal(await checks({ node: 'n1' }), 1)
  t.equal(await checks({ service: 'web' }), 6)
  t.equal(await checks({ status: 'HEALTH_STATUS_WARNING' }), 3)
  t.equal(await checks({ service: 'web', nodeMeta: { rack: 'r1' } }), 2)
  t.equal(await checks({}), 7, "the server's own too")
  t.equal(
    (await call('Registry/ListInstances', { service: 'web', filter: 'x' })).code,
    'INVALID_ARGUMENT',
  )
})

t.test('lists: pages, whole however they are cut, and the fields that are wanted', async t => {
  const both = await startBoth(t)
  const { ask, call } = both
  await webOn(both, 7)
  const whole: [string, string, object][] = [
    ['Registry/ListInstances', 'instances', { service: 'web' }],
    ['Registry/ListInstances', 'instances', { service: 'web', near: 'n3' }],
    ['Registry/ListNodes', 'nodes', {}],
    ['Registry/ListServices', 'services', {}],
    ['Registry/ListChecks', 'checks', {}],
    ['Registry/ListChecks', 'checks', { service: 'web' }],
    ['Registry/ListChecks', 'checks', { status: 'HEALTH_STATUS_WARNING' }],
  ]
  for (const [name, field, request] of whole) {
    const all = (await ask(name, request))[field]
    const paged: unknown[] = []
    let pageToken = ''
    do {
      const page = await ask(name, { ...request, pageSize: 2, pageToken })
      paged.push(...page[field])
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    t.strictSame(paged, all, `${name} ${JSON.stringify(request)}`)
  }
  const { instances } = await ask('Registry/ListInstances', {
    ...{ service: 'web', pageSize: 1 },
    readMask: { paths: ['service.port', 'node.tagged_addresses', 'status'] },
  })
  t.match(instances[0], { service: { port: 80, name: '' }, status: 'HEALTH_STATUS_PASSING' })
  t.strictSame(instances[0].checks, [], 'what is not wanted is not there')
  t.equal(instances[0].node.name, '')
  for (const path of ['none', 'service.none', 'status.x', '']) {
    const request = { service: 'web', readMask: { paths: [path] } }
    const { code, text } = await call('Registry/ListInstances', request)
    t.equal(code, 'INVALID_ARGUMENT', text)
  }
})

t.test('every field of a message can be masked', async t => {
  const both = await startBoth(t)
  await webOn(both, 1)
  const lists: [string, string, object][] = [
    ['Registry/ListInstances', 'instances', { service: 'web' }],
    ['Registry/ListNodes', 'nodes', {}],
    ['Registry/ListChecks', 'checks', {}],
  ]
  for (const [name, field, request] of lists) {
    const [whole] = (await both.ask(name, request))[field]
    const paths = Object.keys(whole)
    t.ok(paths.length > 3)
    const [masked] = (await both.ask(name, { ...request, readMask: { paths } }))[field]
    t.strictSame(masked, whole)
  }
})

t.test('a read waits for a change of its own service', async t => {
  const both = await startBoth(t)
  const { ask, face } = both
  await webOn(both, 1)
  const { state } = await ask('Registry/ListInstances', { service: 'web' })
  const waiting = ask('Registry/ListInstances', { service: 'web', read: { index: state.index } })
  await face.waiting(1)
  await ask('Registry/Register', {
    node: { name: 'x', address: '10.9.9.9' },
    service: { name: 'o' },
  })
  await webOn(both, 2)
  const later = await waiting
  t.equal(later.instances.length, 2)
  t.ok(later.state.index > state.index)
})

t.test('heartbeats keep a registration alive, and say how it is', async t => {
  const { ask, call } = await startBoth(t)
  const ttl = { seconds: limits.registrationTtlMinMs / 1_000 }
  const register = (definition: object): Promise<unknown> =>
    ask('Registry/Register', {
      node: { name: 'app', address: '10.0.0.1' },
      service: { name: 'app' },
      checks: [{ checkId: 'alive', serviceId: 'app', status: 'HEALTH_STATUS_PASSING', definition }],
    })
  await register({ ttl })
  const beat = { node: 'app', checkId: 'alive' }
  t.match(await ask('Registry/Heartbeat', beat), { ttl })
  const before = (await ask('Registry/ListChecks', { node: 'app' })).checks[0]
  await ask('Registry/Heartbeat', beat)
  const after = (await ask('Registry/ListChecks', { node: 'app' })).checks[0]
  t.strictSame(after, before, 'what changes nothing writes nothing')
  await ask('Registry/Heartbeat', { ...beat, status: 'HEALTH_STATUS_WARNING', output: 'tired' })
  t.match((await ask('Registry/ListChecks', { node: 'app' })).checks, [
    { status: 'HEALTH_STATUS_WARNING', output: 'tired' },
  ])
  t.match(await call('Registry/Heartbeat', { ...beat, checkId: 'none' }), { code: 'NOT_FOUND' })
  t.match(await call('Registry/Heartbeat', {}), { code: 'INVALID_ARGUMENT' })
  await register({})
  t.match(await call('Registry/Heartbeat', beat), { code: 'INVALID_ARGUMENT', text: 'has no TTL' })
})

t.test('a stream keeps a registration alive; its end is no more than the end of that', async t => {
  const { ask, open } = await startBoth(t)
  const ttl = { seconds: limits.registrationTtlMinMs / 1_000 }
  await ask('Registry/Register', {
    node: { name: 'app', address: '10.0.0.1' },
    checks: [{ checkId: 'alive', status: 'HEALTH_STATUS_PASSING', definition: { ttl } }],
  })
  const stream = await open('Registry/KeepAlive')
  stream.send({ node: 'app', checkId: 'alive', status: 'HEALTH_STATUS_WARNING' })
  await until(() => stream.answers.length > 0)
  t.match(stream.answers, [{ ttl }])
  stream.call.cancel()
  await stream.ended
  const { checks } = await ask('Registry/ListChecks', { node: 'app' })
  t.match(checks, [{ status: 'HEALTH_STATUS_WARNING' }])
})

t.test('what is refused, in the words of HTTP', async t => {
  const { call } = await startBoth(t)
  const node = { name: 'n', address: '10.0.0.1' }
  const both = { port: 1, ports: [{ name: 'a', port: 2 }] }
  const cases: [string, object, string, string][] = [
    ['Registry/Register', {}, 'INVALID_ARGUMENT', 'Must provide node'],
    ['Registry/Register', { node: { name: 'n' } }, 'INVALID_ARGUMENT', 'Must provide address'],
    [
      'Registry/Register',
      { node, service: { id: 'x' } },
      'INVALID_ARGUMENT',
      'Must provide service name',
    ],
    [
      'Registry/Register',
      { node, service: { name: 's', kind: 'mesh-gateway' } },
      ...(['UNIMPLEMENTED', 'not served yet: Kind mesh-gateway'] as const),
    ],
    [
      'Registry/Register',
      { node, service: { name: 's', ...both } },
      'INVALID_ARGUMENT',
      'cannot both',
    ],
    ['Registry/Register', { node, checks: [{}] }, 'INVALID_ARGUMENT', 'Must provide a check ID'],
    ['Registry/Register', { node, checks: [{ status: 9 }] }, 'INVALID_ARGUMENT', 'Invalid check'],
    ['Registry/Deregister', {}, 'INVALID_ARGUMENT', 'Must provide node'],
    ['Registry/ListInstances', {}, 'INVALID_ARGUMENT', 'Missing service name'],
    ['Registry/GetNode', {}, 'INVALID_ARGUMENT', 'Missing node name'],
    ['Registry/ListChecks', { node: '' }, 'INVALID_ARGUMENT', 'Missing node name'],
    ['Registry/ListChecks', { service: '' }, 'INVALID_ARGUMENT', 'Missing service name'],
  ]
  for (const [name, request, code, text] of cases) {
    const ended = await call(name, request)
    t.equal(ended.code, code, `${name}: ${ended.text}`)
    t.match(ended.text, text)
  }
})
