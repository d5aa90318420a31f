import t from 'tap'
import { kindOf } from '../../src/checks/mod.ts'

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
  t.match(kindOf({ http: 'http://a', ttlMs: 1 }), { kind: 'ttl' })
})

t.test('a definition of no kind, or without an interval', async t => {
  t.same(kindOf({}), { invalid: 'TTL must be > 0 for TTL checks' })
  t.same(kindOf({ tcp: 'a:1' }), {
    invalid: 'Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks',
  })
})
