/** Which TTL is whose. */
import t from 'tap'
import { nodeTtlS, serviceTtlS } from '../../src/dns/config.ts'
import { configWith } from './support.ts'

t.test('the own name, else the longest prefix, else the star, else 0', async t => {
  const seconds = { web: 5, 'w*': 10, 'web-*': 20, '*': 30, 'Api*': 40 }
  const entries = Object.entries(seconds)
  for (const order of [entries, entries.toReversed()]) {
    const serviceTtlMs = Object.fromEntries(order.map(([key, value]) => [key, value * 1_000]))
    const config = configWith({ serviceTtlMs })
    const expected = { web: 5, WEB: 5, wide: 10, 'web-1': 20, db: 30, api: 40, 'API-2': 40 }
    for (const [name, ttlS] of Object.entries(expected)) {
      t.equal(serviceTtlS(config, name), ttlS, name)
    }
  }
  t.equal(serviceTtlS(configWith({ serviceTtlMs: { web: 1_000 } }), 'db'), 0)
})

t.test('parts of a second are cut off', async t => {
  t.equal(nodeTtlS(configWith({ nodeTtlMs: 1_999 })), 1)
  t.equal(serviceTtlS(configWith({ serviceTtlMs: { '*': 999 } }), 'web'), 0)
})
