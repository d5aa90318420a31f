/** Batches: what they may be, what becomes of each item, and of the whole. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import tap from 'tap'
import { limits } from '../../../../../src/base/limits.ts'
import { Fault } from '../../../../../src/secrets/engine/transit/key/fault.ts'
import {
  batchAnswer,
  batchOf,
  refuseItem,
  singleAnswer,
} from '../../../../../src/secrets/engine/transit/operation/batch.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { openTransit } from '../transit.ts'

const b64 = (text: string): string => Buffer.from(text).toString('base64')

tap.test('a batch is a list of maps, neither empty nor too long', t => {
  t.equal(batchOf(undefined), undefined)
  t.equal(batchOf(null), undefined)
  t.match(batchOf([]), { status: 400, text: 'missing batch input to process' })
  for (const value of ['[]', {}, 1]) {
    t.match(batchOf(value), { status: 400, text: /^failed to parse batch input: source data must/ })
  }
  for (const item of ['x', null, 1, []]) {
    t.match(batchOf([{}, item]), { text: 'failed to parse batch input: [1] expected a map' })
  }
  const most = limits.transitBatchItems
  t.equal((batchOf(Array(most).fill({})) as unknown[]).length, most)
  t.match(batchOf(Array(most + 1).fill({})), { status: 400, text: /more than 10000 items/ })
  t.end()
})

tap.test('parts of items have types', t => {
  t.equal(refuseItem({ a: 'x', key_version: 1, reference: null, more: [] }, 0, ['a']), undefined)
  t.equal(refuseItem({ key_version: '2' }, 0, ['a']), undefined)
  t.match(refuseItem({ a: 1 }, 3, ['a']), {
    status: 400,
    text: /'\[3\]\.a' expected type 'string'/,
  })
  for (const key_version of ['x', 1.5, true as never, {}]) {
    const refused = refuseItem({ key_version }, 0, [])
    t.equal(refused === undefined, key_version === (true as never), String(key_version))
  }
  t.end()
})

tap.test('the whole is what its items are, unless another status is asked for', t => {
  const items = [{ reference: 'a"b' }, {}]
  const [good, users, ours] = ['"x":1,', new Fault('no "way"'), new Fault('oh', true)]
  const statusOf = (results: readonly (string | Fault)[], partialStatus?: number) =>
    batchAnswer(items, results, { failed: '', partialStatus }).status
  t.equal(statusOf([good, good], 207), undefined)
  t.equal(statusOf([good, users]), 400)
  t.equal(statusOf([good, ours]), 500)
  t.equal(statusOf([users, ours]), 400, 'what can be mended is told first')
  t.equal(statusOf([good, users], 207), 207)
  t.equal(statusOf([good, ours], 200), 200)
  t.equal(statusOf([users, users], 200), 400, 'nothing succeeded')
  for (const none of [0, -1, 100, 199, 600, 1_000]) {
    const answer = batchAnswer(items, [good, users], { failed: '', partialStatus: none })
    t.equal(answer.status, 400)
    t.match(answer.warnings, [/^invalid HTTP response code override .*, reverting to 400$/])
  }
  const { dataText = '' } = batchAnswer(items, [good, users], {
    ...{ failed: '"x":0,', partialStatus: undefined },
  })
  t.strictSame(JSON.parse(dataText), {
    batch_results: [
      { x: 1, reference: 'a"b' },
      { x: 0, error: 'no "way"', reference: '' },
    ],
  })
  t.strictSame(singleAnswer(good), { dataText: '{"x":1}' })
  t.match(singleAnswer(ours), { status: 500, text: 'oh' })
  t.match(singleAnswer(users), { status: 400, text: 'no "way"' })
  t.end()
})

tap.test('each item is told in its place, with its reference', async t => {
  const { secrets } = await openTransit(t)
  const item = fc.record(
    {
      plaintext: fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map(one => Buffer.from(one).toString('base64')),
        fc.constant('no base64!'),
      ),
      reference: fc.string(),
      key_version: fc.constantFrom(0, 1, 7),
    },
    { requiredKeys: ['plaintext'] },
  )
  await secrets.post('transit/encrypt/k', { plaintext: '' })
  const property = fc.asyncProperty(
    fc.array(item, { minLength: 1, maxLength: 30 }),
    fc.option(fc.constantFrom(200, 207), { nil: undefined }),
    async (items, partial) => {
      const isGood = items.map(
        ({ plaintext, key_version = 0 }) => plaintext !== 'no base64!' && key_version !== 7,
      )
      const got = await secrets.post('transit/encrypt/k', {
        batch_input: items.map(one => ({ ...one })),
        ...(partial !== undefined && { partial_failure_response_code: partial }),
      })
      const isMixed = isGood.includes(true) && partial !== undefined
      assert.equal(got.status, isGood.includes(false) ? (isMixed ? partial : 400) : 200)
      const results = got.body.data.batch_results
      assert.equal(results.length, items.length)
      const back = await secrets.post('transit/decrypt/k', {
        batch_input: results.map(({ ciphertext = 'vault:v1:' }) => ({ ciphertext })),
      })
      for (const [at, { reference, plaintext }] of items.entries()) {
        assert.equal(results[at].reference, reference ?? '')
        assert.equal('error' in results[at], !isGood[at])
        assert.equal('ciphertext' in results[at], isGood[at])
        assert.equal(back.body.data.batch_results[at].plaintext, isGood[at] ? plaintext : '')
      }
    },
  )
  await fc.assert(property, { numRuns: propertyRuns() })
})

tap.test('a large batch lets others in between, and is whole', async t => {
  const { secrets } = await openTransit(t)
  await secrets.post('transit/encrypt/k', { plaintext: '' })
  const plaintexts = Array.from({ length: 5_000 }, (_, at) => b64(`text ${at}`))
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const sealed = await secrets.post('transit/encrypt/k', {
    batch_input: plaintexts.map((plaintext, at) => ({ plaintext, reference: String(at) })),
  })
  isOver = true
  t.ok(turns > 3, `${turns} turns of the loop`)
  const batch_input = sealed.body.data.batch_results.map((result: { ciphertext: string }) => ({
    ciphertext: result.ciphertext,
  }))
  const opened = await secrets.post('transit/decrypt/k', { batch_input })
  const back = opened.body.data.batch_results.map((one: { plaintext: string }) => one.plaintext)
  t.strictSame(back, plaintexts)
})

tap.test('what is said beside a batch is nothing to it', async t => {
  const { secrets } = await openTransit(t)
  const got = await secrets.post('transit/encrypt/k', {
    ...{ plaintext: '!', context: '!', key_version: 9, associated_data: '!' },
    batch_input: [{ plaintext: b64('x') }],
  })
  t.equal(got.status, 200)
  t.match(got.body.data.batch_results, [{ key_version: 1, reference: '' }])
})
