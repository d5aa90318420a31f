/**
 * An authority of the tests' own, which answers as a server's does, and a client that asks it.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { ClientError } from '../../../src/cli/exchange.ts'
import type { SecretsClient } from '../../../src/cli/secrets/client.ts'
import { type Data, type Secret, secretOf } from '../../../src/cli/secrets/secret.ts'
import { signNow } from '../../../src/x509/algorithm.ts'
import {
  type CertificateContent,
  certificateBody,
  readCertificate,
} from '../../../src/x509/certificate.ts'
import { readAnyRequest } from '../../../src/x509/csr.ts'
import { pemBlocks, pemOf } from '../../../src/x509/pem.ts'

const spkiOf = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ type: 'spki', format: 'der' })

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

const rootKey = newKey()
const rootDer = issue({ spki: spkiOf(rootKey), name: 'Test Root', fromMs: 0, lifeMs: 4e12 })
const root = readCertificate(rootDer)
export const rootPem = pemOf('CERTIFICATE', rootDer)

interface Wish {
  readonly spki: Buffer
  readonly name: string
  readonly fromMs: number
  readonly lifeMs: number
}

function issue({ spki, name, fromMs, lifeMs }: Wish, signer?: typeof root): Buffer {
  const content: CertificateContent = {
    ...{ subject: [['CN', name]], spki, serial: randomBytes(16) },
    ...{ notBefore: new Date(fromMs), notAfter: new Date(fromMs + lifeMs) },
    ...{ isAuthority: signer === undefined, usages: ['digitalSignature'], extendedUsages: [] },
    names: { dnsNames: [name] },
  }
  return signNow(certificateBody(content, { certificate: signer, key: rootKey }), rootKey)
}

/** What a role's `issue` gives: a certificate that lasts so long from now, and its key. */
export function issued(name: string, fromMs: number, lifeMs: number): Data {
  const key = newKey()
  return {
    ...signed(spkiOf(key), name, fromMs, lifeMs),
    private_key: key.export({ type: 'sec1', format: 'pem' }),
  }
}

function signed(spki: Buffer, name: string, fromMs: number, lifeMs: number): Data {
  const certificate = pemOf('CERTIFICATE', issue({ spki, name, fromMs, lifeMs }, root))
  // As servers write them: without an end of the last line.
  return { certificate: certificate.trim(), issuing_ca: rootPem.trim(), ca_chain: [rootPem.trim()] }
}

/** A client that asks the authority, or that fails as told. */
export class FakeClient {
  token: string | undefined = 'own'
  signal: AbortSignal | undefined
  /** `path token` of every write, in order. */
  readonly asked: string[] = []
  readonly data: Data[] = []
  /** What the next questions fail with, by status; 0 for a server that is away. */
  fault: number | undefined
  /** What is wrong with the token: these are refused. */
  readonly refused = new Set<string>()
  ttlS = 0
  isRenewable = false
  readonly #nowMs: () => number
  readonly lifeMs: number

  constructor(nowMs: () => number, lifeMs: number) {
    this.#nowMs = nowMs
    this.lifeMs = lifeMs
  }

  /** As the code under test wants it. */
  get asClient(): SecretsClient {
    return this as unknown as SecretsClient
  }

  async read(path: string): Promise<Secret | undefined> {
    this.#ask(path)
    return { ...secretOf({}), data: { ttl: this.ttlS, renewable: this.isRenewable } }
  }

  async write(path: string, data: Data): Promise<Secret | undefined> {
    this.data.push(data)
    this.#ask(path)
    if (path.endsWith('/login') || path.endsWith('/renew-self')) return this.#auth(path)
    const name = String(data.common_name)
    if (!path.includes('/sign/')) {
      return { ...secretOf({}), data: issued(name, this.#nowMs(), this.lifeMs) }
    }
    const { spki } = readAnyRequest(pemBlocks(String(data.csr))[0]!.der)
    return { ...secretOf({}), data: signed(spki, name, this.#nowMs(), this.lifeMs) }
  }

  #auth(path: string): Secret {
    const client_token = path.endsWith('/login') ? `login-${this.asked.length}` : this.token!
    const auth = { client_token, lease_duration: this.ttlS, renewable: this.isRenewable }
    return { ...secretOf({}), data: null, auth: auth as never }
  }

  #ask(path: string): void {
    this.asked.push(`${path} ${this.token ?? '-'}`)
    if (this.fault === 0) throw new ClientError('connect ECONNREFUSED')
    if (this.fault !== undefined) throw new ClientError(`Code: ${this.fault}`, this.fault)
    if (this.refused.has(this.token ?? '')) throw new ClientError('permission denied', 403)
  }
}
