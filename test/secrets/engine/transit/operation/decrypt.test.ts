/** `decrypt` and `rewrap`: what they refuse, and that nothing of a text is shown by the second. */
import tap from 'tap'
import { openTransit } from '../transit.ts'

const b64 = (text: string): string => Buffer.from(text).toString('base64')

tap.test('what is no ciphertext is told of in the words for it', async t => {
  const { post } = await openTransit(t)
  await post('keys/k')
  const { ciphertext } = (await post('encrypt/k', { plaintext: b64('x') })).body.data
  for (const path of ['decrypt/k', 'rewrap/k']) {
    for (const [text, told] of [
      ['', 'missing ciphertext to decrypt'],
      ['x', 'invalid ciphertext: no prefix'],
      ['vault:v1', 'invalid ciphertext: wrong number of fields'],
      ['vault:vx:AAAA', 'invalid ciphertext: version number could not be decoded'],
      ['vault:v2:AAAA', 'invalid ciphertext: version is too new'],
      ['vault:v1:A', 'invalid ciphertext: could not decode base64'],
      ['vault:v1:AAAA', 'invalid ciphertext length'],
      [`vault:v1:${Buffer.alloc(28).toString('base64')}`, 'cipher: message authentication failed'],
      [`${ciphertext.slice(0, -4)}AAA=`, 'cipher: message authentication failed'],
    ] as const) {
      t.match(await post(path, { ciphertext: text }), { status: 400, text: told }, text)
    }
    t.match(await post(path, {}), { status: 400, text: 'missing ciphertext to decrypt' })
    t.match(await post(path, { batch_input: [{}] }), {
      text: "failed to parse batch input: '[0].ciphertext' missing ciphertext to decrypt",
    })
    const mixed = [{ ciphertext, context: b64('a') }, { ciphertext }]
    t.match(await post(path, { batch_input: mixed }), {
      status: 400,
      text: /all the request blocks/,
    })
    const none = path.replace('/k', '/none')
    t.match(await post(none, { ciphertext }), { status: 400, text: 'encryption key not found' })
  }
  const first = ciphertext.replace('v1', 'v0')
  t.equal((await post('decrypt/k', { ciphertext: first })).status, 200, 'keys once began at 0')
})

tap.test('what is rewrapped has the newest version, or the one asked for', async t => {
  const { post } = await openTransit(t)
  await post('keys/k')
  const said = { associated_data: b64('row') }
  const { ciphertext } = (await post('encrypt/k', { plaintext: b64('secret'), ...said })).body.data
  await post('keys/k/rotate')
  await post('keys/k/rotate')
  const newest = await post('rewrap/k', { ciphertext, ...said })
  t.match(newest.body.data, { key_version: 3, ciphertext: /^vault:v3:/ })
  t.notMatch(newest.text, b64('secret'))
  t.strictSame(Object.keys(newest.body.data), ['ciphertext', 'key_version'])
  const second = await post('rewrap/k', { ciphertext, ...said, key_version: 2 })
  t.match(second.body.data, { key_version: 2, ciphertext: /^vault:v2:/ })
  const opened = await post('decrypt/k', { ...said, ciphertext: newest.body.data.ciphertext })
  t.equal(opened.body.data.plaintext, b64('secret'))
  t.match(await post('rewrap/k', { ciphertext }), { status: 400, text: /authentication failed/ })
  const batch_input = [
    { ciphertext, ...said, reference: 'a' },
    { ciphertext: 'x', reference: 'b' },
    { ciphertext, ...said, key_version: 2 },
  ]
  const batch = await post('rewrap/k', { batch_input })
  t.equal(batch.status, 400)
  t.match(batch.body.data.batch_results, [
    { key_version: 3, reference: 'a' },
    { error: 'invalid ciphertext: no prefix', reference: 'b' },
    { key_version: 2 },
  ])
})

tap.test('an answer is wrapped as any other', async t => {
  const { post, secrets } = await openTransit(t)
  const { ciphertext } = (await post('encrypt/k', { plaintext: b64('x') })).body.data
  const wrapped = await secrets.post('transit/decrypt/k', { ciphertext }, { wrapTtlMs: 60_000 })
  const token = wrapped.body.wrap_info.token
  const opened = await secrets.post('sys/wrapping/unwrap', {}, { token })
  t.equal(opened.body.data.plaintext, b64('x'))
  const made = await secrets.post('transit/encrypt/new', { plaintext: '' }, { wrapTtlMs: 60_000 })
  const inside = await secrets.post('sys/wrapping/unwrap', {}, { token: made.body.wrap_info.token })
  t.match(inside.body.data, { ciphertext: /^vault:v1:/ })
})
