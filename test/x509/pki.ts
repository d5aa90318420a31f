/**
 * Authorities and certificates for tests, made by the program's own encoder: each in its file in a
 * folder of the test's own.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExtendedUsage } from '../../src/x509/certificate.ts'
import { issueCertificate, type OwnContent } from '../../src/x509/own.ts'

const DAY_MS = 86_400_000

/** A certificate and its key, as files and as texts. */
export interface Pair {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface Authority extends Pair {
  /** Makes a certificate of its own; 127.0.0.1 and localhost are in it unless told otherwise. */
  issue(name: string, options?: IssueOptions): Pair
}

export interface IssueOptions {
  readonly uses?: readonly ExtendedUsage[]
  readonly dnsNames?: readonly string[]
  readonly addresses?: readonly string[]
  readonly uris?: readonly string[]
  /** Days from now. */
  readonly fromDays?: number
  readonly untilDays?: number
  readonly isAuthority?: boolean
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
}

export const ecPair = (): { publicKey: KeyObject; privateKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** What a certificate says unless told otherwise. */
export function contentOf(
  name: string,
  publicKey: KeyObject,
  options: IssueOptions = {},
): OwnContent {
  const nowMs = Date.now()
  const isAuthority = options.isAuthority ?? false
  return {
    subject: [['CN', name]],
    publicKey,
    serial: randomBytes(16),
    notBefore: new Date(nowMs + (options.fromDays ?? -1) * DAY_MS),
    notAfter: new Date(nowMs + (options.untilDays ?? 30) * DAY_MS),
    isAuthority,
    usages: isAuthority
      ? ['digitalSignature', 'keyCertSign', 'cRLSign']
      : ['digitalSignature', 'keyEncipherment'],
    extendedUsages: isAuthority ? [] : (options.uses ?? ['serverAuth', 'clientAuth']),
    dnsNames: isAuthority ? [] : (options.dnsNames ?? ['localhost', name]),
    addresses: isAuthority ? [] : (options.addresses ?? ['127.0.0.1']),
    uris: isAuthority ? [] : (options.uris ?? []),
    permittedDomains: [],
  }
}

/** A new authority whose files lie in `folder`. */
export function makeAuthority(folder: string, name = 'test-ca'): Authority {
  const { publicKey, privateKey } = ecPair()
  const content = contentOf(name, publicKey, { isAuthority: true, untilDays: 3_650 })
  const cert = issueCertificate(content, { certificate: undefined, key: privateKey })
  const own = save(folder, name, cert, privateKey)
  return {
    ...own,
    issue(leaf, options = {}) {
      const keys = options.keys ?? ecPair()
      const signed = issueCertificate(contentOf(leaf, keys.publicKey, options), {
        certificate: cert,
        key: createPrivateKey(own.key),
      })
      return save(folder, `${name}-${leaf}`, signed, keys.privateKey)
    },
  }
}

function save(folder: string, name: string, cert: string, privateKey: KeyObject): Pair {
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const [certFile, keyFile] = [
    path.join(folder, `${name}.pem`),
    path.join(folder, `${name}-key.pem`),
  ]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  chmodSync(keyFile, 0o600)
  return { cert, key, certFile, keyFile }
}

/** Puts the files of one pair in the place of another's. */
export function replacePair(target: Pair, source: Pair): void {
  writeFileSync(target.certFile, readFileSync(source.certFile))
  writeFileSync(target.keyFile, readFileSync(source.keyFile))
}
