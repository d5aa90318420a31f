/**
 * Giving a certificate: decided by role and issuer, signed, and then kept and told.
 *
 * Owns these steps for everybody who gives one: the paths of issuing and signing, and ACME. What is
 * decided and signed before the transaction holds in it only as long as role and issuer stand.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type Arithmetic, isSlow } from '../../../../base/io/arithmetic.ts'
import { type SchemeChoice, signBy, signNow } from '../../../../x509/algorithm.ts'
import {
  type CertificateContent,
  certificateBody,
  type RawExtension,
} from '../../../../x509/certificate.ts'
import { ContentError } from '../../../../x509/encode.ts'
import { ExtensionOid, extendedUsageOid } from '../../../../x509/extension.ts'
import { nameOfFields } from '../../../../x509/name.ts'
import type { Call, LeaseFacts } from '../../../declare.ts'
import { toSeconds } from '../../../field.ts'
import { factsFor } from '../../../identity/context.ts'
import { registerLease, shownId } from '../../../lease/lease.ts'
import { ttlsOf } from '../../../mount/ttl.ts'
import { keepCertificate } from '../certificates.ts'
import { issuerForIssuing, type SigningIssuer } from '../issuer/stored.ts'
import { urlsOfIssuer } from '../issuer/urls.ts'
import { bad } from '../refusals.ts'
import { type Asker, allowed, type Granted, type Wanted } from '../role/check.ts'
import { policiesOf } from '../role/policies.ts'
import type { RoleRow } from '../role/row.ts'
import { type Times, timesOf, type WantedTimes } from '../role/times.ts'
import { drawSerial, serialText } from '../serial.ts'
import { extendedUsagesOf, keyUsagesOf } from '../usages.ts'

/** What is needed of a call. */
export type GivingCall = Pick<
  Call,
  'storage' | 'draft' | 'mount' | 'namespace' | 'now' | 'random'
> & {
  readonly who?: Call['who']
}

/** Who asks, as far as roles may say it. */
export function askerOf({ who, namespace }: Pick<GivingCall, 'who' | 'namespace'>): Asker {
  return {
    displayName: who?.token.displayName ?? '',
    identity: who?.identity && factsFor(who.identity, who.token),
    namespace: namespace.path,
  }
}

/** What a certificate says, but for the key that it is for. */
export type Content = Omit<CertificateContent, 'spki'>

/** A certificate that may be given, not yet signed. */
export interface Decided {
  readonly role: RoleRow
  readonly issuer: SigningIssuer
  readonly content: Content
  readonly choice: SchemeChoice
  readonly warnings: readonly string[]
}

/** What a CSR says that is taken as it stands. */
export interface Verbatim {
  /** In DER. */
  readonly subject: Buffer
  /** All of its extensions but those that say what an authority is. */
  readonly extensions: readonly RawExtension[]
}

/** What is to be decided on. */
export interface Order {
  readonly role: RoleRow
  /** An id, a name, or `default`. */
  readonly issuerRef: string
  readonly wanted: Wanted
  readonly times: WantedTimes
  readonly verbatim?: Verbatim
  /** Whether it ends with its issuer, whatever the issuer says of such. */
  readonly truncates?: boolean
}

/** Whether a certificate may be given, and all that it says. */
export function decide(call: GivingCall, order: Order): Decided | Refusal {
  const { role, wanted, verbatim } = order
  const issuer = issuerForIssuing(call.storage, order.issuerRef)
  if (issuer instanceof Refusal) return issuer
  const granted = allowed(role, wanted, askerOf(call))
  if (granted instanceof Refusal) return granted
  const decided = complete(call, issuer, order, { ...fixedOf(role), ...named(granted, verbatim) })
  if (decided instanceof Refusal) return decided
  return { ...decided, content: whole(decided.content, verbatim) }
}

/** What of a certificate is not its times, its number and the places of its issuer. */
export type Says = Omit<Content, 'serial' | 'notBefore' | 'notAfter' | 'aia' | 'crl' | 'deltaCrl'>

/** All that a certificate says, of what was decided that it says. */
export function complete(
  call: GivingCall,
  issuer: SigningIssuer,
  { role, times: said, truncates }: Pick<Order, 'role' | 'times' | 'truncates'>,
  says: Says,
): Decided | Refusal {
  const times = timesOf(role, said, {
    nowMs: call.now,
    ...ttlsOf(call.draft, call.mount),
    issuer: {
      notAfterMs: issuer.certificate.notAfter.getTime(),
      behavior: truncates === true ? 'truncate' : issuer.row.leafBehavior,
    },
  })
  if (times instanceof Refusal) return times
  const places = urlsOfIssuer(call.storage, issuer.row)
  if (places instanceof Refusal) return places
  const content: Content = {
    ...says,
    ...between(times),
    serial: drawSerial(call.random),
    aia: { issuers: places.issuingCertificates, ocsp: places.ocspServers },
    crl: places.crlDistributionPoints,
    deltaCrl: places.deltaCrlDistributionPoints,
  }
  return { role, issuer, choice: choiceOf(role, issuer.key), warnings: times.warnings, content }
}

const named = ({ subject, names }: Granted, verbatim: Verbatim | undefined) =>
  verbatim === undefined
    ? { subject: nameOfFields(subject), names }
    : { subject: verbatim.subject, names }

const between = ({ notBeforeMs, notAfterMs }: Times) => ({
  notBefore: new Date(notBeforeMs),
  notAfter: new Date(notAfterMs),
})

/** What all certificates of a role say. */
type Fixed = Pick<
  CertificateContent,
  'isAuthority' | 'statesNoAuthority' | 'usages' | 'extendedUsages' | 'policies'
>

const fixed = new WeakMap<RoleRow, Fixed>()

function fixedOf(role: RoleRow): Fixed {
  const known = fixed.get(role)
  if (known !== undefined) return known
  const made: Fixed = {
    isAuthority: false,
    statesNoAuthority: role.basic_constraints_valid_for_non_ca,
    usages: keyUsagesOf(role.key_usage),
    extendedUsages: extendedOf(role),
    policies: policiesOf(role.policy_identifiers).filter(policy => policy !== undefined),
  }
  fixed.set(role, made)
  return made
}

const FLAGS = [
  ['server_flag', 'serverAuth'],
  ['client_flag', 'clientAuth'],
  ['code_signing_flag', 'codeSigning'],
  ['email_protection_flag', 'emailProtection'],
] as const

function extendedOf(role: RoleRow): readonly string[] {
  const flagged = FLAGS.filter(([flag]) => role[flag]).map(([, usage]) => usage)
  const { ext_key_usage: named, ext_key_usage_oids: oids } = role
  const all = [...flagged, ...extendedUsagesOf(named), ...oids]
  return [...new Set(all.map(extendedUsageOid))]
}

/** RSA signs by the hash that a role says; curves have theirs. */
function choiceOf(
  { signature_bits: bits, use_pss: usePss }: RoleRow,
  key: KeyObject,
): SchemeChoice {
  if (!isSlow(key)) return {}
  const hash = bits === 384 ? 'sha384' : bits === 512 ? 'sha512' : undefined
  return { hash, usePss }
}

/** What a CSR says stands instead of what is said otherwise. */
function whole(content: Content, verbatim: Verbatim | undefined): Content {
  if (verbatim === undefined) return content
  const { extensions: extra } = verbatim
  const isSaid = (oid: string): boolean => extra.some(each => each.oid === oid)
  return {
    ...content,
    extra,
    usages: isSaid(ExtensionOid.keyUsage) ? [] : content.usages,
    extendedUsages: isSaid(ExtensionOid.extendedUsage) ? [] : content.extendedUsages,
    names: isSaid(ExtensionOid.subjectNames) ? {} : content.names,
    policies: isSaid(ExtensionOid.policies) ? [] : (content.policies ?? []),
    aia: isSaid(ExtensionOid.authorityInfo) ? undefined : content.aia,
    crl: isSaid(ExtensionOid.crlPoints) ? [] : (content.crl ?? []),
    deltaCrl: isSaid(ExtensionOid.freshestCrl) ? [] : (content.deltaCrl ?? []),
  }
}

/** A certificate that was signed, and is not given yet. */
export interface Signed {
  readonly decided: Decided
  readonly der: Buffer
  /** In hex, as certificates are kept by. */
  readonly serial: string
}

/** Signs for a key, in DER: at once by a curve's key, in a thread by RSA's. */
export function signed(
  arithmetic: Arithmetic,
  decided: Decided,
  spki: Buffer,
): Signed | Refusal | Promise<Signed> {
  const { issuer, content, choice } = decided
  const { certificate, key } = issuer
  const serial = Buffer.from(content.serial).toString('hex')
  try {
    const work = certificateBody({ ...content, spki }, { certificate, key, ...choice })
    if (!isSlow(key)) return { decided, serial, der: signNow(work, key) }
    return signBy(arithmetic, work, key).then(der => ({ decided, serial, der }))
  } catch (error) {
    if (!(error instanceof ContentError)) throw error
    return bad(`no certificate can say that: ${error.message}`)
  }
}

/** What is said where a role changed between the decision and the transaction. */
export const CHANGED = new Refusal(
  503,
  'the role was changed while the certificate was made: try again',
)

/** The refusal of a certificate whose issuer may not give any by now. */
export function refuseChanged(
  { storage }: Pick<Call, 'storage'>,
  { issuer }: Decided,
): Refusal | undefined {
  const again = issuerForIssuing(storage, issuer.row.id)
  return again instanceof Refusal ? again : undefined
}

/** What of a call is needed to keep a certificate. */
type Keeping = Pick<Call, 'cold' | 'now' | 'draft' | 'mount' | 'who' | 'path'>

/** Whether a certificate is kept. */
export const isKept = ({ decided }: Pick<Signed, 'decided'>): boolean => !decided.role.no_store

/** Keeps a certificate, and registers its lease, as its role says. */
export function keep(
  call: Keeping,
  { decided, der, serial }: Signed,
  role: string,
): LeaseFacts | undefined {
  const { now, draft, mount, who, path: below } = call
  const { generate_lease: hasLease } = decided.role
  if (!isKept({ decided })) return undefined
  const notAfterMs = decided.content.notAfter.getTime()
  keepCertificate(call, serial, {
    der: der.toString('base64'),
    issuerId: decided.issuer.row.id,
    ...{ role, notAfterMs, issuedAtMs: now },
  })
  if (!hasLease || who === undefined) return undefined
  const lease = registerLease(draft, {
    ...{ mount, who, renewable: false },
    path: mount.path + below,
    data: { serial_number: serialText(serial) },
    ttlMs: Math.max(0, Math.min(notAfterMs - now, ttlsOf(draft, mount).maxMs)),
  })
  return { id: shownId(lease), renewable: false, durationS: toSeconds(lease.ttlMs) }
}
