/**
 * OpenSSL's command line, and certificates of every kind for it to look at.
 */
import { spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { signNow } from '../../src/x509/algorithm.ts'
import {
  type CertificateContent,
  certificateBody,
  type ParsedCertificate,
  readCertificate,
} from '../../src/x509/certificate.ts'
import { absent, clientFile } from '../run/clients.ts'

export const needsOpenssl = { skip: absent('openssl') }

/** What it prints; throws with what it says when it fails. */
export function openssl(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(clientFile('openssl'), words, {
    ...{ encoding: 'utf8', maxBuffer: 67_108_864 },
  })
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
  return stdout
}

/** What `openssl verify` says, whether it is content or not. */
export function verdict(...words: string[]): string {
  const { stdout, stderr } = spawnSync(clientFile('openssl'), ['verify', ...words], {
    encoding: 'utf8',
  })
  return stdout + stderr
}

export const keyKinds = {
  'P-224': () => generateKeyPairSync('ec', { namedCurve: 'P-224' }),
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'RSA 2048': () => generateKeyPairSync('rsa', { modulusLength: 2_048 }),
  Ed25519: () => generateKeyPairSync('ed25519'),
} as const

/** The key as it stands in certificates. */
export const spkiOf = (key: KeyObject): Buffer =>
  (key.type === 'public' ? key : createPublicKey(key)).export({ type: 'spki', format: 'der' })

const DAY_MS = 86_400_000

/** A server's leaf that says as little as may be, but for what is given. */
export function leafContent(
  key: KeyObject,
  more: Partial<CertificateContent> = {},
): CertificateContent {
  return {
    subject: [['CN', 'leaf.example']],
    spki: spkiOf(key),
    serial: randomBytes(19),
    notBefore: new Date(Math.floor(Date.now() / 1000) * 1000 - DAY_MS),
    notAfter: new Date(Math.floor(Date.now() / 1000) * 1000 + DAY_MS),
    isAuthority: false,
    usages: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
    extendedUsages: ['serverAuth', 'clientAuth'],
    names: { dnsNames: ['leaf.example'] },
    ...more,
  }
}

/** An authority's. */
const authorityContent = (
  key: KeyObject,
  more: Partial<CertificateContent> = {},
): CertificateContent =>
  leafContent(key, {
    subject: [['CN', 'authority']],
    isAuthority: true,
    usages: ['keyCertSign', 'cRLSign'],
    extendedUsages: [],
    names: {},
    ...more,
  })

/** An authority with its key, and what it signs. */
export interface TestAuthority {
  readonly certificate: ParsedCertificate
  readonly key: KeyObject
  issue(content: CertificateContent): ParsedCertificate
}

/** Signs at once, by nobody above or by an authority. */
export function issued(
  content: CertificateContent,
  key: KeyObject,
  above?: ParsedCertificate,
): ParsedCertificate {
  const der = signNow(certificateBody(content, { certificate: above, key }), key)
  return readCertificate(der)
}

/** A root, or an authority below one. */
export function testAuthority(
  kind: keyof typeof keyKinds = 'P-256',
  more: Partial<CertificateContent> = {},
  above?: TestAuthority,
): TestAuthority {
  const { privateKey: key } = keyKinds[kind]()
  const content = authorityContent(key, more)
  const certificate = above === undefined ? issued(content, key) : above.issue(content)
  return { certificate, key, issue: each => issued(each, key, certificate) }
}
