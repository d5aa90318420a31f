/**
 * Issuers and keys as they are used: found by what people call them, read once.
 *
 * Owns what a reference means (an id, a name, `default`), the forms that rows are read into, and
 * who may sign what. Kept for each row as long as it stands: nothing is parsed twice.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type ParsedCertificate, readCertificate } from '../../../../x509/certificate.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'
import {
  type IssuerRow,
  type IssuerUsage,
  issuerAt,
  issuerNamed,
  issuersConfigOf,
  type KeyRow,
  keyAt,
  keyNamed,
  keysConfigOf,
} from '../rows.ts'

/** An issuer, read. */
export interface StoredIssuer {
  readonly row: IssuerRow
  readonly certificate: ParsedCertificate
  /** The certificate as answers tell it: PEM without a line end behind it. */
  readonly pem: string
}

/** One that may be signed with. */
export interface SigningIssuer extends StoredIssuer {
  readonly key: KeyObject
  readonly keyRow: KeyRow
}

const DEFAULT = 'default'

/** A reference as it was said: without blanks around it, `default` in any spelling. */
const plain = (reference: string): string => {
  const text = reference.trim()
  return text.toLowerCase() === DEFAULT ? DEFAULT : text
}

/** The id of the issuer that is meant. */
export function issuerIdOf(storage: Storage, reference: string): string | Refusal {
  const text = plain(reference)
  if (text === '') return bad('missing issuer reference')
  if (text === DEFAULT) {
    const { default: id } = issuersConfigOf(storage)
    return id === '' ? bad('no default issuer currently configured') : id
  }
  const id = issuerAt(storage, text)?.id ?? issuerNamed(storage, text)
  return id ?? bad(`unable to find PKI issuer for reference: ${text}`)
}

/** The issuer that is meant. */
export function storedIssuer(storage: Storage, reference: string): StoredIssuer | Refusal {
  const id = issuerIdOf(storage, reference)
  if (id instanceof Refusal) return id
  const row = issuerAt(storage, id)
  return row === undefined ? bad(`pki issuer id ${id} does not exist`) : issuerOfRow(row)
}

const issuers = new WeakMap<IssuerRow, StoredIssuer>()

/** A row, read. */
export function issuerOfRow(row: IssuerRow): StoredIssuer {
  const known = issuers.get(row)
  if (known !== undefined) return known
  const certificate = readCertificate(Buffer.from(row.der, 'base64'))
  const issuer = { row, certificate, pem: certificate.pem.trimEnd() }
  issuers.set(row, issuer)
  return issuer
}

/** The id of the key that is meant. */
export function keyIdOf(storage: Storage, reference: string): string | Refusal {
  const text = plain(reference)
  if (text === '') return bad('missing key reference')
  if (text === DEFAULT) {
    const { default: id } = keysConfigOf(storage)
    return id === '' ? bad('no default key currently configured') : id
  }
  const id = keyAt(storage, text)?.id ?? keyNamed(storage, text)
  return id ?? bad(`unable to find PKI key for reference: ${text}`)
}

/** The row of the key that is meant. */
export function storedKey(storage: Storage, reference: string): KeyRow | Refusal {
  const id = keyIdOf(storage, reference)
  if (id instanceof Refusal) return id
  return keyAt(storage, id) ?? bad(`pki key id ${id} does not exist`)
}

const keys = new WeakMap<KeyRow, KeyObject>()

/** The private key of a row. */
export function keyOfRow(row: KeyRow): KeyObject {
  const known = keys.get(row)
  if (known !== undefined) return known
  const key = createPrivateKey({
    key: Buffer.from(row.pkcs8, 'base64'),
    format: 'der',
    type: 'pkcs8',
  })
  keys.set(row, key)
  return key
}

/** What is wrong with using an issuer so; undefined for nothing. */
function refuseUsage(row: IssuerRow, usage: IssuerUsage): Refusal | undefined {
  if (usage === 'read-only' || row.usages.includes(usage)) return undefined
  const name = row.name === '' ? '' : ` / name:${row.name}`
  return bad(
    `error while attempting to use issuer ${row.id}: requested usage ${usage} for issuer ` +
      `[id:${row.id}${name}] but only had usage ${row.usages.join(',')}`,
  )
}

/** The issuer that is meant, for signing. */
export function issuerFor(
  storage: Storage,
  reference: string,
  usage: IssuerUsage,
): SigningIssuer | Refusal {
  const stored = storedIssuer(storage, reference)
  if (stored instanceof Refusal) return stored
  const refused = refuseUsage(stored.row, usage)
  if (refused !== undefined) return refused
  const { id, keyId } = stored.row
  const keyRow = keyId === '' ? undefined : keyAt(storage, keyId)
  if (keyRow === undefined) {
    return bad(
      `unable to fetch corresponding key for issuer ${id}; unable to use this issuer for signing`,
    )
  }
  return { ...stored, keyRow, key: keyOfRow(keyRow) }
}

/** The same for giving certificates, refused in the words of the paths that do. */
export function issuerForIssuing(storage: Storage, reference: string): SigningIssuer | Refusal {
  const issuer = issuerFor(storage, reference, 'issuing-certificates')
  return issuer instanceof Refusal
    ? new Refusal(
        issuer.status,
        `could not fetch the CA certificate (was one set?): ${issuer.text}`,
      )
    : issuer
}
