/**
 * Issuers and keys as they come and go: taken in, tied to each other, made the default, deleted.
 *
 * Owns that a key and a certificate are here once, that an issuer knows its key whichever of both
 * came first, and what becomes the default. Pure; what it is given was read and proven before.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { WallMs } from '../../../../base/brand.ts'
import type { Random } from '../../../../base/clock.ts'
import type { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import { DerError } from '../../../../x509/der.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'
import { beginList } from '../revoke/list.ts'
import {
  deleteIssuer,
  deleteKey,
  type IssuerRow,
  issuerAt,
  issuerNamed,
  issuersConfigOf,
  issuersOf,
  issuerUsages,
  type KeyRow,
  type KeyType,
  keyNamed,
  keysConfigOf,
  keysOf,
  putGraph,
  putIssuer,
  putIssuersConfig,
  putKey,
  putKeysConfig,
} from '../rows.ts'
import { serialText } from '../serial.ts'
import { placed, signedBy } from './chain.ts'
import { issuerOfRow } from './stored.ts'

/** What of a call is needed here. */
export interface Keeping {
  readonly storage: Storage
  readonly random: Pick<Random, 'uuid'>
  readonly now: WallMs
}

/** A row that was taken in, or was here. */
export interface Kept<T> {
  readonly row: T
  readonly isNew: boolean
}

const CURVES = new Map<string | undefined, number>([
  ['secp224r1', 224],
  ['prime256v1', 256],
  ['secp384r1', 384],
  ['secp521r1', 521],
])

/** The kind and size of a key; undefined for one that signs no certificates here. */
export function kindOf(
  key: KeyObject,
): { readonly type: KeyType; readonly bits: number } | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') return { type, bits: details?.modulusLength ?? 0 }
  if (type === 'ed25519') return { type, bits: 0 }
  const bits = CURVES.get(details?.namedCurve)
  return type === 'ec' && bits !== undefined ? { type, bits } : undefined
}

/** The public half in the one form in which halves are compared. */
const spkiOf = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key)
    .export({ type: 'spki', format: 'der' })
    .toString('base64')

/** Takes in a private key; one that is here already is given as it is. */
export function keepKey(call: Keeping, key: KeyObject, name: string): Kept<KeyRow> | Refusal {
  const { storage } = call
  const kind = kindOf(key)
  if (kind === undefined) return bad('unsupported private key type within pem bundle')
  const spki = spkiOf(key)
  const rows = keysOf(storage)
  const same = rows.find(row => row.spki === spki)
  if (same !== undefined) return { row: same, isNew: false }
  if (name !== '' && keyNamed(storage, name) !== undefined) {
    return bad(`an existing key is using the requested key name value: ${name}`)
  }
  if (rows.length >= limits.pkiKeys) return bad(`a mount has at most ${limits.pkiKeys} keys`)
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  const row: KeyRow = { id: call.random.uuid(), name, ...kind, pkcs8, spki }
  putKey(storage, row)
  tie(call, row)
  if (keysConfigOf(storage).default === '') putKeysConfig(storage, { default: row.id })
  return { row, isNew: true }
}

/** Tells the issuers that a key is theirs; there may be several that were signed by others. */
function tie(call: Keeping, key: KeyRow): void {
  const { storage } = call
  for (const row of issuersOf(storage)) {
    if (row.keyId !== '' || spkiOf(issuerOfRow(row).certificate.publicKey) !== key.spki) continue
    putIssuer(storage, { ...row, keyId: key.id })
    if (issuersConfigOf(storage).default === '') setDefaultIssuer(call, row.id)
  }
}

/** How an issuer is to be taken in. */
export interface Wanted {
  /** '' for none. */
  readonly name: string
  /** How its CRLs are signed; as its key does unless said. */
  readonly revocationAlgorithm?: string
}

/** Takes in the certificate of an authority; one that is here already is given as it is. */
export function keepIssuer(
  call: Keeping,
  certificate: ParsedCertificate,
  { name, revocationAlgorithm = '' }: Wanted,
): Kept<IssuerRow> | Refusal {
  const { storage, now } = call
  const refused = refuseIssuer(certificate)
  if (refused !== undefined) return refused
  const der = certificate.der.toString('base64')
  const rows = issuersOf(storage)
  const same = rows.find(row => row.der === der)
  if (same !== undefined) return { row: same, isNew: false }
  if (name !== '' && issuerNamed(storage, name) !== undefined) {
    return bad(`another issuer is using the requested name: ${name}`)
  }
  if (rows.length >= limits.pkiIssuers) {
    return bad(`a mount has at most ${limits.pkiIssuers} issuers`)
  }
  const spki = spkiOf(certificate.publicKey)
  const signsLists = certificate.usages.includes('cRLSign')
  const place = placed(rows, certificate)
  const id = call.random.uuid()
  const row: IssuerRow = {
    ...{ id, name, der, revocationAlgorithm, modifiedAtMs: now },
    keyId: keysOf(storage).find(key => key.spki === spki)?.id ?? '',
    serial: serialText(certificate.serial),
    ...place,
    ...{ manualChain: [], leafBehavior: 'err' },
    usages: issuerUsages.filter(usage => usage !== 'crl-signing' || signsLists),
  }
  putIssuer(storage, row)
  for (const each of signedBy(rows, certificate, place)) putIssuer(storage, each)
  putGraph(storage, { changed: id })
  beginList(storage, certificate, now)
  if (issuersConfigOf(storage).default === '' && row.keyId !== '') setDefaultIssuer(call, id)
  return { row: issuerAt(storage, id)!, isNew: true }
}

/** What is wrong with a certificate as that of an authority; undefined for nothing. */
function refuseIssuer(certificate: ParsedCertificate): Refusal | undefined {
  if (!certificate.isAuthority) return bad('Refusing to import non-CA certificate')
  try {
    if (kindOf(certificate.publicKey) !== undefined) return undefined
  } catch (error) {
    if (!(error instanceof DerError)) throw error
  }
  return bad(
    'Refusing to import CA certificate with empty PublicKey: its key is none of RSA, EC (P-224, P-256, P-384, P-521) or Ed25519',
  )
}

/** Writes an issuer that was changed; chains may be others where it says another. */
export function replaceIssuer(storage: Storage, row: IssuerRow): IssuerRow {
  const before = issuerAt(storage, row.id)
  putIssuer(storage, row)
  if (before?.manualChain.join() !== row.manualChain.join()) putGraph(storage, { changed: row.id })
  return row
}

/** Makes an issuer the default; '' for none. What is fetched of both changes with it. */
export function setDefaultIssuer({ storage, now }: Omit<Keeping, 'random'>, id: string): void {
  const before = issuersConfigOf(storage)
  if (before.default === id) return
  putIssuersConfig(storage, { ...before, default: id })
  for (const each of [before.default, id]) {
    const row = issuerAt(storage, each)
    if (row !== undefined) putIssuer(storage, { ...row, modifiedAtMs: now })
  }
}

/** Ends an issuer. Gives whether it was the default. */
export function dropIssuer(call: Omit<Keeping, 'random'>, row: IssuerRow): boolean {
  const { storage } = call
  const wasDefault = issuersConfigOf(storage).default === row.id
  deleteIssuer(storage, row)
  if (wasDefault) setDefaultIssuer(call, '')
  putGraph(storage, { changed: row.id })
  return wasDefault
}

/** Ends a key. Gives whether it was the default. */
export function dropKey(storage: Storage, row: KeyRow): boolean {
  deleteKey(storage, row)
  if (keysConfigOf(storage).default !== row.id) return false
  putKeysConfig(storage, { default: '' })
  return true
}

/** Ends all issuers and keys; the settings stay, but for what was the default. */
export function endAll(storage: Storage): void {
  for (const row of issuersOf(storage)) deleteIssuer(storage, row)
  for (const row of keysOf(storage)) deleteKey(storage, row)
  putIssuersConfig(storage, { ...issuersConfigOf(storage), default: '' })
  putKeysConfig(storage, { default: '' })
  putGraph(storage, { changed: '' })
}
