/**
 * What tests of giving certificates share: authorities that give, requests, and what was given.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Json } from '../../../../../src/secrets/field.ts'
import { type ParsedCertificate, readCertificate } from '../../../../../src/x509/certificate.ts'
import { makeRequest, type RequestContent } from '../../../../../src/x509/csr.ts'
import { type NameFields, nameOfFields } from '../../../../../src/x509/name.ts'
import { pemBlocks, pemOf } from '../../../../../src/x509/pem.ts'
import type { TestSecrets } from '../../../harness.ts'

/** A root at `pki/`; in PEM. */
export async function makeRoot(secrets: TestSecrets, more: Record<string, Json> = {}) {
  const data = { common_name: 'Root', key_type: 'ec', ttl: '8760h', ...more }
  const { status, text, body } = await secrets.post('pki/root/generate/internal', data)
  if (status !== 200) throw new Error(text)
  return body.data as { certificate: string; issuer_id: string }
}

/** A role that gives names of example.com. */
export async function makeRole(
  secrets: TestSecrets,
  name: string,
  more: Record<string, Json> = {},
): Promise<void> {
  const usual = { allowed_domains: 'example.com', allow_subdomains: true, key_type: 'ec' }
  const { status, text } = await secrets.post(`pki/roles/${name}`, { ...usual, ...more })
  if (status !== 200) throw new Error(text)
}

/** A certificate of an answer. */
export const certificateIn = (pem: string): ParsedCertificate => readCertificate(derOf(pem))

/** The one block of a text. */
export function derOf(pem: string): Buffer {
  const [block, ...more] = pemBlocks(pem)
  if (block === undefined || more.length > 0) throw new Error('not one block')
  return block.der
}

/** A private key of an answer, in whatever form. */
export function keyIn(text: string, type: string, isPkcs8: boolean): KeyObject {
  if (text.startsWith('-----')) return createPrivateKey(text)
  const key = Buffer.from(text, 'base64')
  const form = isPkcs8 || type === 'ed25519' ? 'pkcs8' : type === 'rsa' ? 'pkcs1' : 'sec1'
  return createPrivateKey({ key, format: 'der', type: form })
}

/** A CSR in PEM. */
export const csrPem = (
  subject: NameFields,
  key: KeyObject,
  more: Omit<RequestContent, 'subject'> = {},
): string =>
  pemOf('CERTIFICATE REQUEST', makeRequest({ subject: nameOfFields(subject), ...more }, key))
