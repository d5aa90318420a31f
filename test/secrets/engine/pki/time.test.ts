import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import { lifeOf } from '../../../../src/secrets/engine/pki/time.ts'
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
        issuer: { notAfterMs: end.getTime(), behavior: behavior as 'err' },
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
      t.equal(life.notBefore.getTime(), NOW_MS - 30_000)
      t.equal(life.warnings.length, (ttlMs === 0 ? usualTtlMs : ttlMs) > maxTtlMs ? 1 : 0)
    }),
    { numRuns: propertyRuns() },
  )
})
