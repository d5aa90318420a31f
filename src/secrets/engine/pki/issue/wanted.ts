/**
 * What a certificate is asked for: in the parameters of a request, or in a CSR.
 *
 * Owns which of both counts. Nothing is judged here: all of it goes through role/check.ts. Pure.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type AnyRequest, readAnyRequest } from '../../../../x509/csr.ts'
import { DerError } from '../../../../x509/der.ts'
import { fieldsOfName } from '../../../../x509/name.ts'
import { pemBlocks } from '../../../../x509/pem.ts'
import type { Values } from '../../../field.ts'
import { bad } from '../refusals.ts'
import type { Names, Wanted } from '../role/check.ts'
import { type OtherText, parseOtherName } from '../role/names.ts'
import type { RoleRow } from '../role/row.ts'
import type { signFields } from './fields.ts'

/** The fields that say names. */
export type Said = Omit<Values<typeof signFields>, 'csr'>

/** What is asked for by parameters, and by a CSR where there is one. */
export function wantedOf(role: RoleRow, said: Said, csr: AnyRequest | undefined): Wanted | Refusal {
  const others = othersOf(said.other_sans ?? [])
  if (others instanceof Refusal) return others
  const isOfCsr = csr !== undefined && role.use_csr_sans
  const subject = csr && fieldsOfName(csr.subjectName)
  const named = role.use_csr_common_name ? (subject?.commonName ?? '') : ''
  const saidSerial = said.serial_number ?? ''
  const takesSerial = role.serial_number_source !== 'json'
  const saidIds = said.user_ids ?? []
  return {
    ...(isOfCsr ? namesIn(csr, others) : namesSaid(said, others)),
    isOfCsr,
    commonName: named === '' ? (said.common_name ?? '') : named,
    excludesCommonName: said.exclude_cn_from_sans === true,
    serialNumber: saidSerial === '' && takesSerial ? (subject?.serialNumber ?? '') : saidSerial,
    userIds: saidIds.length === 0 ? (subject?.userIds ?? []) : saidIds,
  }
}

/** Names of kinds that no role speaks of are not given, as they are not by Go's. */
const namesIn = ({ names }: AnyRequest, others: readonly OtherText[]): Names => ({
  dnsNames: names.dnsNames,
  emails: names.emails,
  addresses: names.addresses,
  uris: names.uris,
  others: [...others, ...names.others],
})

function namesSaid(said: Said, others: readonly OtherText[]): Names {
  const names = (said.alt_names ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  return {
    dnsNames: names.filter(name => !name.includes('@')),
    emails: names.filter(name => name.includes('@')),
    addresses: (said.ip_sans ?? []).filter(address => address !== ''),
    uris: (said.uri_sans ?? []).filter(uri => uri !== ''),
    others,
  }
}

function othersOf(texts: readonly string[]): readonly OtherText[] | Refusal {
  const others: OtherText[] = []
  for (const text of texts) {
    const other = parseOtherName(text)
    if (typeof other === 'string') return bad(`could not parse requested other SAN: ${other}`)
    others.push(other)
  }
  return others
}

/** The CSR in a PEM text. */
export function csrIn(text: string): AnyRequest | Refusal {
  if (text.trim() === '') return bad('"csr" is empty')
  try {
    const [block] = pemBlocks(text)
    return block === undefined ? bad('csr contains no data') : readAnyRequest(block.der)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return error.message === 'not signed by its own key'
      ? bad('request signature invalid')
      : bad(`certificate request could not be parsed: ${error.message}`)
  }
}

const CURVE_BITS = new Map([
  ['secp224r1', 224],
  ['prime256v1', 256],
  ['secp384r1', 384],
  ['secp521r1', 521],
])

/** Below these, no key is signed. */
const LEAST_BITS: Readonly<Record<string, number>> = { rsa: 2_048, ec: 224 }

/** What is wrong with the key of a CSR for a role; undefined for nothing. */
export function refuseKey(role: RoleRow, key: KeyObject): Refusal | undefined {
  const { key_type: wanted, key_bits: roleBits } = role
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: details } = key
  if (wanted !== 'any' && type !== wanted) return bad(`role requires keys of type ${wanted}`)
  if (type === 'ed25519') return undefined
  const curve = details?.namedCurve ?? ''
  const bits = type === 'rsa' ? (details?.modulusLength ?? 0) : CURVE_BITS.get(curve)
  if ((type !== 'rsa' && type !== 'ec') || bits === undefined) {
    return bad(
      `Unknown key type in CSR: it is none of RSA, EC (P-224, P-256, P-384, P-521) or Ed25519`,
    )
  }
  // The size that a role for any kind says is meant for keys that are drawn.
  const leastBits = Math.max(wanted === 'any' ? 0 : roleBits, LEAST_BITS[type] ?? 0)
  return bits >= leastBits
    ? undefined
    : bad(`role requires a minimum of a ${leastBits}-bit key, but CSR's key is ${bits} bits`)
}
