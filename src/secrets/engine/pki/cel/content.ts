/**
 * What a program of a role says, as what a certificate is to say.
 *
 * Owns the way from OpenBao's messages, which mirror Go's, to the library's words. Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { CertificateContent, NameConstraints } from '../../../../x509/certificate.ts'
import { extendedUsages, keyUsages } from '../../../../x509/extension.ts'
import { addressOf as addressText } from '../../../../x509/general-name.ts'
import { nameOfFields } from '../../../../x509/name.ts'
import { bad } from '../refusals.ts'
import type { CelTemplate } from './row.ts'

/** What of a certificate a program says; times and keys are decided beside it. */
export type CelContent = Omit<
  CertificateContent,
  'spki' | 'serial' | 'notBefore' | 'notAfter' | 'aia' | 'crl' | 'deltaCrl'
>

/** The content of a template; refused where it says what no certificate can. */
export function contentOf(template: CelTemplate): CelContent | Refusal {
  const usage = keyUsages[template.KeyUsage - 1]
  if (usage === undefined && template.KeyUsage !== 0) {
    return bad(`unknown KeyUsage ${template.KeyUsage}`)
  }
  const named = template.ExtKeyUsage.map(number => extendedUsages[number])
  if (named.includes(undefined)) return bad('unknown ExtKeyUsage')
  const constraints = constraintsOf(template)
  if (constraints instanceof Refusal) return constraints
  const addresses = template.IPAddresses.map(({ IP }) => addressOf(IP))
  if (addresses.includes(undefined)) return bad('bad IP address')
  const oids = template.Policies.length > 0 ? template.Policies : template.PolicyIdentifiers
  const length = Number(template.MaxPathLen)
  const hasLength = template.IsCA && (length > 0 || template.MaxPathLenZero)
  return {
    subject: nameOfFields(subjectOf(template)),
    isAuthority: template.IsCA,
    statesNoAuthority: template.BasicConstraintsValid,
    ...(hasLength && { pathLength: length }),
    usages: usage === undefined ? [] : [usage],
    extendedUsages: [...(named as string[]), ...template.UnknownExtKeyUsage.map(oidText)],
    names: {
      dnsNames: template.DNSNames,
      emails: template.EmailAddresses,
      addresses: addresses as string[],
      uris: template.URIs.map(uriText),
    },
    policies: oids.map(oid => ({ oid: oidText(oid) })),
    ...(constraints !== undefined && { constraints }),
    extra: template.ExtraExtensions.map(({ Id, Critical, Value }) => ({
      oid: Id.join('.'),
      critical: Critical,
      value: Buffer.from(Value),
    })),
  }
}

const subjectOf = ({ Subject: name }: CelTemplate) => ({
  countries: name?.Country,
  organizations: name?.Organization,
  units: name?.OrganizationUnit,
  localities: name?.Locality,
  provinces: name?.Province,
  streets: name?.StreetAddress,
  postalCodes: name?.PostalCode,
  commonName: name?.CommonName,
  serialNumber: name?.SerialNumber,
})

const oidText = ({ arc }: { readonly arc: readonly (number | bigint)[] }): string => arc.join('.')

const IPV4_BYTES = 4
const IPV6_BYTES = 16

function addressOf(bytes: Uint8Array): string | undefined {
  const isAddress = bytes.length === IPV4_BYTES || bytes.length === IPV6_BYTES
  return isAddress ? addressText(Buffer.from(bytes)) : undefined
}

type Ranges = CelTemplate['PermittedIPRanges']

/** Ranges as texts; undefined in the place of one that is none. */
const rangesOf = (ranges: Ranges): (string | undefined)[] =>
  ranges.map(({ IP: address, Mask: mask }) => {
    const base = addressOf(address?.IP ?? new Uint8Array())
    const bits = [...(mask?.IPMask ?? [])].map(byte => byte.toString(2).padStart(8, '0')).join('')
    const isMask = bits.length === (address?.IP.length ?? 0) * 8 && /^1*0*$/.test(bits)
    return base === undefined || !isMask ? undefined : `${base}/${bits.replace(/0/g, '').length}`
  })

function constraintsOf(template: CelTemplate): NameConstraints | Refusal | undefined {
  const permittedRanges = rangesOf(template.PermittedIPRanges)
  const excludedRanges = rangesOf(template.ExcludedIPRanges)
  if ([...permittedRanges, ...excludedRanges].includes(undefined)) return bad('bad IP range')
  const permitted = {
    dnsNames: template.PermittedDNSDomains,
    emails: template.PermittedEmailAddresses,
    addresses: permittedRanges as string[],
    uris: template.PermittedURIDomains,
  }
  const excluded = {
    dnsNames: template.ExcludedDNSDomains,
    emails: template.ExcludedEmailAddresses,
    addresses: excludedRanges as string[],
    uris: template.ExcludedURIDomains,
  }
  const all = [...Object.values(permitted), ...Object.values(excluded)]
  return all.some(list => list.length > 0) ? { permitted, excluded } : undefined
}

/** A URL as Go's writes its parts. */
function uriText(url: CelTemplate['URIs'][number]): string {
  const { Scheme: scheme, Opaque: opaque, User: user, Host: host } = url
  const before = scheme === '' ? '' : `${scheme}:`
  const query = url.ForceQuery || url.RawQuery !== '' ? `?${url.RawQuery}` : ''
  const path = url.RawPath === '' ? encodeURI(url.Path) : url.RawPath
  const plain = url.RawFragment === '' ? encodeURI(url.Fragment) : url.RawFragment
  const fragment = plain === '' ? '' : `#${plain}`
  if (opaque !== '') return before + opaque + query + fragment
  const password = user?.passwordSet === true ? `:${encodeURIComponent(user.password)}` : ''
  const who = user === undefined ? '' : `${encodeURIComponent(user.username)}${password}@`
  const hasHost = scheme !== '' || host !== '' || user !== undefined
  const isRooted = path === '' || path.startsWith('/')
  const place = hasHost ? `//${who}${host}${isRooted ? '' : '/'}` : ''
  return before + place + path + query + fragment
}
