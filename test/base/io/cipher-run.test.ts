/** Ciphers over one piece of memory: what comes of each text, and what is left of it. */
import { createDecipheriv, randomBytes } from 'node:crypto'
import tap from 'tap'
import {
  type CipherRun,
  NONCE_SIZE_BYTES,
  runCiphers,
  TAG_SIZE_BYTES,
} from '../../../src/base/io/cipher-run.ts'

const KEY = randomBytes(32)
const AROUND = NONCE_SIZE_BYTES + TAG_SIZE_BYTES

/** Texts of these sizes, filled with their numbers, with random nonces. */
function runOf(sizes: readonly number[]): CipherRun {
  const sizeBytes = sizes.reduce((sum, size) => sum + size + AROUND, KEY.length)
  const memory = new Uint8Array(sizeBytes)
  memory.set(KEY)
  let at = KEY.length
  for (const [number, size] of sizes.entries()) {
    memory.set(randomBytes(NONCE_SIZE_BYTES), at)
    memory.fill(number, at + NONCE_SIZE_BYTES, at + NONCE_SIZE_BYTES + size)
    at += size + AROUND
  }
  const sizesBytes = Uint32Array.from(sizes)
  const keySizeBytes = KEY.length
  return { cipher: 'aes-256-gcm', isSealing: true, keySizeBytes, memory, sizesBytes, isWhole: true }
}

tap.test('texts are encrypted and decrypted in their places', t => {
  const sizes = [0, 1, 16, 255, 4_096]
  const sealed = runCiphers(runOf(sizes))
  t.ok(
    sealed.memory.subarray(0, KEY.length).every(byte => byte === 0),
    'the key is wiped',
  )
  // The last one, by node:crypto alone.
  const last = Buffer.from(sealed.memory).subarray(-4_096 - AROUND)
  const opening = createDecipheriv('aes-256-gcm', KEY, last.subarray(0, NONCE_SIZE_BYTES))
  opening.setAuthTag(last.subarray(-TAG_SIZE_BYTES))
  const body = opening.update(last.subarray(NONCE_SIZE_BYTES, -TAG_SIZE_BYTES))
  opening.final()
  t.strictSame(body, Buffer.alloc(4_096, 4))

  sealed.memory.set(KEY)
  const opened = runCiphers({ ...sealed, isSealing: false })
  t.equal(opened.isWhole, true)
  let at = KEY.length + NONCE_SIZE_BYTES
  for (const [number, size] of sizes.entries()) {
    t.ok(opened.memory.subarray(at, at + size).every(byte => byte === number))
    at += size + AROUND
  }
  t.end()
})

tap.test('where one text is not authentic nothing is left of any', t => {
  const sealed = runCiphers(runOf([8, 8, 8]))
  sealed.memory.set(KEY)
  sealed.memory[sealed.memory.length - 1]! ^= 1
  const opened = runCiphers({ ...sealed, isSealing: false })
  t.equal(opened.isWhole, false)
  t.ok(opened.memory.every(byte => byte === 0))
  t.end()
})
