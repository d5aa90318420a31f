/** How long tokens and leases live. */
import fc from 'fast-check'
import tap from 'tap'
import { wallMs } from '../../../src/base/brand.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { type Ttl, type TtlWish, ttlOf } from '../../../src/secrets/token/ttl.ts'

const HOUR_MS = 3_600_000
const bounds = { defaultMs: 10 * HOUR_MS, maxMs: 20 * HOUR_MS }
const now = wallMs(1_800_000_000_000)

const longer = (wanted: string, effective: string): string =>
  `TTL of "${wanted}" exceeded the effective max_ttl of "${effective}"; TTL value is capped accordingly`

const CASES: readonly (readonly [
  string,
  Partial<TtlWish>,
  number | string,
  (readonly string[])?,
])[] = [
  ['nothing said', {}, 10],
  ["the caller's wish", { incrementMs: 3 * HOUR_MS }, 3],
  ["the role's", { ttlMs: 2 * HOUR_MS }, 2],
  ["the caller's before the role's", { incrementMs: HOUR_MS, ttlMs: 2 * HOUR_MS }, 1],
  ['beyond the mount', { incrementMs: 21 * HOUR_MS }, 20, [longer('21h0m0s', '20h0m0s')]],
  [
    'beyond the role',
    { incrementMs: 6 * HOUR_MS, maxTtlMs: 5 * HOUR_MS },
    5,
    [longer('6h0m0s', '5h0m0s')],
  ],
  [
    'a role cannot raise it',
    { incrementMs: 30 * HOUR_MS, maxTtlMs: 25 * HOUR_MS },
    20,
    [longer('30h0m0s', '20h0m0s')],
  ],
  ['explicitly less', { explicitMaxTtlMs: HOUR_MS }, 1, [longer('10h0m0s', '1h0m0s')]],
  ['a period', { periodMs: HOUR_MS }, 1],
  ['a period, whatever is asked', { periodMs: HOUR_MS, incrementMs: 5 * HOUR_MS }, 1],
  [
    'a period beyond the mount',
    { periodMs: 30 * HOUR_MS },
    20,
    [
      'period of "30h0m0s" exceeded the effective max_ttl of "20h0m0s"; period value is capped accordingly',
    ],
  ],
  ['a period of old', { periodMs: HOUR_MS, issuedAtMs: now - 500 * HOUR_MS }, 1],
  [
    'a period with an end',
    { periodMs: 2 * HOUR_MS, explicitMaxTtlMs: 5 * HOUR_MS, issuedAtMs: now - 4 * HOUR_MS },
    1,
    [longer('2h0m0s', '1h0m0s')],
  ],
  [
    'a period past its end',
    { periodMs: 2 * HOUR_MS, explicitMaxTtlMs: 5 * HOUR_MS, issuedAtMs: now - 5 * HOUR_MS },
    'past the max TTL, cannot renew',
  ],
  ['19 of 20 hours', { issuedAtMs: now - 19 * HOUR_MS }, 1, [longer('10h0m0s', '1h0m0s')]],
  [
    'a second before the end',
    { issuedAtMs: now - 20 * HOUR_MS + 1_000 },
    1 / 3600,
    [longer('10h0m0s', '1s')],
  ],
  [
    'within the last second',
    { issuedAtMs: now - 20 * HOUR_MS + 999 },
    'past the max TTL, cannot renew',
  ],
  ['at the end', { issuedAtMs: now - 20 * HOUR_MS }, 'past the max TTL, cannot renew'],
  [
    'a second after the end',
    { issuedAtMs: now - 20 * HOUR_MS - 1_000 },
    'past the max TTL, cannot renew',
  ],
]

tap.test('a table of lifetimes', async t => {
  for (const [name, wish, wanted, warnings = []] of CASES) {
    const got = ttlOf({ issuedAtMs: now, ...wish }, bounds, now)
    if (typeof wanted === 'string') t.match(got, { status: 400, text: wanted }, name)
    else t.strictSame(got, { ttlMs: wanted * HOUR_MS, warnings }, name)
  }
})

const aTime = fc.oneof(
  fc.integer({ min: 0, max: 3_000 }),
  fc.integer({ min: 0, max: 40 * HOUR_MS }),
)

tap.test('no lifetime ends later than any maximum, nor is it ever nothing', async t => {
  const wish = fc.record({
    incrementMs: aTime,
    ttlMs: aTime,
    maxTtlMs: aTime,
    explicitMaxTtlMs: aTime,
    ageMs: aTime,
    isPeriodic: fc.boolean(),
  })
  fc.assert(
    fc.property(wish, aTime, ({ ageMs, isPeriodic, ...rest }, periodMs) => {
      const issuedAtMs = now - ageMs
      const got = ttlOf({ ...rest, periodMs: isPeriodic ? periodMs : 0, issuedAtMs }, bounds, now)
      const periodic = isPeriodic && periodMs > 0
      const maxima = [bounds.maxMs, rest.maxTtlMs, rest.explicitMaxTtlMs].filter(one => one > 0)
      const endMs = periodic
        ? rest.explicitMaxTtlMs || Number.POSITIVE_INFINITY
        : Math.min(...maxima)
      if (got instanceof Refusal) return endMs - ageMs < 1_000
      const { ttlMs } = got as Ttl
      return (
        ageMs + ttlMs <= endMs &&
        ttlMs <= Math.max(1_000, Math.min(...maxima)) &&
        ttlMs % 1_000 === 0 &&
        ttlMs > 0
      )
    }),
  )
  t.pass('held')
})
