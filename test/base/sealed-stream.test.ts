/**
 * A stream opens as it was sealed, however its bytes are cut into pieces, and in no other form:
 * each changed byte, each chunk that was moved, left out, repeated or added, each cut is noticed.
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  headBytes,
  isChunkSize,
  readHead,
  StreamFault,
  StreamOpener,
  StreamSealer,
} from '../../src/base/sealed-stream.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

const CHUNK = 4_096
const TAG = 16
const key = Buffer.alloc(32, 7)
const prefix = Buffer.from('0102030405060708', 'hex').subarray(0, 7)
const head = { chunkSizeBytes: CHUNK, prefix, wrappedKey: 'vault:v1:AAAA' }
const bound = Buffer.from('invoice 12')
const HEAD = headBytes(head).length
/** With the length of the wrapped key, which is transit's to open. */
const HEAD_BEFORE_KEY = HEAD - head.wrappedKey.length

/** Cuts bytes into pieces of these sizes, by turns. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, next = 0; at < bytes.length; next++) {
    const size = sizes[next % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function seal(plaintext: Buffer, sizes: readonly number[] = [plaintext.length || 1]): Buffer {
  const sealer = new StreamSealer(key, head, bound)
  const parts = [sealer.head]
  for (const piece of pieces(plaintext, sizes)) parts.push(...sealer.push(piece))
  parts.push(sealer.end())
  return Buffer.concat(parts)
}

/** Opens a whole stream; what it gave before a fault is in `seen`. */
function open(
  stream: Buffer,
  { sizes = [stream.length], associated = bound, by = key, seen = [] as Buffer[] } = {},
): Buffer {
  const read = readHead(stream)
  if (read === undefined) throw new StreamFault('no head')
  const opener = new StreamOpener(by, read.head, associated)
  for (const piece of pieces(stream.subarray(read.sizeBytes), sizes)) {
    for (const part of opener.push(piece)) seen.push(part)
  }
  seen.push(opener.end())
  return Buffer.concat(seen)
}

const textOf = (sizeBytes: number): Buffer =>
  Buffer.from(Array.from({ length: sizeBytes }, (_, at) => (at * 31 + (at >> 8)) & 0xff))

/** The chunks of a stream as they are sealed. */
function chunksOf(stream: Buffer): Buffer[] {
  return [...pieces(stream.subarray(HEAD), [CHUNK + TAG])]
}

t.test('any text, in any pieces', async t => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 * CHUNK }), { minLength: 1, maxLength: 5 })
  const lengths = fc.oneof(
    fc.integer({ min: 0, max: 4 * CHUNK + 3 }),
    fc.constantFrom(0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK),
  )
  fc.assert(
    fc.property(lengths, sizes, sizes, (sizeBytes, cutIn, cutOut) => {
      const text = textOf(sizeBytes)
      const stream = seal(text, cutIn)
      const chunks = Math.max(1, Math.ceil(sizeBytes / CHUNK))
      return (
        stream.length === HEAD + sizeBytes + chunks * TAG &&
        open(stream, { sizes: cutOut }).equals(text)
      )
    }),
    { numRuns: propertyRuns() },
  )
  t.pass('opened')
})

t.test('the format as docs/transit.md has it, made by hand', async t => {
  const text = textOf(CHUNK + 5)
  const stream = seal(text)
  const expectedHead = Buffer.concat([
    Buffer.from('GHSTREAM'),
    Buffer.from([1, 12]),
    prefix,
    Buffer.from([0, 13]),
    Buffer.from('vault:v1:AAAA'),
  ])
  t.same(stream.subarray(0, HEAD), expectedHead)
  const digest = createHash('sha256').update(expectedHead.subarray(0, 17)).update(bound).digest()
  const info = `gatehouse transit stream ${digest.toString('hex')}`
  const chunkKey = Buffer.from(hkdfSync('sha256', key, '', info, 32))
  const sealBy = (nonceEnd: number[], plaintext: Buffer): Buffer => {
    const nonce = Buffer.concat([prefix, Buffer.from(nonceEnd)])
    const cipher = createCipheriv('aes-256-gcm', chunkKey, nonce).setAAD(digest)
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  }
  const first = sealBy([0, 0, 0, 0, 0], text.subarray(0, CHUNK))
  const last = sealBy([0, 0, 0, 1, 1], text.subarray(CHUNK))
  t.same(stream.subarray(HEAD), Buffer.concat([first, last]))
})

t.test('vectors that must not change', async t => {
  const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  t.equal(seal(Buffer.alloc(0)).toString('hex'), VECTOR_EMPTY)
  t.equal(seal(Buffer.from('hello')).toString('hex'), VECTOR_HELLO)
  t.equal(sha(seal(textOf(3 * CHUNK))), VECTOR_CHUNKS)
})

const VECTOR_HEAD = '474853545245414d010c01020304050607000d7661756c743a76313a41414141'
const VECTOR_EMPTY = `${VECTOR_HEAD}e4c7b524c648ce276f2a96c2d790b67d`
const VECTOR_HELLO = `${VECTOR_HEAD}6bdb9c61cb22673313d36796cc3a1b8129e1feb52f`
const VECTOR_CHUNKS = '9102cde0db847930b307e3ddfc545019271dcb3482bc370b22846f1c6fe6c79a'

t.test('each byte that is changed, in head and chunks alike', async t => {
  const text = textOf(2 * CHUNK + 9)
  const stream = seal(text)
  let unnoticed = 0
  await untilBudget(
    'changed bytes of streams',
    stream.length,
    at => {
      // All of them in the end, and from everywhere in the beginning.
      const where = (at * 4_099) % stream.length
      if (where >= HEAD_BEFORE_KEY && where < HEAD) return
      const changed = Buffer.from(stream)
      changed[where]! ^= 1 << (at % 8)
      const seen: Buffer[] = []
      try {
        open(changed, { seen })
        unnoticed++
      } catch (error) {
        if (!(error instanceof StreamFault)) throw error
      }
      // What was given before was the plaintext, in its place.
      const given = Buffer.concat(seen)
      if (!text.subarray(0, given.length).equals(given)) unnoticed++
    },
    300,
  )
  t.equal(unnoticed, 0)
  for (let at = 0; at < HEAD_BEFORE_KEY; at++) {
    const changed = Buffer.from(stream)
    changed[at]! ^= 0x10
    t.throws(() => open(changed), StreamFault, `byte ${at} of the head`)
  }
})

t.test('chunks that were moved, left out, repeated or added', async t => {
  const stream = seal(textOf(5 * CHUNK + 100))
  const [begin, chunks] = [stream.subarray(0, HEAD), chunksOf(stream)]
  const refused = (what: string, ...others: (Buffer | undefined)[]): void => {
    const made = Buffer.concat([begin, ...others.map(one => one!)])
    t.throws(() => open(made), StreamFault, what)
  }
  for (let one = 0; one < chunks.length; one++) {
    refused(`without ${one}`, ...chunks.toSpliced(one, 1))
    refused(`${one} twice`, ...chunks.toSpliced(one, 0, chunks[one]!))
    refused(`cut before ${one}`, ...chunks.slice(0, one))
    for (let other = one + 1; other < chunks.length; other++) {
      refused(
        `${one} and ${other} swapped`,
        ...chunks.with(one, chunks[other]!).with(other, chunks[one]!),
      )
    }
  }
  refused('a whole chunk more', ...chunks, chunks[0])
  refused('a last chunk more', ...chunks, chunks.at(-1))
  refused('an empty one more', ...chunks, seal(Buffer.alloc(0)).subarray(HEAD))
  refused('bytes more', ...chunks, Buffer.from([0]))
  for (let cut = 1; cut < stream.length; cut += 97) {
    t.throws(() => open(stream.subarray(0, stream.length - cut)), StreamFault, `cut by ${cut}`)
  }
  const whole = seal(textOf(2 * CHUNK))
  t.throws(() => open(whole.subarray(0, HEAD + CHUNK + TAG)), StreamFault, 'cut where a chunk ends')
})

t.test('another key, other associated data, chunks of another stream', async t => {
  const stream = seal(textOf(2 * CHUNK))
  t.throws(() => open(stream, { by: Buffer.alloc(32, 8) }), StreamFault)
  t.throws(() => open(stream, { associated: Buffer.from('invoice 13') }), StreamFault)
  t.throws(() => open(stream, { associated: Buffer.alloc(0) }), StreamFault)
  const sealer = new StreamSealer(key, { ...head, prefix: Buffer.alloc(7) }, bound)
  const [other] = [...sealer.push(textOf(CHUNK + 1))]
  const mixed = Buffer.concat([stream.subarray(0, HEAD), other!, chunksOf(stream)[1]!])
  t.throws(() => open(mixed), StreamFault)
})

t.test('the key may be wrapped anew: the chunks stay as they are', async t => {
  const text = textOf(2 * CHUNK)
  const again = headBytes({ ...head, wrappedKey: 'vault:v12:BBBBBBBB' })
  const stream = Buffer.concat([again, ...chunksOf(seal(text))])
  t.ok(open(stream).equals(text))
})

t.test('heads', async t => {
  const bytes = headBytes(head)
  for (let at = 0; at < bytes.length; at++) t.equal(readHead(bytes.subarray(0, at)), undefined)
  t.same(readHead(Buffer.concat([bytes, Buffer.from('more')])), { head, sizeBytes: bytes.length })
  t.throws(() => readHead(Buffer.from('PK')), StreamFault, 'known by its first bytes')
  t.throws(() => readHead(Buffer.from(bytes.with(8, 2))), /format 2/)
  t.throws(() => readHead(Buffer.from(bytes.with(9, 40))), StreamFault, 'chunks too large')
  t.throws(() => readHead(Buffer.from(bytes.with(17, 255))), StreamFault, 'a key too long')
  t.throws(() => headBytes({ ...head, chunkSizeBytes: 5_000 }), StreamFault)
  t.throws(() => headBytes({ ...head, wrappedKey: 'x'.repeat(3_000) }), StreamFault)
  t.same([4_095, 4_096, 65_536, 1_048_576, 2_097_152, 0, -1, Number.NaN].map(isChunkSize), [
    ...[false, true, true, true, false, false, false, false],
  ])
})

t.test('what was wiped seals no more as before', async t => {
  const sealer = new StreamSealer(key, head, bound)
  sealer.wipe()
  t.notSame(Buffer.concat([sealer.head, sealer.end()]), seal(Buffer.alloc(0)))
})
