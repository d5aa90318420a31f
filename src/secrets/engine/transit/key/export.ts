/**
 * Keys in the forms that they leave in.
 *
 * Owns which form a key has under each name of an export, and that nothing private is in one whose
 * name says that it is public. Whether a key may leave is for others to say. Pure.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import type { KeyRow } from '../rows.ts'
import type { Material } from './material.ts'
import { derToPem, publicBytes } from './pem.ts'
import { isSymmetric, type KeyType, typeOf } from './type.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

export const exportTypes = [
  'encryption-key',
  'signing-key',
  'hmac-key',
  'public-key',
  'certificate-chain',
  'cmac-key',
] as const
export type ExportType = (typeof exportTypes)[number]

export const exportFormats = ['', 'raw', 'der', 'pem'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** What of an export is no secret. */
export const isPublicExport = (type: ExportType): boolean =>
  type === 'public-key' || type === 'certificate-chain'

/** The refusal of an export that keys of a type do not have; undefined where they do. */
export function refuseExport(
  { kind, encrypts, signs, authenticates, name }: KeyType,
  type: ExportType,
): Refusal | undefined {
  const unknown = bad(`unknown key type ${name} for export type ${type}`)
  switch (type) {
    case 'encryption-key':
      return encrypts ? undefined : bad('encryption not supported for the key')
    case 'signing-key':
      return signs ? undefined : bad('signing not supported for the key')
    case 'certificate-chain':
      return signs
        ? undefined
        : bad('certificate chain not supported for keys that do not support signing')
    case 'public-key':
      return signs ? undefined : unknown
    case 'hmac-key':
      return authenticates ? undefined : unknown
    case 'cmac-key':
      return kind === 'cmac' ? undefined : unknown
  }
}

/** One version of a key as it is exported; '' for a private part that is not there. */
export function exported(
  row: KeyRow,
  material: Material,
  type: ExportType,
  format: ExportFormat,
): string | Refusal {
  const keyType = typeOf(row)
  switch (type) {
    case 'hmac-key':
      return bytesText(material.hmac!, format)
    case 'encryption-key':
    case 'cmac-key':
    case 'signing-key':
      if (isSymmetric(keyType)) return bytesText(material.secret!, format)
      return privateText(keyType, row, material, format)
    case 'public-key':
      return publicText(keyType, material, format)
    case 'certificate-chain':
      return material.certificates.length === 0
        ? bad('selected key version does not have a certificate chain imported')
        : material.certificates.map(one => derToPem(one)).join('\n')
  }
}

function bytesText(key: KeyObject, format: ExportFormat): string | Refusal {
  return format === 'der' || format === 'pem'
    ? bad('unknown format for symmetric key; supported values are `` or `raw`')
    : key.export().toString('base64')
}

function privateText(
  type: KeyType,
  row: KeyRow,
  material: Material,
  format: ExportFormat,
): string | Refusal {
  const key = material.privateKey
  if (key === undefined) return ''
  const { kind } = type
  // What derived keys come from is no pair, but bytes.
  if (kind === 'ed25519' && (format === '' || format === 'raw' || row.derived)) {
    return material.raw!.toString('base64')
  }
  if (format === 'raw') return notRaw(kind)
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  if (format === 'der') return pkcs8
  // RSA's texts end with a line end, others' do not: so do OpenBao's.
  if (kind === 'rsa') {
    if (format === 'pem') return `${derToPem(pkcs8, 'PRIVATE KEY')}\n`
    return key.export({ format: 'pem', type: 'pkcs1' }).toString()
  }
  if (kind === 'ecdsa' && format === '') {
    return key.export({ format: 'pem', type: 'sec1' }).toString().trim()
  }
  return derToPem(pkcs8, 'PRIVATE KEY')
}

function publicText(type: KeyType, material: Material, format: ExportFormat): string | Refusal {
  const { kind } = type
  if (kind === 'ed25519' && (format === '' || format === 'raw')) {
    return publicBytes(material.publicKey!).toString('base64')
  }
  if (format === 'raw') return notRaw(kind)
  if (format === 'der') return material.publicText!
  return `${derToPem(material.publicText!, 'PUBLIC KEY')}${kind === 'rsa' ? '\n' : ''}`
}

const notRaw = (kind: string): Refusal =>
  bad(`unknown key format for ${kind} key; supported values are \`\`, \`der\`, or \`pem\``)
