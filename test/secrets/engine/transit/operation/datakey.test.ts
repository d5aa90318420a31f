/** Keys for a client's own use. */
import tap from 'tap'
import { openTransit } from '../transit.ts'

const b64 = (text: string): string => Buffer.from(text).toString('base64')

tap.test('a new key comes with its ciphertext, or as that alone', async t => {
  const { post } = await openTransit(t)
  await post('keys/k')
  const seen = new Set<string>()
  for (const [bits, sizeBytes] of [
    [128, 16],
    [256, 32],
    [512, 64],
  ] as const) {
    const { plaintext, ciphertext, key_version } = (await post('datakey/plaintext/k', { bits }))
      .body.data
    t.equal(Buffer.from(plaintext, 'base64').length, sizeBytes)
    t.equal(key_version, 1)
    t.equal((await post('decrypt/k', { ciphertext })).body.data.plaintext, plaintext)
    seen.add(plaintext)
    const wrapped = (await post('datakey/wrapped/k', { bits })).body.data
    t.strictSame(Object.keys(wrapped), ['ciphertext', 'key_version'])
    const opened = (await post('decrypt/k', wrapped)).body.data.plaintext
    t.equal(Buffer.from(opened, 'base64').length, sizeBytes)
    seen.add(opened)
  }
  t.equal(seen.size, 6)
  const usual = (await post('datakey/plaintext/k')).body.data.plaintext
  t.equal(Buffer.from(usual, 'base64').length, 32)
})

tap.test('it is encrypted as any text is', async t => {
  const { post } = await openTransit(t)
  await post('keys/d', { derived: true })
  await post('keys/d/rotate')
  const said = { context: b64('tenant'), associated_data: b64('row') }
  const made = (await post('datakey/plaintext/d', { ...said, key_version: 1 })).body.data
  t.match(made, { key_version: 1, ciphertext: /^vault:v1:/ })
  const opened = await post('decrypt/d', { ...said, ciphertext: made.ciphertext })
  t.equal(opened.body.data.plaintext, made.plaintext)
  t.match(await post('datakey/plaintext/d'), { status: 400, text: /^missing 'context'/ })
  t.match(await post('datakey/plaintext/d', { context: '!' }), { status: 400 })
  t.match(await post('datakey/plaintext/d', { ...said, bits: 100 }), { text: 'invalid bit length' })
  t.match(await post('datakey/plaintext/none'), { status: 400, text: 'encryption key not found' })
  t.match(await post('datakey/other/d'), { text: "Invalid path, must be 'plaintext' or 'wrapped'" })
  await post('keys/rsa', { type: 'rsa-2048' })
  const { plaintext, ciphertext } = (await post('datakey/plaintext/rsa')).body.data
  t.equal((await post('decrypt/rsa', { ciphertext })).body.data.plaintext, plaintext)
})
