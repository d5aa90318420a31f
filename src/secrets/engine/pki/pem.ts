/**
 * PEM that people send: certificates and private keys among other things.
 *
 * Owns which blocks are taken for what. A key is never quoted in a refusal.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type ParsedCertificate, readCertificate } from '../../../x509/certificate.ts'
import { DerError } from '../../../x509/der.ts'
import { type PemBlock, pemBlocks } from '../../../x509/pem.ts'
import { bad } from './refusals.ts'

/** What a bundle holds, in its order. */
export interface Bundle {
  readonly certificates: readonly ParsedCertificate[]
  readonly keys: readonly KeyObject[]
}

const CERTIFICATES = ['CERTIFICATE', 'X509 CERTIFICATE']
/** Parts that others write and nobody needs. */
const PASSED_OVER = ['CRL', 'X509 CRL', 'EC PARAMS', 'EC PARAMETERS']

/** The blocks of a text. */
export function blocksOf(text: string): PemBlock[] | Refusal {
  if (text.length > limits.pkiBundleChars) {
    return bad(`what is imported must not be longer than ${limits.pkiBundleChars} characters`)
  }
  let blocks: PemBlock[]
  try {
    blocks = pemBlocks(text)
  } catch (error) {
    return bad(`error when parsing the bundle: invalid PEM data: ${faultOf(error)}`)
  }
  return blocks.length > 0 ? blocks : bad('error when parsing block 1: invalid PEM data')
}

/** Reads a bundle of certificates and keys. */
export function readBundle(text: string): Bundle | Refusal {
  const blocks = blocksOf(text)
  if (blocks instanceof Refusal) return blocks
  const certificates: ParsedCertificate[] = []
  const keys: KeyObject[] = []
  for (const block of blocks) {
    if (PASSED_OVER.includes(block.label)) continue
    if (CERTIFICATES.includes(block.label)) {
      const certificate = certificateOf(block.der)
      if (certificate instanceof Refusal) {
        return bad(`Error parsing issuer ${certificates.length}: ${certificate.text}`)
      }
      certificates.push(certificate)
    } else {
      const key = keyOf(block)
      if (key === undefined) return bad(`Error parsing key ${keys.length}: ${NO_KEY}`)
      keys.push(key)
    }
  }
  return { certificates, keys }
}

const NO_KEY = 'it is no unencrypted private key of PKCS #1, SEC 1 or PKCS #8'

/** Reads a certificate that somebody sent. */
export function certificateOf(der: Buffer): ParsedCertificate | Refusal {
  try {
    return readCertificate(der)
  } catch (error) {
    return bad(`error parsing certificate: ${faultOf(error)}`)
  }
}

/** A private key in one of its forms; undefined where it is none. */
export function keyOf({ label, der }: PemBlock): KeyObject | undefined {
  if (label === 'ENCRYPTED PRIVATE KEY') return undefined
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key: der, format: 'der', type })
    } catch {
      // Another form, or none.
    }
  }
  return undefined
}

/** What is wrong with something that was read. Throws on what is no fault of its sender. */
export function faultOf(error: unknown): string {
  if (error instanceof DerError) return error.message
  throw error
}
