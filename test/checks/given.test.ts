/**
 * Checks as an agent is asked to run them.
 */
import t from 'tap'
import { type GivenLocalCheck, localCheck } from '../../src/checks/given.ts'

const given = (more: Partial<GivenLocalCheck> = {}): GivenLocalCheck => ({
  ...{ checkId: 'c', name: 'c', notes: '', serviceId: '', definition: { ttlMs: 10_000 } },
  ...{ successBeforePassing: 0, failuresBeforeWarning: 0, failuresBeforeCritical: 0 },
  ...more,
})

t.test('what is left out follows from what is given', async t => {
  t.match(localCheck(given()), { kind: 'ttl', ttlMs: 10_000, outputMaxSizeBytes: 0 })
  t.match(localCheck(given({ failuresBeforeCritical: 3 })), {
    failuresBeforeWarning: 3,
    failuresBeforeCritical: 3,
  })
})

t.test('what is no check is refused with the reason', async t => {
  const texts: [Partial<GivenLocalCheck>, string][] = [
    [{ definition: {} }, 'TTL must be > 0 for TTL checks'],
    [
      { failuresBeforeWarning: 2, failuresBeforeCritical: 1 },
      "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
    ],
    [{ definition: { ttlMs: 1, outputMaxSizeBytes: -1 } }, 'MaxOutputMaxSize must be positive'],
  ]
  for (const [more, why] of texts) {
    t.match(localCheck(given(more)), { status: 400, text: `Invalid check: ${why}` })
  }
})
