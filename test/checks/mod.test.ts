import t from 'tap'
import { checkKinds, kindOf, startsPrograms } from '../../src/checks/mod.ts'

t.test('the kind of a definition', async t => {
  t.same(kindOf({ http: 'http://a', intervalMs: 1, method: 'PUT', tcpUseTls: true }), {
    kind: 'http',
    definition: { http: 'http://a', intervalMs: 1, method: 'PUT' },
  })
  t.same(kindOf({ tcp: 'a:1', intervalMs: 1, header: { a: ['secret'] } }), {
    kind: 'tcp',
    definition: { tcp: 'a:1', intervalMs: 1 },
  })
  t.same(kindOf({ ttlMs: 5, deregisterCriticalServiceAfterMs: 7 }), {
    kind: 'ttl',
    definition: { ttlMs: 5, deregisterCriticalServiceAfterMs: 7 },
  })
})

t.test('of two kinds the first of the list wins', async t => {
  t.match(kindOf({ http: 'http://a', tcp: 'a:1', intervalMs: 1 }), { kind: 'http' })
  const dockered = { dockerContainerId: 'd', scriptArgs: ['x'], osService: 'o', intervalMs: 1 }
  t.match(kindOf(dockered), { kind: 'docker' })
  t.match(kindOf({ scriptArgs: ['x'], h2ping: 'a:1', intervalMs: 1 }), { kind: 'script' })
  t.match(kindOf({ dockerContainerId: 'd', tcp: 'a:1', intervalMs: 1 }), { kind: 'tcp' })
})

t.test('a definition of no kind, or without an interval', async t => {
  t.same(kindOf({}), { invalid: 'TTL must be > 0 for TTL checks' })
  t.same(kindOf({ tcp: 'a:1' }), {
    invalid: 'Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks',
  })
})

t.test('kinds that contradict each other', async t => {
  t.same(kindOf({ http: 'http://a', ttlMs: 1, intervalMs: 1 }), {
    invalid: 'Interval and TTL cannot both be specified',
  })
  t.same(kindOf({ aliasService: 'a', tcp: 'a:1', intervalMs: 1 }), {
    invalid: 'Interval cannot be set for Alias checks',
  })
  t.same(kindOf({ aliasNode: 'a', ttlMs: 1 }), {
    invalid: 'TTL must be not be set for Alias checks',
  })
  t.match(kindOf({ aliasNode: 'a', intervalMs: 1 }), { kind: 'alias' })
})

t.test('the kinds that start programs of a definition, by name', async t => {
  const starting = checkKinds.map(({ kind }) => kind).filter(startsPrograms)
  t.same(starting.sort(), ['docker', 'script'])
  t.notOk(startsPrograms('maintenance'))
})
