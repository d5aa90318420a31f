/**
 * Authorities of others, signed here: intermediates by their request, self-issued ones as they are.
 *
 * Owns what the signed certificate says. Signed before the transaction; in it the issuer must still
 * be one that signs. Follows api-docs/secret/pki of Vault's docs.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type SchemeChoice, signBy } from '../../../../x509/algorithm.ts'
import {
  type CertificateContent,
  certificateBody,
  type ParsedCertificate,
  readCertificate,
} from '../../../../x509/certificate.ts'
import { type AnyRequest, readAnyRequest } from '../../../../x509/csr.ts'
import { ExtensionOid, type RawExtension } from '../../../../x509/extension.ts'
import { fieldsOfName } from '../../../../x509/name.ts'
import { type Call, type Outcome, path, prepared } from '../../../declare.ts'
import { ttlsOf } from '../../../mount/ttl.ts'
import * as shape from '../../../shape.ts'
import { keepCertificate } from '../certificates.ts'
import { blocksOf, certificateOf, faultOf } from '../pem.ts'
import type { PkiPorts } from '../ports.ts'
import { bad } from '../refusals.ts'
import { type LeafBehavior, saysNothing, type UrlsRow } from '../rows.ts'
import { drawSerial, serialText } from '../serial.ts'
import { lifeOf } from '../time.ts'
import { askedFormat, isGiven, noLength, warnings as texts } from './asked.ts'
import { chainOf } from './chain.ts'
import { type AskedNames, askedAuthority, askedNames, formed } from './content.ts'
import { selfIssuedFields, signIntermediateFields } from './fields.ts'
import { kindOf } from './keep.ts'
import { schemeOfBits } from './key.ts'
import { issuerForIssuing, type SigningIssuer } from './stored.ts'
import { urlsOfIssuer } from './urls.ts'

/** A certificate that was signed, and is not kept yet. */
interface Signed {
  readonly issuerId: string
  readonly certificate: ParsedCertificate
  readonly warnings: readonly string[]
}

type SignCall<P = undefined> = Call<typeof signIntermediateFields, P>
type SelfIssuedCall<P = undefined> = Call<typeof selfIssuedFields, P>

const signedShape = shape.object({
  certificate: shape.text,
  issuing_ca: shape.text,
  ca_chain: shape.texts,
  serial_number: shape.text,
  expiration: shape.int,
})
const selfIssuedShape = shape.object({ certificate: shape.text, issuing_ca: shape.text })

/** The paths. */
export const signPaths = (ports: PkiPorts) => {
  const intermediate = (pattern: string) =>
    path({
      pattern,
      help: {
        synopsis: 'Signs an intermediate.',
        description: 'Of a request that another authority made; it is not an issuer here.',
      },
      fields: signIntermediateFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof signIntermediateFields, Signed>({
          summary: 'Signs an intermediate.',
          answer: signedShape,
          prepare: call => signIntermediate(call, ports),
          run: keepIntermediate,
          examples: [{ csr: '-----BEGIN CERTIFICATE REQUEST-----…', common_name: 'Intermediate' }],
        }),
      },
    })
  const selfIssued = (pattern: string) =>
    path({
      pattern,
      help: {
        synopsis: 'Signs a self-issued certificate.',
        description:
          'The certificate of another authority, of which all stays but who signs and where things are: whoever may this may make authorities of any kind.',
      },
      fields: selfIssuedFields,
      access: 'privileged',
      operations: {
        update: prepared<typeof selfIssuedFields, Signed>({
          summary: 'Signs a self-issued certificate.',
          answer: selfIssuedShape,
          prepare: call => signSelfIssued(call, ports),
          run: tellSelfIssued,
        }),
      },
    })
  return [
    intermediate('root/sign-intermediate'),
    intermediate('issuer/{issuer_ref}/sign-intermediate'),
    selfIssued('root/sign-self-issued'),
    selfIssued('issuer/{issuer_ref}/sign-self-issued'),
  ]
}

/** What an issuer tells of places in what it signs. */
const placesOf = (urls: UrlsRow) => ({
  aia: { issuers: urls.issuingCertificates, ocsp: urls.ocspServers },
  crl: urls.crlDistributionPoints,
  deltaCrl: urls.deltaCrlDistributionPoints,
})

async function signIntermediate(call: SignCall, ports: PkiPorts): Promise<Signed | Refusal> {
  const { fields, storage } = call
  const format = askedFormat(fields.format)
  if (format instanceof Refusal) return bad('The "format" path parameter must be "pem" or "der"')
  const issuer = issuerForIssuing(storage, fields.issuer_ref!)
  if (issuer instanceof Refusal) return issuer
  const urls = urlsOfIssuer(storage, issuer.row)
  if (urls instanceof Refusal) return urls
  const request = requestOf(fields.csr!)
  if (request instanceof Refusal) return request
  const refused = refuseKey(request.publicKey) ?? refuseLength(issuer)
  if (refused !== undefined) return refused
  const content = contentOf(call, issuer, request)
  if (content instanceof Refusal) return content
  const choice = choiceOfSigner(issuer, fields.signature_bits!, fields.use_pss === true)
  if (choice instanceof Refusal) return choice
  const { warnings, ...said } = content
  const work = formed(() =>
    certificateBody(
      { ...said, ...placesOf(urls), serial: drawSerial(call.random) },
      { certificate: issuer.certificate, key: issuer.key, ...choice },
    ),
  )
  if (work instanceof Refusal) return work
  const der = await signBy(ports.arithmetic, work, issuer.key)
  const certificate = readCertificate(der)
  if (certificate.notAfter > issuer.certificate.notAfter) warnings.push(OUTLIVES)
  if (certificate.subjectName.length === 0) warnings.push(texts.noSubject)
  if (saysNothing(urls)) warnings.push(texts.noUrls)
  if (certificate.pathLength === 0) warnings.push(noLength('signed'))
  return { issuerId: issuer.row.id, certificate, warnings }
}

const OUTLIVES =
  "The expiration time for the signed certificate is after the CA's expiration time. If the new " +
  'certificate is not treated as a root, validation paths with the certificate past the issuing ' +
  "CA's expiration time will fail."

/** Reads a request that somebody sent, in PEM. */
function requestOf(csr: string): AnyRequest | Refusal {
  if (csr === '') return bad('"csr" is empty')
  const blocks = blocksOf(csr)
  if (blocks instanceof Refusal) return bad('csr contains no data')
  try {
    return readAnyRequest(blocks[0]!.der)
  } catch (error) {
    return bad(`certificate request could not be parsed: ${faultOf(error)}`)
  }
}

const RSA_BITS_MIN = 2_048

function refuseKey(key: KeyObject): Refusal | undefined {
  const kind = kindOf(key)
  if (kind === undefined) return bad('Unknown key type in CSR')
  return kind.type === 'rsa' && kind.bits < RSA_BITS_MIN
    ? bad('RSA keys < 2048 bits are unsafe and not supported')
    : undefined
}

const refuseLength = ({ certificate }: SigningIssuer): Refusal | undefined =>
  certificate.pathLength === 0
    ? bad(
        'signing certificate has a max path length of zero, and cannot issue further CA certificates',
      )
    : undefined

/** How an issuer signs; curves by their own hash unless another is asked for. */
function choiceOfSigner(
  { keyRow }: SigningIssuer,
  bits: number,
  usePss: boolean,
): SchemeChoice | Refusal {
  if (keyRow.type !== 'ec' || bits === 0) return schemeOfBits(keyRow.type, bits, usePss)
  const choice = schemeOfBits('rsa', bits, false)
  return choice instanceof Refusal ? choice : { hash: choice.hash }
}

type IntermediateContent = Omit<CertificateContent, 'serial'> & { readonly warnings: string[] }

/** What an intermediate says. */
function contentOf(
  call: SignCall,
  issuer: SigningIssuer,
  request: AnyRequest,
): IntermediateContent | Refusal {
  const { fields } = call
  const usesRequest = fields.use_csr_values === true
  const { pathLength: issuerLength } = issuer.certificate
  const authority = askedAuthority(fields, {
    length: isGiven(call, 'max_path_length'),
    usualLength: issuerLength === undefined ? undefined : issuerLength - 1,
  })
  if (authority instanceof Refusal) return authority
  const asked = usesRequest ? ofRequest(request) : namesOf(call, request)
  if (asked instanceof Refusal) return asked
  const keyId = keyIdOf(call)
  if (keyId instanceof Refusal) return keyId
  const life = lifeOfIntermediate(call, issuer)
  if (life instanceof Refusal) return life
  const { usages, extendedUsages } = usesRequest ? request : NONE
  return {
    subject: usesRequest ? request.subject : asked.subject,
    names: asked.names,
    spki: request.spki,
    notBefore: life.notBefore,
    notAfter: life.notAfter,
    isAuthority: true,
    pathLength: authority.pathLength,
    usages: [...new Set([...authority.usages, ...usages])],
    extendedUsages: [...new Set([...authority.extendedUsages, ...extendedUsages])],
    constraints: authority.constraints ?? (usesRequest ? request.constraints : undefined),
    policies: usesRequest ? request.policies : [],
    subjectKeyId: keyId ?? (usesRequest ? request.subjectKeyId : undefined),
    extra: usesRequest ? unknownOf(request.extensions) : [],
    warnings: [...authority.warnings, ...life.warnings],
  }
}

const NONE = { usages: [], extendedUsages: [] } as const

const ofRequest = ({ subjectName, names }: AnyRequest): AskedNames => ({
  subject: subjectName,
  names,
})

/** Names of the fields; the common name may be the request's. */
function namesOf({ fields }: SignCall, request: AnyRequest): AskedNames | Refusal {
  const { commonName, serialNumber } = fieldsOfName(request.subjectName)
  return askedNames(fields, {
    ...(commonName !== undefined && { commonName }),
    ...(serialNumber !== undefined && { serialNumber }),
  })
}

/** Extensions that are written from what is known of them. */
const KNOWN: readonly string[] = [
  ...Object.values(ExtensionOid).filter(oid => oid !== ExtensionOid.acmeIdentifier),
]

const unknownOf = (extensions: readonly RawExtension[]): RawExtension[] =>
  extensions.filter(({ oid }) => !KNOWN.includes(oid))

const KEY_ID_SIZE_BYTES = 64

/** The id of the key that a request says; undefined for none. */
function keyIdOf(call: SignCall): Buffer | undefined | Refusal {
  const hex = (call.fields.skid ?? '').replace(/[:\- ]/g, '')
  if (hex === '') return undefined
  return /^([0-9a-fA-F]{2})+$/.test(hex) && hex.length <= KEY_ID_SIZE_BYTES * 2
    ? Buffer.from(hex, 'hex')
    : bad('cannot parse requested SKID value as hex')
}

/** Authorities may outlive who signs them, unless that is enforced. */
function lifeOfIntermediate(call: SignCall, { row, certificate }: SigningIssuer) {
  const { fields, draft, mount, now } = call
  const ttls = ttlsOf(draft, mount)
  const isEnforced =
    fields.enforce_leaf_not_after_behavior === true || row.leafBehavior === 'always_enforce_err'
  const behavior: LeafBehavior = isEnforced ? row.leafBehavior : 'permit'
  return lifeOf({
    nowMs: now,
    ttlMs: fields.ttl!,
    ...{ usualTtlMs: ttls.defaultMs, maxTtlMs: ttls.maxMs },
    notBefore: fields.not_before,
    notBeforeDurationMs: fields.not_before_duration!,
    notAfter: fields.not_after,
    issuer: { notAfterMs: certificate.notAfter.getTime(), behavior },
  })
}

function keepIntermediate(call: SignCall<Signed>): Outcome {
  const { storage, fields, prepared: signed, now } = call
  const issuer = issuerForIssuing(storage, signed.issuerId)
  if (issuer instanceof Refusal) return issuer
  const { certificate } = signed
  const der = certificate.der.toString('base64')
  const notAfterMs = certificate.notAfter.getTime()
  keepCertificate(call, certificate.serial, {
    ...{ der, issuerId: issuer.row.id, role: '', issuedAtMs: now, notAfterMs },
  })
  const isDer = fields.format === 'der'
  const told = (each: ParsedCertificate): string =>
    isDer ? each.der.toString('base64') : each.pem.trimEnd()
  const chain = chainOf(storage, issuer.row).map(each => told(each.certificate))
  const own = told(certificate)
  const isBundle = fields.format === 'pem_bundle'
  return {
    warnings: signed.warnings,
    data: {
      ca_chain: [own, ...chain],
      certificate: isBundle ? [own, ...chain].join('\n') : own,
      expiration: Math.floor(notAfterMs / 1_000),
      issuing_ca: told(issuer.certificate),
      serial_number: serialText(certificate.serial),
    },
  }
}

async function signSelfIssued(call: SelfIssuedCall, ports: PkiPorts): Promise<Signed | Refusal> {
  const { fields, storage } = call
  const given = selfIssuedOf(fields.certificate!)
  if (given instanceof Refusal) return given
  const issuer = issuerForIssuing(storage, fields.issuer_ref!)
  if (issuer instanceof Refusal) return issuer
  const urls = urlsOfIssuer(storage, issuer.row)
  if (urls instanceof Refusal) return urls
  const choice = choiceFor(given, issuer, fields.require_matching_certificate_algorithms === true)
  if (choice instanceof Refusal) return choice
  const work = formed(() =>
    certificateBody(
      { ...sameAs(given), ...placesOf(urls) },
      { certificate: issuer.certificate, key: issuer.key, ...choice },
    ),
  )
  if (work instanceof Refusal) return work
  const der = await signBy(ports.arithmetic, work, issuer.key)
  return { issuerId: issuer.row.id, certificate: readCertificate(der), warnings: [] }
}

/** Reads a certificate of an authority that is its own issuer. */
function selfIssuedOf(pem: string): ParsedCertificate | Refusal {
  const blocks = pem === '' ? bad('') : blocksOf(pem)
  if (blocks instanceof Refusal) return bad('certificate could not be PEM-decoded')
  const given = certificateOf(blocks[0]!.der)
  if (given instanceof Refusal) return given
  if (!given.isAuthority) return bad('given certificate is not a CA certificate')
  return given.isSelfIssued ? given : bad('given certificate is not self-issued')
}

/** All that a certificate says, but for who signs it and where things are. */
function sameAs(given: ParsedCertificate): CertificateContent {
  return {
    subject: given.subject,
    spki: given.spki,
    serial: Buffer.from(given.serial, 'hex'),
    notBefore: given.notBefore,
    notAfter: given.notAfter,
    isAuthority: true,
    pathLength: given.pathLength,
    usages: given.usages,
    extendedUsages: given.extendedUsages,
    names: given.names,
    subjectKeyId: given.subjectKeyId,
    constraints: given.constraints,
    policies: given.policies,
    extra: unknownOf(given.extensions),
  }
}

/** By the hash that it was signed with, where both keys are of one kind. */
function choiceFor(
  given: ParsedCertificate,
  issuer: SigningIssuer,
  mustMatch: boolean,
): SchemeChoice | Refusal {
  const type = kindOf(given.publicKey)?.type
  if (type === undefined)
    return bad('the key of the certificate is of a kind that signs nothing here')
  if (type === issuer.keyRow.type) {
    const { hash, saltLength } = given.signatureAlgorithm ?? {}
    const usePss = type === 'rsa' && saltLength !== undefined
    return hash == null ? {} : { hash, usePss }
  }
  return mustMatch
    ? bad(
        `signing certificate's public key algorithm (${issuer.keyRow.type}) does not match submitted certificate's (${type}), and require_matching_certificate_algorithms is true`,
      )
    : {}
}

function tellSelfIssued(call: SelfIssuedCall<Signed>): Outcome {
  const issuer = issuerForIssuing(call.storage, call.prepared.issuerId)
  if (issuer instanceof Refusal) return issuer
  return {
    data: { certificate: call.prepared.certificate.pem.trimEnd(), issuing_ca: issuer.pem },
  }
}
