/**
 * The arithmetic alone, in a process of its own: what node:crypto gives when nothing is served.
 *
 * Owns the loops: each does for one request what must be done for it and nothing else. Answers its
 * parent with operations a second.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto'
import { answerParent } from './answers.ts'

/** The loops by their names. */
export type Primitive = 'encrypt' | 'decrypt' | 'hmac' | 'ed25519' | 'p256' | 'issue'

const PLAINTEXT_SIZE_BYTES = 256
const NONCE_SIZE_BYTES = 12
const TAG_SIZE_BYTES = 16
const CERTIFICATE_SIZE_BYTES = 500
/** How often the clock is looked at. */
const BURST = 64

const key = randomBytes(32)
const plaintext = randomBytes(PLAINTEXT_SIZE_BYTES)
const sealed = encrypt()
const edKey = generateKeyPairSync('ed25519').privateKey
const ecKey = newEcKey()
const body = randomBytes(CERTIFICATE_SIZE_BYTES)

function encrypt(): Buffer {
  const nonce = randomBytes(NONCE_SIZE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

function decrypt(): Buffer {
  const nonce = sealed.subarray(0, NONCE_SIZE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAuthTag(sealed.subarray(-TAG_SIZE_BYTES))
  const opened = decipher.update(sealed.subarray(NONCE_SIZE_BYTES, -TAG_SIZE_BYTES))
  return Buffer.concat([opened, decipher.final()])
}

function newEcKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/** A key, its two encodings, and the signature over a certificate. */
function issue(): Buffer {
  const made = newEcKey()
  made.export({ type: 'sec1', format: 'der' })
  createPublicKey(made).export({ type: 'spki', format: 'der' })
  return sign('sha256', body, ecKey)
}

const loops: Readonly<Record<Primitive, () => unknown>> = {
  encrypt,
  decrypt,
  hmac: () => createHmac('sha256', key).update(plaintext).digest(),
  ed25519: () => sign(null, plaintext, edKey),
  p256: () => sign('sha256', plaintext, ecKey),
  issue,
}

answerParent({
  /** Runs a loop for so long, and gives how often it went round in a second. */
  rate({ name, seconds }: { readonly name: Primitive; readonly seconds: number }): number {
    const fromMs = performance.now()
    const run = loops[name]
    let count = 0
    let tookMs = 0
    while (tookMs < seconds * 1_000) {
      for (let at = 0; at < BURST; at++) run()
      count += BURST
      tookMs = performance.now() - fromMs
    }
    return (count / tookMs) * 1_000
  },
})
