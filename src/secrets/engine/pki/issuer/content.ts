/**
 * What a certificate of an authority is to say, as requests ask for it.
 *
 * Owns the way from fields to names, usages and constraints. An authority may be called whatever
 * its operator likes: nothing here is bounded by roles.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { NameConstraints } from '../../../../x509/certificate.ts'
import { ContentError, isOid } from '../../../../x509/encode.ts'
import type { KeyUsage } from '../../../../x509/extension.ts'
import {
  type GeneralNames,
  type NameSubtrees,
  subtreeNodes,
} from '../../../../x509/general-name.ts'
import { type DistinguishedName, nameOfFields } from '../../../../x509/name.ts'
import type { Values } from '../../../field.ts'
import {
  dedup,
  otherNamesOf,
  refuseAddresses,
  refuseUris,
  sortNames,
  splitNames,
} from '../names.ts'
import { bad } from '../refusals.ts'
import { isPlain } from '../role/names.ts'
import { extendedUsagesOf, keyUsagesOf } from '../usages.ts'
import type { authorityFields, nameConstraintFields, nameFields } from './fields.ts'

/** Whom a certificate is for. */
export interface AskedNames {
  readonly subject: DistinguishedName
  readonly names: Partial<GeneralNames>
}

/** Subject and names of fields. `known` is what a request to be signed says already. */
export function askedNames(
  fields: Values<typeof nameFields>,
  known: { readonly commonName?: string; readonly serialNumber?: string } = {},
): AskedNames | Refusal {
  const { alt_names = '', ip_sans = [], uri_sans = [], other_sans = [] } = fields
  const commonName = fields.common_name || known.commonName || ''
  const refused = refuseAddresses(ip_sans) ?? refuseUris(uri_sans)
  if (refused !== undefined) return refused
  const others = otherNamesOf(other_sans)
  if (others instanceof Refusal) return others
  const isInNames = commonName !== '' && fields.exclude_cn_from_sans !== true
  const hosts = sortNames([...(isInNames ? [commonName] : []), ...splitNames(alt_names)])
  const email = hosts.emails.find(each => !isPlain(each))
  if (email !== undefined) return bad(`${JSON.stringify(email)} is no email address`)
  const subject = nameOfFields({
    countries: dedup(fields.country ?? []),
    organizations: dedup(fields.organization ?? []),
    units: dedup(fields.ou ?? []),
    localities: dedup(fields.locality ?? []),
    provinces: dedup(fields.province ?? []),
    streets: dedup(fields.street_address ?? []),
    postalCodes: dedup(fields.postal_code ?? []),
    commonName,
    serialNumber: fields.serial_number || known.serialNumber,
  })
  return { subject, names: { ...hosts, addresses: ip_sans, uris: uri_sans, others } }
}

/** What an authority may do. */
export interface AskedAuthority {
  readonly usages: readonly KeyUsage[]
  readonly extendedUsages: readonly string[]
  readonly constraints: NameConstraints | undefined
  /** Undefined for any number. */
  readonly pathLength: number | undefined
  readonly warnings: readonly string[]
}

const AUTHORITY_USAGES: readonly KeyUsage[] = ['keyCertSign', 'cRLSign']

/** What fields say of an authority's powers. `usualLength` holds where they say no length. */
export function askedAuthority(
  fields: Values<typeof authorityFields>,
  said: { readonly length: boolean; readonly usualLength: number | undefined },
): AskedAuthority | Refusal {
  const { key_usage = [], ext_key_usage = [], ext_key_usage_oids = [] } = fields
  const wanted = keyUsagesOf(key_usage)
  const more: KeyUsage[] = wanted.filter(usage => usage === 'digitalSignature')
  const passedOver = wanted.filter(
    usage => !more.includes(usage) && !AUTHORITY_USAGES.includes(usage),
  )
  const wrongOid = ext_key_usage_oids.find(oid => !isOid(oid))
  if (wrongOid !== undefined) return bad(`${JSON.stringify(wrongOid)} is no object identifier`)
  const constraints = constraintsOf(fields)
  if (constraints instanceof Refusal) return constraints
  const length = said.length ? (fields.max_path_length ?? -1) : (said.usualLength ?? -1)
  const MOST = 1_000_000
  if (length > MOST) return bad('max_path_length is larger than any chain can be')
  return {
    usages: [...AUTHORITY_USAGES, ...more],
    extendedUsages: dedup([...extendedUsagesOf(ext_key_usage), ...ext_key_usage_oids]),
    constraints,
    pathLength: length < 0 ? undefined : length,
    warnings:
      passedOver.length === 0
        ? []
        : [`A certificate authority may not have these key usages: ${passedOver.join(', ')}`],
  }
}

function constraintsOf(
  fields: Values<typeof nameConstraintFields>,
): NameConstraints | undefined | Refusal {
  const permitted: NameSubtrees = {
    dnsNames: fields.permitted_dns_domains,
    addresses: fields.permitted_ip_ranges,
    emails: fields.permitted_email_addresses,
    uris: fields.permitted_uri_domains,
  }
  const excluded: NameSubtrees = {
    dnsNames: fields.excluded_dns_domains,
    addresses: fields.excluded_ip_ranges,
    emails: fields.excluded_email_addresses,
    uris: fields.excluded_uri_domains,
  }
  const range = [...(permitted.addresses ?? []), ...(excluded.addresses ?? [])].find(
    each => !isRange(each),
  )
  if (range !== undefined) return bad(`invalid CIDR address: ${range}`)
  const wrong = [permitted, excluded]
    .flatMap(({ dnsNames = [], emails = [], uris = [] }) => [...dnsNames, ...emails, ...uris])
    .find(each => !isPlain(each))
  if (wrong !== undefined) return bad(`${JSON.stringify(wrong)} is no name constraint`)
  const saysAny = [permitted, excluded].some(side =>
    Object.values(side).some(each => (each as readonly string[] | undefined)?.length),
  )
  return saysAny ? { permitted, excluded } : undefined
}

/** Whether a text is a range of addresses. */
function isRange(text: string): boolean {
  try {
    subtreeNodes({ addresses: [text] })
    return true
  } catch (error) {
    if (error instanceof ContentError) return false
    throw error
  }
}

/** Makes something of content that has no form in a certificate: the caller's fault. */
export function formed<T>(make: () => T): T | Refusal {
  try {
    return make()
  } catch (error) {
    if (error instanceof ContentError)
      return bad(`it cannot stand in a certificate: ${error.message}`)
    throw error
  }
}
