/** How attempts of key holders lie in the store: sealed, for their kind, and not for long. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { wallMs } from '../../../src/base/brand.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import {
  type Attempt,
  cancelAttempt,
  dropAttempts,
  forgetAttempts,
  keepAttempt,
  newAttempt,
  openAttempt,
  type Step,
} from '../../../src/secrets/barrier/attempt.ts'
import { put } from '../../../src/store/store.ts'
import { sealAttempts } from '../../../src/store/tables/seal.ts'
import { propertyRuns } from '../../run/budget.ts'
import { keyringOf, openStore } from './world.ts'

const barrier = keyringOf(1)
const AT = wallMs(1_000_000)

/** Writes one attempt; gives a step on the view that shows it, at some later time. */
async function kept<W>(attempt: (step: Step) => Attempt<W>) {
  const store = openStore()
  await store.write((view, _now, random) => {
    const step = { view, barrier, now: AT, random }
    return { txn: [keepAttempt('rekey/root', attempt(step), step).op], answer: true }
  })
  const stepAt = (now: number): Step => ({
    ...{ view: store.view(), barrier, now: wallMs(now), random: systemRandom },
  })
  return { store, stepAt }
}

const buffers = fc.array(
  fc.uint8Array({ minLength: 0, maxLength: 40 }).map(bytes => Buffer.from(bytes)),
  { maxLength: 5 },
)

t.test('an attempt is read as it was kept, and what was kept is wiped', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        nonce: fc.string(),
        what: fc.jsonValue(),
        shares: buffers,
        held: fc.option(fc.record({ nonce: fc.string(), key: buffers, shares: buffers }), {
          nil: undefined,
        }),
      }),
      async ({ held, ...given }) => {
        const copies = (list: readonly Buffer[]): Buffer[] => list.map(one => Buffer.from(one))
        const made = (): Attempt<unknown> => ({
          ...{ ...given, startedAtMs: AT, shares: copies(given.shares) },
          held: held && {
            ...{ nonce: held.nonce, shares: copies(held.shares) },
            key: Buffer.concat(held.key),
          },
        })
        const attempt = made()
        const { stepAt } = await kept(() => attempt)
        const found = openAttempt('rekey/root', stepAt(AT))
        const parts = [...attempt.shares, ...(attempt.held?.shares ?? [])]
        assert(parts.every(part => part.every(byte => byte === 0)))
        const { sealed: _, ...rest } = found!
        // What is about nothing but JSON comes back as JSON has it.
        const expected = { ...made(), what: JSON.parse(JSON.stringify(given.what)) }
        assert.deepStrictEqual(rest, expected)
      },
    ),
    { numRuns: propertyRuns() },
  )
})

t.test('it opens for its kind and time alone, and as long as somebody goes on with it', async t => {
  const { store, stepAt } = await kept(step => newAttempt('any', step))
  const row = store.view().get(sealAttempts, 'rekey/root')!.row
  t.ok(openAttempt('rekey/root', stepAt(AT)))
  t.ok(openAttempt('rekey/root', stepAt(AT + limits.sealAttemptMs - 1)))
  t.equal(openAttempt('rekey/root', stepAt(AT + limits.sealAttemptMs)), undefined)
  t.equal(openAttempt('rekey/root', { ...stepAt(AT), barrier: keyringOf(1) }), undefined)
  await store.write(() => ({
    txn: [
      put(sealAttempts, 'rekey/recovery', row),
      put(sealAttempts, 'rekey/root', { ...row, touchedAtMs: AT + 1 }),
    ],
    answer: true,
  }))
  t.equal(openAttempt('rekey/recovery', stepAt(AT)), undefined, 'moved')
  t.equal(openAttempt('rekey/root', stepAt(AT)), undefined, 'prolonged')
  const ended = cancelAttempt('rekey/root', { nonce: '', mayEnd: false }, stepAt(AT))
  t.notOk(ended instanceof Refusal, 'what does not open is swept by whoever ends it')
})

t.test('what is over is forgotten, and nothing else', async t => {
  const { stepAt } = await kept(step => newAttempt('any', step))
  const forgotten = (now: number) => forgetAttempts(stepAt(now).view, wallMs(now)).txn.length
  t.equal(forgotten(AT + limits.sealAttemptMs - 1), 0)
  t.equal(forgotten(AT + limits.sealAttemptMs), 1)
  t.equal(dropAttempts().length, 3)
})
