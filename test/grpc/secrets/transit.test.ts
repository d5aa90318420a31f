/**
 * Transit over gRPC: batches with partial errors; streams of large data that open as they were
 * sealed and in no other form, by whoever has the rights of the paths, with a record at begin and
 * end.
 */
import { createHash } from 'node:crypto'
import t from 'tap'
import { FakeClock } from '../../fake/clock.ts'
import { openSecretsGrpc, ROOT_TOKEN, type SecretsGrpcOfTest, tokenWith } from './world.ts'

const bytes = (text: string): Buffer => Buffer.from(text)
const CANARY = 'canary-of-transit-4711'

async function open(t: Tap, clock?: FakeClock): Promise<SecretsGrpcOfTest> {
  const world = await openSecretsGrpc(t, clock && { clock })
  await world.secrets.mount('transit', 'transit/')
  await world.secrets.post('transit/keys/app')
  return world
}
type Tap = Parameters<typeof openSecretsGrpc>[0]

/** Sends a whole stream in pieces; gives what came and how it ended. */
async function through(
  world: SecretsGrpcOfTest,
  method: 'EncryptStream' | 'DecryptStream',
  { begin = {}, data, piece = 50_000, token = ROOT_TOKEN }: Through,
) {
  const stream = await world.open(`Transit/${method}`, token)
  stream.send({ begin: { key: 'app', ...begin } })
  for (let at = 0; at < data.length; at += piece)
    stream.send({ data: data.subarray(at, at + piece) })
  stream.call.end()
  const ended = await stream.ended
  const parts = ended.answers.filter(({ part }) => part === 'data')
  const end = ended.answers.at(-1)
  return {
    ...ended,
    bytes: Buffer.concat(parts.map(one => one.data)),
    end: end?.part === 'end' ? end.end : undefined,
  }
}
interface Through {
  readonly begin?: object
  readonly data: Buffer
  readonly piece?: number
  readonly token?: string
}

const patterned = (sizeBytes: number): Buffer => {
  const block = createHash('sha512').update('pattern').digest()
  return Buffer.alloc(sizeBytes, block)
}

t.test('texts are encrypted, decrypted and encrypted again', async t => {
  const { call, secrets } = await open(t)
  const items = [
    { plaintext: bytes('hello'), reference: 'a' },
    { plaintext: bytes('world'), associatedData: bytes('bound'), reference: 'b' },
    { plaintext: bytes('no'), keyVersion: 9 },
  ]
  const { code, answer } = await call('Transit/Encrypt', { key: 'app', items })
  t.equal(code, 'OK')
  const [a, b, no] = answer.results
  t.match(a, { ciphertext: /^vault:v1:/, keyVersion: 1, reference: 'a', error: '' })
  t.match(b, { ciphertext: /^vault:v1:/, reference: 'b' })
  t.match(no, { ciphertext: '', error: /version/ })
  const opened = await call('Transit/Decrypt', {
    key: 'app',
    items: [
      { ciphertext: a.ciphertext },
      { ciphertext: b.ciphertext, associatedData: bytes('bound') },
      { ciphertext: b.ciphertext },
    ],
  })
  t.match(opened.answer.results, [
    { plaintext: bytes('hello'), error: '' },
    { plaintext: bytes('world') },
    { error: 'cipher: message authentication failed' },
  ])
  await secrets.post('transit/keys/app/rotate')
  const again = await call('Transit/Rewrap', { key: 'app', items: [{ ciphertext: a.ciphertext }] })
  t.match(again.answer.results, [{ ciphertext: /^vault:v2:/, keyVersion: 2 }])
  const none = await call('Transit/Decrypt', { key: 'nothing', items: [{ ciphertext: 'x' }] })
  const { body } = await secrets.post('transit/decrypt/nothing', {
    batch_input: [{ ciphertext: 'x' }],
  })
  t.match(none, { code: 'INVALID_ARGUMENT', text: body.errors[0] })
  t.equal((await call('Transit/Encrypt', { key: 'app' })).text, 'missing batch input to process')
  await secrets.mount('kv', 'plain/')
  const wrong = await call('Transit/Encrypt', { mount: 'plain', key: 'app', items })
  t.match(wrong, { code: 'INVALID_ARGUMENT', text: 'the mount is none of transit' })
})

t.test('signatures and HMACs', async t => {
  const { call, secrets } = await open(t)
  await secrets.post('transit/keys/signing', { type: 'ecdsa-p256' })
  const items = [{ input: bytes('one'), reference: '1' }, { input: bytes('two') }]
  const made = await call('Transit/Sign', { key: 'signing', items, hashAlgorithm: 'sha2-384' })
  const [first, second] = made.answer.results
  t.match(first, { signature: /^vault:v1:/, keyVersion: 1, reference: '1' })
  const checked = await call('Transit/Verify', {
    ...{ key: 'signing', hashAlgorithm: 'sha2-384' },
    items: [
      { input: bytes('one'), signature: first.signature },
      { input: bytes('one'), signature: second.signature },
    ],
  })
  t.match(checked.answer.results, [{ valid: true }, { valid: false }])
  const macs = await call('Transit/Hmac', { key: 'app', items: [{ input: bytes('one') }] })
  const [{ hmac }] = macs.answer.results
  t.match(hmac, /^vault:v1:/)
  const valid = await call('Transit/Verify', { key: 'app', items: [{ input: bytes('one'), hmac }] })
  t.match(valid.answer.results, [{ valid: true }])
  const weak = await tokenWith(await open(t), {})
  t.match(await call('Transit/Sign', { key: 'signing', items }, weak), { code: 'UNAUTHENTICATED' })
})

t.test('streams of any size and in any pieces', async t => {
  const world = await open(t)
  for (const [sizeBytes, chunkSizeBytes, piece] of [
    [0, 0, 1],
    [1, 4_096, 1],
    [65_536, 0, 65_536],
    [300_001, 4_096, 777],
    [3_000_000, 1_048_576, 1_000_003],
  ] as const) {
    const data = patterned(sizeBytes)
    const sealed = await through(world, 'EncryptStream', { begin: { chunkSizeBytes }, data, piece })
    t.equal(sealed.code, 'OK', `${sizeBytes} bytes: ${sealed.text}`)
    const chunks = Math.max(1, Math.ceil(sizeBytes / (chunkSizeBytes || 65_536)))
    const sizes = { plaintextSizeBytes: sizeBytes, sizeBytes: sealed.bytes.length }
    t.same(sealed.end, { ...sizes, chunks, keyVersion: 1 })
    const opened = await through(world, 'DecryptStream', { data: sealed.bytes, piece: piece + 13 })
    t.equal(opened.code, 'OK', opened.text)
    t.ok(opened.bytes.equals(data))
    t.same(opened.end, { plaintextSizeBytes: sizeBytes, chunks, keyVersion: 1 })
  }
})

t.test('what was changed, cut, moved or repeated is never whole', async t => {
  const world = await open(t)
  const data = patterned(20_000)
  const begin = { chunkSizeBytes: 4_096 }
  const { bytes: sealed } = await through(world, 'EncryptStream', { begin, data })
  const head = sealed.length - 20_000 - 5 * 16
  const chunk = (at: number): Buffer => sealed.subarray(head + at * 4_112, head + (at + 1) * 4_112)
  const first = sealed.subarray(0, head)
  const join = (...at: number[]): Buffer => Buffer.concat([first, ...at.map(chunk)])
  const flipped = (at: number): Buffer => {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    return changed
  }
  const wrong: Readonly<Record<string, Buffer>> = {
    'a byte of the first chunk': flipped(head + 5),
    'a byte of the last tag': flipped(sealed.length - 1),
    'a byte of the nonces': flipped(12),
    'the last chunk is missing': join(0, 1, 2, 3),
    'one in the middle is missing': join(0, 1, 3, 4),
    swapped: join(0, 2, 1, 3, 4),
    repeated: join(0, 1, 1, 2, 3, 4),
    'one more': join(0, 1, 2, 3, 4, 4),
    'a byte less': sealed.subarray(0, -1),
    'the head alone': first,
    'half of the head': sealed.subarray(0, 10),
    nothing: Buffer.alloc(0),
    'no stream': bytes('PK no stream at all'),
  }
  for (const [what, stream] of Object.entries(wrong)) {
    const got = await through(world, 'DecryptStream', { data: stream, piece: 1_000 })
    t.match(got, { code: 'DATA_LOSS', end: undefined }, what)
    t.ok(
      data.subarray(0, got.bytes.length).equals(got.bytes),
      `${what}: what came was in its place`,
    )
  }
})

t.test('no byte of the head can be another one', async t => {
  const world = await open(t)
  const { bytes: sealed } = await through(world, 'EncryptStream', { data: bytes('hello') })
  const head = sealed.length - 5 - 16
  for (let at = 0; at < head; at++) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1 << (at % 7)
    const got = await through(world, 'DecryptStream', { data: changed })
    t.match(got, { code: /^(DATA_LOSS|INVALID_ARGUMENT)$/, end: undefined }, `byte ${at}`)
  }
})

t.test(
  'the key of a stream is encrypted again, and the stream opens by the new version',
  async t => {
    const world = await open(t)
    const data = patterned(200_000)
    const { bytes: sealed } = await through(world, 'EncryptStream', { data })
    await world.secrets.post('transit/keys/app/rotate')
    const size = sealed.readUInt16BE(17)
    const ciphertext = sealed.toString('latin1', 19, 19 + size)
    const { answer } = await world.call('Transit/Rewrap', { key: 'app', items: [{ ciphertext }] })
    const again = bytes(answer.results[0].ciphertext)
    const head = Buffer.concat([sealed.subarray(0, 17), Buffer.from([0, again.length]), again])
    await world.secrets.post('transit/keys/app/config', { min_decryption_version: 2 })
    t.equal((await through(world, 'DecryptStream', { data: sealed })).code, 'INVALID_ARGUMENT')
    const rewrapped = Buffer.concat([head, sealed.subarray(19 + size)])
    const opened = await through(world, 'DecryptStream', { data: rewrapped })
    t.ok(opened.bytes.equals(data))
    t.equal(opened.end.keyVersion, 2)
  },
)

t.test('contexts, associated data, versions, kinds of keys', async t => {
  const world = await open(t)
  const { secrets } = world
  await secrets.post('transit/keys/derived', { derived: true })
  await secrets.post('transit/keys/rsa', { type: 'rsa-2048' })
  const data = bytes('hello')
  const mine = { key: 'derived', context: bytes('user 1'), associatedData: bytes('invoice 12') }
  const { bytes: sealed, code } = await through(world, 'EncryptStream', { begin: mine, data })
  t.equal(code, 'OK')
  t.same((await through(world, 'DecryptStream', { begin: mine, data: sealed })).bytes, data)
  const others = [
    [{ ...mine, context: bytes('user 2') }, 'INVALID_ARGUMENT'],
    [{ ...mine, context: Buffer.alloc(0) }, 'INVALID_ARGUMENT'],
    [{ ...mine, associatedData: bytes('invoice 13') }, 'DATA_LOSS'],
    [{ ...mine, key: 'app' }, 'INVALID_ARGUMENT'],
    [{ ...mine, associatedData: Buffer.alloc(5_000) }, 'INVALID_ARGUMENT'],
  ] as const
  for (const [begin, expected] of others) {
    t.equal((await through(world, 'DecryptStream', { begin, data: sealed })).code, expected)
  }
  const { bytes: byRsa } = await through(world, 'EncryptStream', { begin: { key: 'rsa' }, data })
  t.same(
    (await through(world, 'DecryptStream', { begin: { key: 'rsa' }, data: byRsa })).bytes,
    data,
  )
  const old = await through(world, 'EncryptStream', { data })
  await secrets.post('transit/keys/app/rotate')
  const before = await through(world, 'EncryptStream', { begin: { keyVersion: 1 }, data })
  t.equal(before.end.keyVersion, 1)
  t.equal((await through(world, 'EncryptStream', { data })).end.keyVersion, 2)
  await secrets.post('transit/keys/app/config', { min_decryption_version: 2 })
  const refused = await through(world, 'DecryptStream', { data: old.bytes })
  t.match(refused, { code: 'INVALID_ARGUMENT', text: /too old/ })
  // The key of a stream is one of transit's texts: another text is no key.
  const { body } = await secrets.post('transit/encrypt/app', { plaintext: 'aGVsbG8=' })
  const head = Buffer.from(old.bytes.subarray(0, 17))
  const wrapped = bytes(body.data.ciphertext)
  const forged = Buffer.concat([head, Buffer.from([0, wrapped.length]), wrapped])
  t.match(await through(world, 'DecryptStream', { data: forged }), { code: 'DATA_LOSS' })
})

t.test('the order of messages', async t => {
  const world = await open(t)
  for (const method of ['EncryptStream', 'DecryptStream']) {
    const early = await world.open(`Transit/${method}`)
    early.send({ data: bytes('x') })
    t.match(await early.ended, { code: 'INVALID_ARGUMENT', text: /^begin:/ })
    const twice = await world.open(`Transit/${method}`)
    twice.send({ begin: { key: 'app' } })
    twice.send({ begin: { key: 'app' } })
    t.match(await twice.ended, { code: 'INVALID_ARGUMENT', text: /begun already/ })
    const empty = await world.open(`Transit/${method}`)
    empty.call.end()
    t.match(await empty.ended, { code: 'INVALID_ARGUMENT' })
  }
  const odd = { begin: { chunkSizeBytes: 5_000 }, data: bytes('x') }
  t.match(await through(world, 'EncryptStream', odd), { text: /^chunk_size_bytes:/ })
})

t.test('rights are those of the paths, also while it goes on', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const data = patterned(10_000)
  const sealing = await tokenWith(world, { 'transit/encrypt/app': ['update'] })
  const opening = await tokenWith(world, { 'transit/decrypt/app': ['update'] })
  const { bytes: sealed, code } = await through(world, 'EncryptStream', { data, token: sealing })
  t.equal(code, 'OK')
  t.equal((await through(world, 'DecryptStream', { data: sealed, token: opening })).code, 'OK')
  t.equal(
    (await through(world, 'DecryptStream', { data: sealed, token: sealing })).code,
    'PERMISSION_DENIED',
  )
  t.equal(
    (await through(world, 'EncryptStream', { data, token: opening })).code,
    'PERMISSION_DENIED',
  )
  t.equal((await through(world, 'EncryptStream', { data, token: '' })).code, 'PERMISSION_DENIED')
  const long = await world.open('Transit/EncryptStream', sealing)
  long.send({ begin: { key: 'app', chunkSizeBytes: 4_096 } })
  long.send({ data })
  await new Promise(resolve => long.call.once('data', resolve))
  await world.secrets.post('auth/token/revoke', { token: sealing })
  await clock.advance(1_000)
  long.send({ data })
  const ended = await long.ended
  t.match(ended, { code: 'PERMISSION_DENIED', text: /permission denied/ })
  t.notOk(ended.answers.some(({ part }) => part === 'end'))
})

t.test('whoever sends nothing for long is not waited for', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const stream = await world.open('Transit/EncryptStream')
  stream.send({ begin: { key: 'app', chunkSizeBytes: 4_096 } })
  stream.send({ data: patterned(10_000) })
  await new Promise(resolve => stream.call.once('data', resolve))
  await clock.advance(290_000)
  stream.send({ data: patterned(10_000) })
  await new Promise(resolve => stream.call.once('data', resolve))
  await clock.advance(290_000)
  await clock.advance(20_000)
  t.match(await stream.ended, { code: 'DEADLINE_EXCEEDED', text: 'nothing came for too long' })
  for (let turns = 0; clock.timers > 0 && turns < 1_000; turns++) await clock.advance(0)
  t.equal(clock.timers, 0)
})

t.test('records: one of the begin, one of the end, and no secret in any', async t => {
  const world = await open(t)
  const begin = { context: Buffer.alloc(0), associatedData: bytes(CANARY) }
  const data = bytes(CANARY.repeat(1_000))
  const { bytes: sealed } = await through(world, 'EncryptStream', { begin, data })
  await through(world, 'DecryptStream', { begin, data: sealed.subarray(0, -1) })
  const left = await world.open('Transit/EncryptStream')
  left.send({ begin: { key: 'app' } })
  left.send({ data: patterned(100_000) })
  await new Promise(resolve => left.call.once('data', resolve))
  left.call.cancel()
  let all = await world.records()
  for (let turn = 0; turn < 1_000 && all.length < 6; turn++) {
    await new Promise(resolve => setImmediate(resolve))
    all = await world.records()
  }
  const told = all.map(({ path, status, outcome, secrets }) => ({
    path,
    status,
    outcome,
    ...secrets.stream,
  }))
  const [encrypt, decrypt] = ['/v1/transit/encrypt/app', '/v1/transit/decrypt/app']
  t.match(told.toReversed(), [
    { path: encrypt, status: 200, phase: 'begin' },
    { path: encrypt, phase: 'end', plaintextSizeBytes: data.length, chunks: 1, isWhole: true },
    { path: decrypt, status: 200, phase: 'begin' },
    { path: decrypt, outcome: 'refused', phase: 'end', isWhole: false },
    { path: encrypt, phase: 'begin' },
    { path: encrypt, outcome: 'refused', phase: 'end', isWhole: false },
  ])
  t.match(all[0].secrets, { mount_type: 'transit', auth: { policies: ['root'] } })
  for (const text of [JSON.stringify(all), world.lines.join('\n')]) t.notOk(text.includes(CANARY))
  const spelt = Buffer.from(CANARY).toString('base64').slice(0, 20)
  t.notOk(JSON.stringify(all).includes(spelt))
})
