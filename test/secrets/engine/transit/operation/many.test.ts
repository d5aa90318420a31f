/** Large batches: what is done together comes to the same as what is done one by one. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import tap from 'tap'
import { type CipherRun, runCiphers } from '../../../../../src/base/io/cipher-run.ts'
import { limits } from '../../../../../src/base/limits.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { testPorts } from '../../../ports.ts'
import { openTransit } from '../transit.ts'

/** Transit, and the batches that were done together. */
async function openCounted(t: Parameters<typeof openTransit>[0]) {
  const runs: CipherRun[] = []
  const lane = { isLost: false }
  const ciphers = (run: CipherRun) => {
    runs.push(run)
    if (lane.isLost) {
      run.memory.fill(0)
      return Promise.resolve(undefined)
    }
    // Every second one comes later.
    return runs.length % 2 === 0 ? runCiphers(run) : Promise.resolve().then(() => runCiphers(run))
  }
  const arithmetic = { ...testPorts().arithmetic, ciphers }
  return { ...(await openTransit(t, { ports: { arithmetic } })), runs, lane }
}

const many = (text: string) => Array(limits.cipherLaneItems).fill({ plaintext: text })

tap.test('what comes of a large batch is what comes of its items', async t => {
  const { post, runs, lane } = await openCounted(t)
  for (const type of ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305']) {
    await post(`keys/${type}`, { type })
    await post(`keys/${type}/rotate`)
    const texts = fc.array(
      fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('base64')),
      { minLength: limits.cipherLaneItems, maxLength: limits.cipherLaneItems + 20 },
    )
    const property = fc.asyncProperty(texts, fc.constantFrom(1, 2), async (all, version) => {
      const before = runs.length
      const batch_input = all.map((plaintext, at) => ({
        ...{ plaintext, key_version: version, reference: `${at}"` },
      }))
      const sealed = await post(`encrypt/${type}`, { batch_input })
      assert.equal(sealed.status, 200)
      const results: { ciphertext: string; key_version: number }[] = sealed.body.data.batch_results
      assert.deepEqual(new Set(results.map(one => one.key_version)), new Set([version]))
      const one = await post(`decrypt/${type}`, { ciphertext: results.at(-1)!.ciphertext })
      assert.equal(one.body.data.plaintext, all.at(-1), 'one by itself')
      const again = results.map(({ ciphertext }, at) => ({ ciphertext, reference: `${at}"` }))
      const opened = await post(`decrypt/${type}`, { batch_input: again })
      assert.equal(runs.length, before + 2, 'both were done together')
      lane.isLost = true
      const here = await post(`decrypt/${type}`, { batch_input: again })
      lane.isLost = false
      assert.deepEqual(opened.body.data, here.body.data)
      assert.deepEqual(
        opened.body.data.batch_results,
        all.map((plaintext, at) => ({ plaintext, reference: `${at}"` })),
      )
      const nonces = results.map(({ ciphertext }) => ciphertext.slice(0, 'vault:v1:'.length + 16))
      assert.equal(new Set(nonces).size, nonces.length, 'each text has a nonce of its own')
    })
    await fc.assert(property, { numRuns: Math.ceil(propertyRuns() / 10) })
  }
  for (const { memory } of runs) t.ok(memory.every(byte => byte === 0))
})

tap.test('what is not alike, or wrong, or lost, is done the usual way', async t => {
  const { post, runs, lane } = await openCounted(t)
  await post('keys/k')
  const sealed = await post('encrypt/k', { batch_input: many('aGVsbG8=') })
  const results: { ciphertext: string }[] = sealed.body.data.batch_results
  const good = results.map(({ ciphertext }) => ({ ciphertext }))
  t.equal(runs.length, 1)
  const spoilt = good.with(7, { ciphertext: `${good[7]!.ciphertext.slice(0, -4)}AAA=` })
  const got = await post('decrypt/k', { batch_input: spoilt })
  t.equal(runs.length, 2, 'that a text is not authentic is found last')
  t.ok(
    runs[1]!.memory.every(byte => byte === 0),
    'nothing is left of the others',
  )
  t.equal(got.status, 400)
  t.match(got.body.data.batch_results[7], { error: 'cipher: message authentication failed' })
  t.match(got.body.data.batch_results[8], { plaintext: 'aGVsbG8=' })

  const at = runs.length
  for (const [path, batch_input, status] of [
    ['decrypt/k', good.with(3, { ciphertext: 'vault:v2:AAAA' }), 400],
    ['decrypt/k', good.with(3, { ciphertext: 'vault:v1:AAAA' }), 400],
    ['decrypt/k', good.with(3, { ciphertext: 'vault:v1:A' }), 400],
    ['decrypt/k', good.map(one => ({ ...one, associated_data: 'YQ==' })), 400],
    ['decrypt/k', good.map(one => ({ ...one, context: 'YQ==' })), 200],
    ['decrypt/k', good.slice(1), 200],
    ['decrypt/k', Array(limits.cipherLaneItemsMax + 1).fill(good[0]), 200],
    ['encrypt/k', many('no base64!'), 400],
    ['encrypt/k', many('YQ==').with(3, { plaintext: 'YQ==', key_version: 1 }), 200],
    ['encrypt/k', many('YQ==').with(3, { plaintext: 'YQ==', nonce: 'YQ==' }), 400],
    ['encrypt/k', many(Buffer.alloc(limits.cipherLaneChars).toString('base64')), 200],
    ['rewrap/k', good, 200],
  ] as const) {
    const { status: told, body } = await post(path, { batch_input: [...batch_input] })
    t.equal(told, status, path)
    t.equal(body.data.batch_results.length, batch_input.length)
  }
  for (const options of [
    { type: 'xchacha20-poly1305' },
    { type: 'aes256-cbc' },
    { type: 'rsa-2048' },
  ]) {
    await post(`keys/${options.type}`, options)
    const { status } = await post(`encrypt/${options.type}`, { batch_input: many('YQ==') })
    t.equal(status, 200, options.type)
  }
  t.equal(runs.length, at, 'none of these is done together')
  lane.isLost = true
  t.match(await post('decrypt/k', { batch_input: good }), { status: 200 })
  t.match(await post('encrypt/k', { batch_input: many('YQ==') }), { status: 200 })
  t.equal(runs.length, at + 2)
})
