/**
 * A client of ACME for tests, which can be made to do everything wrong: it signs, keeps nonces and
 * does what it is told.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { thumbprintOf } from '../../../../../src/secrets/engine/pki/acme/jws.ts'
import type { Got, TestSecrets } from '../../../harness.ts'

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const KINDS = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey,
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
}
const HASHES = { ES256: 'sha256', ES384: 'sha384', RS256: 'sha256', EdDSA: null }
export type Algorithm = keyof typeof KINDS

/** What of a request is to be other than it should. */
export interface Wrong {
  readonly nonce?: string
  readonly url?: string
  readonly header?: Readonly<Record<string, unknown>>
  readonly signature?: string
  readonly mediaType?: string
}

export class AcmeClient {
  readonly algorithm: Algorithm
  key: KeyObject
  /** The URL of the account, once there is one. */
  kid: string | undefined
  nonce = ''
  readonly #secrets: TestSecrets
  readonly #base: string

  /** `base` is the URL of the mount up to `/v1/`, as the server was told it. */
  constructor(secrets: TestSecrets, base: string, algorithm: Algorithm = 'ES256') {
    this.#secrets = secrets
    this.#base = base
    this.algorithm = algorithm
    this.key = KINDS[algorithm]()
  }

  get jwk(): Record<string, string> {
    return createPublicKey(this.key).export({ format: 'jwk' }) as Record<string, string>
  }

  get thumbprint(): string {
    return thumbprintOf(this.jwk)
  }

  /** A new nonce, by its path below the mount's URL. */
  async newNonce(directory: string): Promise<string> {
    const { headers } = await this.#secrets.read(this.#pathOf(`${directory}/new-nonce`), {
      token: '',
    })
    this.nonce = headers['Replay-Nonce'] ?? ''
    return this.nonce
  }

  #pathOf(url: string): string {
    return url.slice(this.#base.length)
  }

  /** A JWS as this key signs it. */
  signed(header: Readonly<Record<string, unknown>>, payload: unknown, key = this.key): Buffer {
    const head = encode({ alg: this.algorithm, ...header })
    const body = payload === undefined ? '' : encode(payload)
    const signature = sign(HASHES[this.algorithm], Buffer.from(`${head}.${body}`), {
      key,
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url')
    return Buffer.from(JSON.stringify({ protected: head, payload: body, signature }))
  }

  /** Posts to a URL; without a payload it only reads. */
  async post(url: string, payload?: unknown, wrong: Wrong = {}): Promise<Got> {
    const who = this.kid === undefined ? { jwk: this.jwk } : { kid: this.kid }
    const header = {
      nonce: wrong.nonce ?? this.nonce,
      url: wrong.url ?? url,
      ...who,
      ...wrong.header,
    }
    let body = this.signed(header, payload)
    if (wrong.signature !== undefined) {
      const whole = JSON.parse(body.toString()) as object
      body = Buffer.from(JSON.stringify({ ...whole, signature: wrong.signature }))
    }
    return this.send(url, body, wrong.mediaType)
  }

  async send(url: string, body: Buffer, mediaType = 'application/jose+json'): Promise<Got> {
    const asked = { token: '', body, mediaType }
    const got = await this.#secrets.ask('update', this.#pathOf(url), asked)
    this.nonce = got.headers['Replay-Nonce'] ?? ''
    const isProblem = got.text.includes('urn:ietf:params:acme:error:') && got.status >= 400
    return isProblem ? { ...got, body: JSON.parse(got.text) as unknown } : got
  }

  /** Makes an account, or finds the own one. */
  async register(directory: string, more: Readonly<Record<string, unknown>> = {}): Promise<Got> {
    if (this.nonce === '') await this.newNonce(directory)
    const got = await this.post(`${directory}/new-account`, {
      termsOfServiceAgreed: true,
      contact: ['mailto:admin@example.com'],
      ...more,
    })
    if (got.status < 300) this.kid = got.headers.Location
    return got
  }

  /** The binding of an external account. */
  binding(url: string, kid: string, secret: string, alg = 'HS256'): unknown {
    const head = encode({ alg, kid, url })
    const payload = encode(this.jwk)
    const signature = createHmac('sha256', Buffer.from(secret, 'base64url'))
      .update(`${head}.${payload}`)
      .digest('base64url')
    return { protected: head, payload, signature }
  }

  /** Takes another key; gives what signs that it is wanted. */
  nextKey(): KeyObject {
    return createPrivateKey(KINDS[this.algorithm]().export({ type: 'pkcs8', format: 'pem' }))
  }
}
