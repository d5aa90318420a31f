/**
 * What ACME asks of the authority that it stands on: roles, issuers, certificates.
 *
 * Owns which role a directory gives by, and that a request says what was ordered and nothing else.
 * Names and times are judged where they always are: by the role.
 */
import { isDeepStrictEqual } from 'node:util'
import { Refusal } from '../../../../base/errors.ts'
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import { crlReasonOf } from '../../../../x509/crl.ts'
import { type AnyRequest, readAnyRequest } from '../../../../x509/csr.ts'
import { DerError } from '../../../../x509/der.ts'
import { fieldsOfName } from '../../../../x509/name.ts'
import { pemOf } from '../../../../x509/pem.ts'
import type { Call } from '../../../declare.ts'
import type { Storage } from '../../../storage.ts'
import { askerOf, decide, keep, refuseChanged, type Signed, signed } from '../issue/give.ts'
import { refuseKey } from '../issue/wanted.ts'
import { chainOf } from '../issuer/chain.ts'
import { issuerForIssuing } from '../issuer/stored.ts'
import { revokeOnce } from '../revoke/revoke.ts'
import { allowed, type Wanted } from '../role/check.ts'
import { DEFAULTS, type RoleRow, roleAt } from '../role/row.ts'
import { momentText } from '../role/times.ts'
import type { AcmeConfig } from './config.ts'
import type { Directory } from './directory.ts'
import { Problem } from './problem.ts'
import type { Asked } from './request.run.ts'
import type { Identifier, OrderRow } from './rows.ts'

/** The role that a directory gives by. */
export interface RoleForAcme {
  /** '' where it has none, and what is ordered is given. */
  readonly name: string
  readonly row: RoleRow
}

const ANYTHING: RoleRow = {
  ...DEFAULTS,
  ...{ allow_any_name: true, enforce_hostnames: false, key_type: 'any', require_cn: false },
  cn_validations: ['disabled'],
}

/** The role of a name, as ACME gives by it; undefined where there is none. */
export function roleFor(
  storage: Storage,
  name: string,
  { takesRoleUsages, maxTtlMs }: AcmeConfig,
): RoleForAcme | undefined {
  const row = name === '' ? ANYTHING : roleAt(storage, name)
  if (row === undefined) return undefined
  const bound = { ...row, max_ttl: atMost(row.max_ttl, maxTtlMs), require_cn: false }
  if (takesRoleUsages) return { name, row: bound }
  const usages = { server_flag: true, client_flag: false, code_signing_flag: false }
  const none = { email_protection_flag: false, ext_key_usage: [], ext_key_usage_oids: [] }
  return { name, row: { ...bound, ...usages, ...none } }
}

/** The smaller of two times; none is larger than any. */
const atMost = (ttlMs: number, mostMs: number): number =>
  ttlMs === 0 ? mostMs : Math.min(ttlMs, mostMs)

/** An issuer that may give certificates, by its id or name; undefined for none. */
export function issuerFor(
  storage: Storage,
  reference: string,
): { readonly id: string } | undefined {
  const issuer = issuerForIssuing(storage, reference)
  return issuer instanceof Refusal ? undefined : issuer.row
}

/** What is asked for where these are ordered. */
function wantedFor(identifiers: readonly Identifier[], commonName: string): Wanted {
  const named = (kind: Identifier['type']) => identifiers.filter(({ type }) => type === kind)
  return {
    commonName,
    excludesCommonName: true,
    dnsNames: named('dns').map(textOf),
    addresses: named('ip').map(textOf),
    ...{ emails: [], uris: [], others: [], serialNumber: '', userIds: [] },
  }
}

const textOf = ({ value, isWildcard }: Identifier): string => (isWildcard ? `*.${value}` : value)

/** What is wrong with ordering these by the role of a directory; undefined for nothing. */
export function refuseIdentifiers(
  call: Call,
  { role }: Directory,
  identifiers: readonly Identifier[],
): Problem | undefined {
  const granted = allowed(role.row, wantedFor(identifiers, ''), askerOf(call))
  return granted instanceof Refusal ? new Problem('rejectedIdentifier', granted.text) : undefined
}

/** A certificate that waits for its transaction. */
export interface Issued {
  readonly signed: Signed
  readonly roleName: string
  /** The certificate and what stands above it, in PEM. */
  readonly chain: string
  readonly serial: string
  readonly notAfterMs: number
}

/** Signs what was ordered, for a request in DER. Writes nothing. */
export async function issueForAcme(
  { call, ports, directory, key: accountKey }: Asked,
  { identifiers, notBeforeMs, notAfterMs }: OrderRow,
  der: Buffer,
): Promise<Issued | Problem> {
  const { role, issuerRef } = directory
  const csr = requestIn(der)
  if (csr instanceof Problem) return csr
  const badCsr = (text: string): Problem => new Problem('badCSR', text)
  if (csr.publicKey.equals(accountKey)) return badCsr('the key is that of the account')
  const commonName = commonNameOf(csr, identifiers)
  if (commonName instanceof Problem) return commonName
  const refused = refuseKey(role.row, csr.publicKey)
  if (refused !== undefined) return badCsr(refused.text)
  const decided = decide(call, {
    ...{ role: role.row, issuerRef, wanted: wantedFor(identifiers, commonName) },
    times: {
      ttlMs: 0,
      notBefore: notBeforeMs === undefined ? '' : momentText(notBeforeMs),
      notAfter: notAfterMs === undefined ? '' : momentText(notAfterMs),
    },
    truncates: true,
  })
  if (decided instanceof Refusal) return badCsr(decided.text)
  const made = await signed(ports.arithmetic, decided, csr.spki)
  if (made instanceof Refusal) return badCsr(made.text)
  const above = chainOf(call.storage, decided.issuer.row).map(({ pem }) => `${pem}\n`)
  return {
    ...{ signed: made, roleName: role.name, serial: made.serial },
    chain: [pemOf('CERTIFICATE', made.der), ...above].join(''),
    notAfterMs: decided.content.notAfter.getTime(),
  }
}

function requestIn(der: Buffer): AnyRequest | Problem {
  try {
    return readAnyRequest(der)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return new Problem('badCSR', `the request cannot be read: ${error.message}`)
  }
}

/** X.509's bound on a common name: longer names are alternative names alone. */
const COMMON_NAME_CHARS = 64

/**
 * The common name of a certificate: that of the request, which must be among the names; else the
 * first name. A problem where a request asks for anything else than what was ordered.
 */
function commonNameOf(csr: AnyRequest, identifiers: readonly Identifier[]): string | Problem {
  const { names, subjectName } = csr
  const ordered = identifiers.map(textOf)
  const asked = [...names.dnsNames.map(name => name.toLowerCase()), ...names.addresses]
  const { commonName = '' } = fieldsOfName(subjectName)
  const named = commonName.toLowerCase()
  const all = new Set(named === '' ? asked : [...asked, named])
  const isMore = names.emails.length + names.uris.length + names.others.length > 0
  if (isMore || names.rest.length > 0 || csr.isAuthority) {
    return new Problem('badCSR', 'the request asks for what ACME does not give')
  }
  if (!isDeepStrictEqual([...all].sort(), [...new Set(ordered)].sort())) {
    return new Problem('badCSR', 'the request does not name what was ordered')
  }
  if (named !== '') return named
  return ordered.find(name => name.length <= COMMON_NAME_CHARS) ?? ''
}

/** Keeps a certificate that was signed; a problem where its issuer changed meanwhile. */
export function putIssuedCertificate(
  call: Call,
  { signed: made, roleName }: Issued,
): Problem | undefined {
  const changed = refuseChanged(call, made.decided)
  if (changed !== undefined) return new Problem('serverInternal', changed.text)
  keep(call, made, roleName)
  return undefined
}

/** Takes a certificate back, for a reason by its code; a problem where that cannot be. */
export function revokeIssued(
  call: Call,
  parsed: ParsedCertificate,
  reason: number | undefined,
): Problem | undefined {
  const revoked = revokeOnce(call, parsed, reason === undefined ? undefined : crlReasonOf(reason))
  if (revoked instanceof Refusal) return new Problem('unauthorized', revoked.text)
  return revoked.wasRevoked ? new Problem('alreadyRevoked', 'it is revoked already') : undefined
}
