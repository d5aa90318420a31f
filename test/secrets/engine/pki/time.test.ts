import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import { lifeOf, timeOf, timeText } from '../../../../src/secrets/engine/pki/time.ts'
import { propertyRuns } from '../../../run/budget.ts'

const NOW_MS = Date.UTC(2026, 10, 26)
const ms = fc.integer({ min: 0, max: 400 * 86_400_000 })
const behavior = fc.constantFrom('err', 'truncate', 'permit', 'always_enforce_err' as const)

t.test('a certificate never lives longer than the mount lets it, nor an issuer', async t => {
  fc.assert(
    fc.property(ms, ms, ms, ms, behavior, (ttlMs, usualTtlMs, maxTtlMs, issuerMs, behavior) => {
      const end = new Date(NOW_MS + issuerMs)
      const life = lifeOf({
        ...{ nowMs: NOW_MS, ttlMs, usualTtlMs, maxTtlMs, notBeforeDurationMs: 30_000 },
        issuer: { notAfter: end, behavior: behavior as 'err' },
      })
      const wantedMs = Math.min(ttlMs === 0 ? usualTtlMs : ttlMs, maxTtlMs)
      const isBeyond = NOW_MS + wantedMs > end.getTime()
      if (isBeyond && (behavior === 'err' || behavior === 'always_enforce_err')) {
        t.ok(life instanceof Refusal)
        return
      }
      if (life instanceof Refusal) throw new Error(life.text)
      const latest = behavior === 'permit' ? NOW_MS + maxTtlMs : end.getTime()
      t.ok(life.notAfter.getTime() <= latest)
      t.equal(life.notAfter.getTime() % 1_000, 0)
      t.equal(life.notBefore.getTime(), NOW_MS - 30_000)
      t.equal(life.warnings.length, (ttlMs === 0 ? usualTtlMs : ttlMs) > maxTtlMs ? 1 : 0)
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('times are read as they are told', async t => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('1950-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59Z'),
        noInvalidDate: true,
      }),
      date => t.equal(timeOf(timeText(date.getTime())), date.getTime()),
    ),
    { numRuns: propertyRuns() },
  )
  for (const text of ['', 'now', '2026-01-01', '2026-13-01T00:00:00Z', '1949-12-31T00:00:00Z']) {
    t.ok(timeOf(text) instanceof Refusal, text)
  }
  t.equal(timeOf('2026-01-01t00:00:00.5+01:00'), Date.UTC(2025, 11, 31, 23, 0, 0, 500))
})
