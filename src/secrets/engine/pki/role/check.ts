/**
 * What a role gives: the one place where names that are asked for are held against it.
 *
 * Owns that decision, whether a name stands in a request's parameters, in a CSR or in an order of
 * ACME. Nothing gets into a certificate that is not in what `allowed` gives, and each name is given
 * or refused, never left out. Pure. Follows api-docs/secret/pki ("Create/Update role") of Vault's
 * docs; where it is stricter than OpenBao, docs/pki.md says so.
 */
import { domainToASCII } from 'node:url'
import type { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { Networks, plainAddress } from '../../../../base/networks.ts'
import { fillPath, isTemplate, type PolicyIdentity } from '../../../policy/template.ts'
import { bad } from '../refusals.ts'
import {
  addressOf,
  areLabels,
  isHostname,
  isPlain,
  isPlainUri,
  isWildcardLabel,
  matchesGlob,
  type OtherText,
  parseOtherName,
  toAscii,
} from './names.ts'
import type { RoleRow } from './row.ts'

/** Who asks, as far as roles may say it. */
export interface Asker {
  /** Of the token; '' for none. */
  readonly displayName: string
  readonly identity: PolicyIdentity | undefined
  /** The path of the namespace of the mount: groups are meant by name in it alone. */
  readonly namespace: string
}

/** Alternative names, by kind. */
export interface Names {
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  readonly addresses: readonly string[]
  readonly uris: readonly string[]
  readonly others: readonly OtherText[]
}

/** What is asked for, wherever it was said. */
export interface Wanted extends Names {
  /** '' for none. */
  readonly commonName: string
  /** Whether the common name is not to be an alternative name as well. */
  readonly excludesCommonName: boolean
  /** Of the subject, not of the certificate; '' for none. */
  readonly serialNumber: string
  readonly userIds: readonly string[]
  /** Whether its names are those of a CSR. */
  readonly isOfCsr?: boolean
}

/** What a certificate may say. */
export interface Granted {
  readonly subject: Subject
  readonly names: Names
}

/** The parts of a subject; the names of the x509 library. */
export interface Subject {
  readonly countries: readonly string[]
  readonly organizations: readonly string[]
  readonly units: readonly string[]
  readonly localities: readonly string[]
  readonly provinces: readonly string[]
  readonly streets: readonly string[]
  readonly postalCodes: readonly string[]
  readonly commonName: string
  readonly serialNumber: string
  readonly userIds: readonly string[]
}

/** What is given of what is wanted: all of it, or none. */
export function allowed(role: RoleRow, wanted: Wanted, who: Asker): Granted | Refusal {
  const check = new Check(role, who)
  const { commonName, serialNumber, isOfCsr = false } = wanted
  const outside = refuseSizes(wanted)
  if (outside !== undefined) return outside
  if (commonName === '' && role.require_cn) return NO_NAME
  const own = wanted.excludesCommonName ? NOBODY : ownName(commonName)
  // In the order of Vault's: what parameters say stands behind the common name.
  const inOrder = (said: readonly string[], its: readonly string[]): string[] =>
    isOfCsr ? [...said, ...its] : [...its, ...said]
  const dnsNames = inOrder(wanted.dnsNames, own.dnsNames).map(name => toAscii(name) ?? name)
  const emails = inOrder(wanted.emails, own.emails)
  const addresses = wanted.addresses.map(text => addressOf(text) ?? text)
  const refused =
    check.commonName(commonName) ??
    (own === NO_HOST ? check.refusedName(commonName) : undefined) ??
    check.serialNumber(serialNumber) ??
    firstOf(dnsNames, name => check.dnsName(name)) ??
    firstOf(emails, email => check.email(email)) ??
    firstOf(wanted.others, other => check.other(other)) ??
    check.addresses(addresses, isOfCsr) ??
    firstOf(wanted.uris, uri => check.uri(uri, isOfCsr)) ??
    firstOf(wanted.userIds, id => check.userId(id))
  if (refused !== undefined) return refused
  return {
    subject: { ...check.compiled.subject, commonName, serialNumber, userIds: wanted.userIds },
    names: {
      dnsNames: once(dnsNames),
      emails: once(emails),
      addresses: once(addresses),
      uris: wanted.uris,
      others: wanted.others,
    },
  }
}

/** What is wrong with how much is asked for; undefined for nothing. */
function refuseSizes(wanted: Wanted): Refusal | undefined {
  const { dnsNames, emails, addresses, uris, others, userIds } = wanted
  const count = dnsNames.length + emails.length + addresses.length + uris.length
  if (count + others.length + userIds.length > limits.requestNames) {
    return bad(`a certificate has at most ${limits.requestNames} names`)
  }
  const isLong = (text: string): boolean => text.length > limits.roleNameChars
  const parts = [
    [wanted.commonName, wanted.serialNumber],
    dnsNames,
    emails,
    addresses,
    uris,
    userIds,
  ]
  return parts.some(texts => texts.some(isLong)) || others.some(({ value }) => isLong(value))
    ? bad(`a name has at most ${limits.roleNameChars} characters`)
    : undefined
}

const NO_NAME = bad(
  'the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false',
)

const NOBODY = { dnsNames: [], emails: [] }
/** What has the form of no name at all, of a host or of a person. */
const NO_HOST = { dnsNames: [], emails: [] }

/** The alternative name that a common name is too: an email, or a host; others are none. */
function ownName(name: string): Pick<Names, 'dnsNames' | 'emails'> {
  if (name === '') return NOBODY
  if (name.includes('@')) return { dnsNames: [], emails: [name] }
  const ascii = toAscii(name)
  if (ascii === undefined) return areLabels(name) ? NOBODY : NO_HOST
  return isHostname(ascii) ? { dnsNames: [ascii], emails: [] } : NOBODY
}

function firstOf<T>(
  values: readonly T[],
  check: (value: T) => Refusal | undefined,
): Refusal | undefined {
  for (const value of values) {
    const refused = check(value)
    if (refused !== undefined) return refused
  }
  return undefined
}

const once = <T>(values: readonly T[]): readonly T[] =>
  values.length < 2 ? values : [...new Set(values)]

/** What of a role is worked out once. */
interface Compiled {
  readonly subject: Omit<Subject, 'commonName' | 'serialNumber' | 'userIds'>
  /** Undefined for all addresses. */
  readonly networks: Networks | undefined
  readonly domains: readonly Pattern[]
  readonly uris: readonly Pattern[]
  /** Undefined for all. */
  readonly others: readonly OtherText[] | undefined
}

interface Pattern {
  readonly text: string
  readonly isTemplate: boolean
}

const compiledRoles = new WeakMap<RoleRow, Compiled>()

function compiledOf(role: RoleRow): Compiled {
  const known = compiledRoles.get(role)
  if (known !== undefined) return known
  const { allowed_ip_sans_cidr: ranges, allowed_other_sans: others } = role
  const compiled: Compiled = {
    subject: {
      countries: once(role.country),
      organizations: once(role.organization),
      units: once(role.ou),
      localities: once(role.locality),
      provinces: once(role.province),
      streets: once(role.street_address),
      postalCodes: once(role.postal_code),
    },
    networks: ranges.length === 0 ? undefined : new Networks(ranges),
    domains: patternsOf(role.allowed_domains, role.allowed_domains_template),
    uris: patternsOf(role.allowed_uri_sans, role.allowed_uri_sans_template),
    others:
      others.length === 1 && others[0] === '*'
        ? undefined
        : others.map(parseOtherName).filter(other => typeof other !== 'string'),
  }
  compiledRoles.set(role, compiled)
  return compiled
}

const patternsOf = (texts: readonly string[], areTemplates: boolean): Pattern[] =>
  texts
    .filter(text => text !== '')
    .map(text => ({ text, isTemplate: areTemplates && isTemplate(text) === true }))

/** A name of a host or the host of an email, taken apart. */
interface Parts {
  /** As it was asked for. */
  readonly whole: string
  /** What is held against domains: without a label that has a wildcard, or what is before `@`. */
  readonly host: string
  readonly isEmail: boolean
  readonly isWildcard: boolean
}

/** One role, held against what somebody asks for. */
class Check {
  readonly compiled: Compiled
  readonly #role: RoleRow
  readonly #who: Asker

  constructor(role: RoleRow, who: Asker) {
    this.#role = role
    this.#who = who
    this.compiled = compiledOf(role)
  }

  commonName(name: string): Refusal | undefined {
    const { cn_validations: kinds } = this.#role
    if (name === '') return undefined
    const kind = name.includes('@') ? 'email' : 'hostname'
    const isChecked = kinds[0] !== 'disabled'
    const isGiven =
      isPrinted(name) &&
      (!isChecked || (kinds.includes(kind) && this.#isGiven(name) && this.#isFreeOfAddress(name)))
    return isGiven ? undefined : this.refusedName(name)
  }

  refusedName(name: string): Refusal {
    return bad(`common name ${name} not allowed by this role`)
  }

  dnsName(name: string): Refusal | undefined {
    const isGiven =
      isPlain(name) &&
      areLabels(name) &&
      !name.includes('@') &&
      this.#isGiven(name) &&
      this.#isFreeOfAddress(name)
    return isGiven ? undefined : bad(`subject alternate name ${name} not allowed by this role`)
  }

  email(email: string): Refusal | undefined {
    const isGiven = isPlain(email) && email.includes('@') && this.#isGiven(email)
    return isGiven ? undefined : bad(`email address ${email} not allowed by this role`)
  }

  serialNumber(number: string): Refusal | undefined {
    if (number === '') return undefined
    const isGiven =
      isPrinted(number) &&
      this.#role.allowed_serial_numbers.some(
        pattern => pattern !== '' && matchesGlob(pattern, number),
      )
    return isGiven ? undefined : bad(`serial_number ${number} not allowed by this role`)
  }

  userId(id: string): Refusal | undefined {
    const lower = id.toLowerCase()
    const isGiven =
      isPrinted(id) &&
      this.#role.allowed_user_ids.some(
        pattern => pattern !== '' && (pattern.toLowerCase() === lower || matchesGlob(pattern, id)),
      )
    return isGiven ? undefined : bad(`user_id ${id} is not allowed by this role`)
  }

  other({ oid, value }: OtherText): Refusal | undefined {
    const { others } = this.compiled
    if (isPrinted(value) && others === undefined) return undefined
    const ofKind = (others ?? []).filter(one => one.oid === oid)
    if (ofKind.length === 0) return bad(`other SAN OID ${oid} not allowed by this role`)
    if (isPrinted(value) && ofKind.some(one => matchesGlob(one.value, value))) return undefined
    return bad(`other SAN ${value} not allowed for OID ${oid} by this role`)
  }

  addresses(addresses: readonly string[], isOfCsr: boolean): Refusal | undefined {
    if (addresses.length > 0 && !this.#role.allow_ip_sans) {
      const provided = isOfCsr ? 'some via CSR' : `[${addresses.join(' ')}]`
      return bad(
        `IP Subject Alternative Names are not allowed in this role, but was provided ${provided}`,
      )
    }
    return firstOf(addresses, address => this.#address(address))
  }

  #address(address: string): Refusal | undefined {
    if (addressOf(address) === undefined) {
      return bad(`the value "${address}" is not a valid IP address`)
    }
    return this.#isInNetworks(address)
      ? undefined
      : bad(`the IP address "${address}" is not allowed in this role`)
  }

  uri(uri: string, isOfCsr: boolean): Refusal | undefined {
    const { uris } = this.compiled
    const provided = isOfCsr ? 'provided via CSR' : 'provided via the API'
    if (uris.length === 0) {
      return bad(`URI Subject Alternative Names are not allowed in this role, but were ${provided}`)
    }
    if (!isPlainUri(uri)) {
      return bad(
        `the provided URI Subject Alternative Name ${JSON.stringify(uri)} is not a valid URI`,
      )
    }
    return uris.some(pattern => {
      const filled = this.#filled(pattern)
      return filled !== undefined && matchesGlob(filled, uri)
    })
      ? undefined
      : bad(`URI Subject Alternative Names were ${provided} which are not valid for this role`)
  }

  #isInNetworks(address: string): boolean {
    const { networks } = this.compiled
    return networks === undefined || networks.has(address)
  }

  /**
   * What software reads as an IP address gets past whoever gives names alone: it must be allowed as
   * an address too.
   */
  #isFreeOfAddress(name: string): boolean {
    const address = addressIn(name)
    return address === undefined || (this.#role.allow_ip_sans && this.#isInNetworks(address))
  }

  /** Whether a name of a host, or an email, is one of this role's. */
  #isGiven(name: string): boolean {
    const role = this.#role
    const parts = this.#partsOf(name)
    if (parts === undefined) return false
    if (role.allow_any_name) return true
    return (
      (role.allow_localhost && this.#isLocal(parts)) ||
      (role.allow_token_displayname && this.#isAsker(parts)) ||
      this.compiled.domains.some(pattern => {
        const domain = this.#filled(pattern)
        return domain !== undefined && domain !== '' && this.#isOfDomain(parts, domain)
      })
    )
  }

  /** A name taken apart; undefined where its form is none that the role gives. */
  #partsOf(whole: string): Parts | undefined {
    const { enforce_hostnames: mustBeHost, allow_wildcard_certificates: mayBeWild } = this.#role
    const [first = '', second, ...more] = whole.split('@')
    const isEmail = second !== undefined
    if (isEmail && (more.length > 0 || first === '' || second === '')) return undefined
    const name = second ?? first
    const isWildcard = name.includes('*')
    if (!isWildcard) {
      return mustBeHost && !isHost(name) ? undefined : { whole, host: name, isEmail, isWildcard }
    }
    if (isEmail || !mayBeWild) return undefined
    const dot = name.indexOf('.')
    const label = dot === -1 ? name : name.slice(0, dot)
    const host = dot === -1 ? '' : name.slice(dot + 1)
    if (host.includes('*') || label.split('*').length > 2) return undefined
    if (mustBeHost && !(isWildcardLabel(label) && (host === '' || isHost(host)))) return undefined
    return { whole, host, isEmail, isWildcard }
  }

  #isLocal({ host }: Parts): boolean {
    const isBelow = this.#role.allow_subdomains
    return LOCAL.some(domain => host === domain || (isBelow && host.endsWith(`.${domain}`)))
  }

  #isAsker({ whole, host, isEmail, isWildcard }: Parts): boolean {
    const { displayName } = this.#who
    if (displayName === '') return false
    if (whole === displayName) return true
    if (!this.#role.allow_subdomains) return false
    const [user, domain, ...more] = displayName.split('@')
    const isOfMail = isEmail && domain !== undefined && domain !== '' && more.length === 0
    if (isOfMail && user !== '' && host.endsWith(`.${domain}`)) return true
    return host.endsWith(`.${displayName}`) || (isWildcard && host === displayName)
  }

  #isOfDomain({ whole, host, isEmail, isWildcard }: Parts, domain: string): boolean {
    const role = this.#role
    const lower = domain.toLowerCase()
    if (role.allow_bare_domains) {
      if (whole.toLowerCase() === lower) return true
      if (isEmail && host.toLowerCase() === lower) return true
    }
    if (role.allow_subdomains) {
      if (host.endsWith(`.${domain}`)) return true
      if (isWildcard && host.toLowerCase() === lower) return true
    }
    return role.allow_glob_domains && domain.includes('*') && matchesGlob(domain, whole)
  }

  /** A pattern with the words of who asks; undefined where it has none for it. */
  #filled({ text, isTemplate }: Pattern): string | undefined {
    if (!isTemplate) return text
    const { identity, namespace } = this.#who
    return fillPath(text, identity, namespace)
  }
}

/** Whether a text has no control characters: whoever shows a certificate shows what it says. */
const isPrinted = (text: string): boolean => !/\p{Cc}/u.test(text)

const LOCAL = ['localhost', 'localdomain']

function isHost(name: string): boolean {
  const ascii = toAscii(name)
  return ascii !== undefined && isHostname(ascii)
}

/** The address that a name is read as: in dots, in brackets, or in one of inet_aton's forms. */
function addressIn(name: string): string | undefined {
  const bare = name.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1')
  if (bare.includes(':')) return addressOf(bare)
  const last = bare.slice(bare.lastIndexOf('.') + 1)
  if (!/^(\d+|0x[0-9a-f]*)$/i.test(last)) return undefined
  const read = domainToASCII(bare)
  return addressOf(read) === undefined ? undefined : plainAddress(read)
}
