/**
 * The auth method `jwt`: what its configuration may say, whether a token's claims hold now, and the
 * identity that they make.
 *
 * Owns the rules and their texts, as Consul's (leeways and their defaults, claims by JSON pointer).
 * Signatures are verify.run.ts's, keys of elsewhere keys.run.ts's. Texts name claims and fields,
 * never their values. Pure.
 */
import { X509Certificate } from 'node:crypto'
import { parseDurationMs } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'
import { identityOf, type LoginIdentity } from './identity.ts'
import type { Claims } from './jws.ts'
import { ALGORITHMS, ALL_ALGORITHMS, isRecord, keyOfPem, type PublicKey } from './key.ts'

/** Where the keys of an issuer are found. */
export type KeyPlace =
  | { readonly kind: 'here'; readonly keys: readonly PublicKey[] }
  /** `caCert` in PEM, '' for the machine's own authorities. */
  | { readonly kind: 'set' | 'discovery'; readonly url: string; readonly caCert: string }

export interface JwtConfig {
  /** Algorithms that a token may be signed with. */
  readonly algorithms: readonly string[]
  readonly boundAudiences: readonly string[]
  /** '' for any. */
  readonly boundIssuer: string
  /** Claims (a name, or a pointer that begins with a slash) and what they are called here. */
  readonly claimMappings: readonly (readonly [claim: string, name: string])[]
  readonly listClaimMappings: readonly (readonly [claim: string, name: string])[]
  readonly place: KeyPlace
  readonly expirationLeewayMs: number
  readonly notBeforeLeewayMs: number
  readonly clockSkewLeewayMs: number
}

type Raw = Readonly<Record<string, unknown>>

const FIELDS = {
  JWTSupportedAlgs: 'texts',
  BoundAudiences: 'texts',
  BoundIssuer: 'text',
  ClaimMappings: 'map',
  ListClaimMappings: 'map',
  OIDCDiscoveryURL: 'text',
  OIDCDiscoveryCACert: 'text',
  JWKSURL: 'text',
  JWKSCACert: 'text',
  JWTValidationPubKeys: 'texts',
  ExpirationLeeway: 'duration',
  NotBeforeLeeway: 'duration',
  ClockSkewLeeway: 'duration',
} as const

type FieldName = keyof typeof FIELDS
type FieldKind = (typeof FIELDS)[FieldName]

/** What was made of configurations that are used again: a row is never changed in place. */
const known = new WeakMap<Raw, JwtConfig | string>()

/** Reads a `Config` as it was written; gives what is wrong with it where it cannot be used. */
export function readJwtConfig(raw: Raw): JwtConfig | string {
  const read = known.get(raw) ?? readAnew(raw)
  known.set(raw, read)
  return read
}

function readAnew(raw: Raw): JwtConfig | string {
  const fields = fieldsOf(raw)
  if (typeof fields === 'string') return `error decoding config: ${fields}`
  const place = placeOf(fields)
  if (typeof place === 'string') return place
  const named = fields.texts('JWTSupportedAlgs')
  const foreign = named.find(one => !ALGORITHMS.includes(one))
  if (foreign !== undefined) return `Invalid supported algorithm: ${shown(foreign)}`
  for (const field of ['ClaimMappings', 'ListClaimMappings'] as const) {
    const problem = mappingProblem(field, fields.map(field))
    if (problem !== undefined) return problem
  }
  return {
    algorithms: named.length > 0 ? named : place.kind === 'discovery' ? ['RS256'] : ALL_ALGORITHMS,
    boundAudiences: fields.texts('BoundAudiences'),
    boundIssuer: fields.text('BoundIssuer'),
    claimMappings: fields.map('ClaimMappings'),
    listClaimMappings: fields.map('ListClaimMappings'),
    place,
    expirationLeewayMs: leeway(fields.durationMs('ExpirationLeeway'), CLAIM_LEEWAY_MS),
    notBeforeLeewayMs: leeway(fields.durationMs('NotBeforeLeeway'), CLAIM_LEEWAY_MS),
    clockSkewLeewayMs: leeway(fields.durationMs('ClockSkewLeeway'), CLOCK_SKEW_MS),
  }
}

/** Consul's: what stands for 0; anything below switches the leeway off. */
const CLAIM_LEEWAY_MS = 150_000
const CLOCK_SKEW_MS = 60_000
const leeway = (givenMs: number, defaultMs: number): number =>
  givenMs === 0 ? defaultMs : Math.max(0, givenMs)

const SHOWN_CHARS = 64
const shown = (text: string): string => text.slice(0, SHOWN_CHARS)

/** The fields of a configuration, each of its kind; absent ones are empty. */
interface FieldReader {
  text(name: FieldName): string
  texts(name: FieldName): readonly string[]
  map(name: FieldName): readonly (readonly [string, string])[]
  durationMs(name: FieldName): number
}

/** Names are taken without case, as Consul does. */
function fieldsOf(raw: Raw): FieldReader | string {
  const names = new Map(Object.keys(FIELDS).map(name => [name.toLowerCase(), name as FieldName]))
  const given = new Map<FieldName, unknown>()
  for (const [name, value] of Object.entries(raw)) {
    const field = names.get(name.toLowerCase())
    if (field === undefined) return `'' has invalid keys: ${shown(name)}`
    if (given.has(field)) return `'${field}' is given twice`
    if (value === null) continue
    const decoded = decode(FIELDS[field], value)
    if (decoded === undefined) return `'${field}' is not ${KIND_NAMES[FIELDS[field]]}`
    given.set(field, decoded)
  }
  return {
    text: name => (given.get(name) ?? '') as string,
    texts: name => (given.get(name) ?? []) as string[],
    map: name => (given.get(name) ?? []) as [string, string][],
    durationMs: name => (given.get(name) ?? 0) as number,
  }
}

const KIND_NAMES: Readonly<Record<FieldKind, string>> = {
  text: 'a string',
  texts: 'a list of strings',
  map: 'a map of strings',
  duration: 'a duration',
}

function decode(kind: FieldKind, value: unknown): unknown {
  const isText = (one: unknown): one is string => typeof one === 'string'
  switch (kind) {
    case 'text':
      return isText(value) ? value : undefined
    case 'texts':
      // One alone is a list of one, as everywhere in Consul's maps.
      if (isText(value)) return [value]
      return Array.isArray(value) && value.every(isText) ? value : undefined
    case 'map':
      return isRecord(value) && Object.values(value).every(isText)
        ? Object.entries(value)
        : undefined
    default:
      // Numbers are nanoseconds, as Go's are.
      if (typeof value === 'number') return Number.isFinite(value) ? value / 1e6 : undefined
      return isText(value) ? parseDurationMs(value) : undefined
  }
}

function mappingProblem(
  field: FieldName,
  mappings: readonly (readonly [string, string])[],
): string | undefined {
  const names = mappings.map(([, name]) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) {
    return `${field} contains multiple mappings for key ${JSON.stringify(shown(twice))}`
  }
  if (mappings.length > limits.jwtMappings) {
    return `${field} contains more than ${limits.jwtMappings} mappings`
  }
  return undefined
}

function placeOf(fields: FieldReader): KeyPlace | string {
  const pems = fields.texts('JWTValidationPubKeys')
  const setUrl = fields.text('JWKSURL')
  const discoveryUrl = fields.text('OIDCDiscoveryURL')
  if ([pems.length > 0, setUrl !== '', discoveryUrl !== ''].filter(Boolean).length !== 1) {
    const all = "'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL'"
    return `exactly one of ${all} must be set for type "jwt"`
  }
  for (const [ca, url] of CA_FIELDS) {
    if (fields.text(ca) !== '' && fields.text(url) === '') {
      return `'${ca}' should not be set unless '${url}' is set`
    }
    const problem = fields.text(ca) === '' ? undefined : caProblem(fields.text(ca))
    if (problem !== undefined) return `error checking ${ca}: ${problem}`
  }
  if (setUrl !== '') return remotePlace('set', 'JWKSURL', setUrl, fields.text('JWKSCACert'))
  if (discoveryUrl !== '') {
    const ca = fields.text('OIDCDiscoveryCACert')
    return remotePlace('discovery', 'OIDCDiscoveryURL', discoveryUrl, ca)
  }
  return keysHere(pems)
}

const CA_FIELDS = [
  ['JWKSCACert', 'JWKSURL'],
  ['OIDCDiscoveryCACert', 'OIDCDiscoveryURL'],
] as const

function keysHere(pems: readonly string[]): KeyPlace | string {
  if (pems.length > limits.jwtKeys) {
    return `JWTValidationPubKeys contains more than ${limits.jwtKeys} keys`
  }
  const keys: PublicKey[] = []
  for (const [at, pem] of pems.entries()) {
    const key = keyOfPem(pem)
    if (typeof key === 'string') {
      return `error parsing public key JWTValidationPubKeys[${at}]: ${key}`
    }
    keys.push(key)
  }
  return { kind: 'here', keys }
}

function remotePlace(
  kind: 'set' | 'discovery',
  field: FieldName,
  text: string,
  caCert: string,
): KeyPlace | string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return `error checking ${field}: it is no http or https URL`
  }
  if (url.username !== '' || url.password !== '') {
    return `error checking ${field}: credentials do not belong into it`
  }
  return { kind, url: text, caCert }
}

function caProblem(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) return 'could not parse CA PEM value successfully'
  try {
    for (const block of blocks) new X509Certificate(block)
    return undefined
  } catch {
    return 'could not parse CA PEM value successfully'
  }
}

// --- claims

/**
 * Why claims of a genuine token do not hold now; undefined when they do. `issuer` is whom the keys
 * belong to, where a discovery said so.
 */
export function claimsProblem(
  config: JwtConfig,
  claims: Claims,
  nowMs: number,
  issuer?: string,
): string | undefined {
  const problem =
    issuerProblem(config.boundIssuer, claims, issuer) ??
    timesProblem(config, claims, nowMs, issuer !== undefined) ??
    audienceProblem(config, claims)
  return problem === undefined ? undefined : `error validating claims: ${problem}`
}

function issuerProblem(bound: string, claims: Claims, issuer?: string): string | undefined {
  const said = claimOf(claims, 'iss')
  const isRight = [bound, issuer ?? ''].every(wanted => wanted === '' || wanted === said)
  return isRight ? undefined : 'validation failed, invalid issuer claim (iss)'
}

/** RFC 7519's NumericDate of the year 9999, beyond which nothing ends. */
const LAST_SECONDS = 253_402_300_799

/** A time in milliseconds; undefined where it is absent or 0, NaN where it is none. */
function timeOf(claims: Claims, name: string): number | undefined {
  const said = claimOf(claims, name)
  if (said === undefined || said === null || said === 0) return undefined
  if (typeof said !== 'number' || said < 0 || said > LAST_SECONDS) return Number.NaN
  return said * 1_000
}

function timesProblem(
  config: JwtConfig,
  claims: Claims,
  nowMs: number,
  mustExpire: boolean,
): string | undefined {
  const issuedMs = timeOf(claims, 'iat')
  const expires = timeOf(claims, 'exp')
  const begins = timeOf(claims, 'nbf')
  for (const [name, value] of [['iat', issuedMs] as const, ['exp', expires], ['nbf', begins]]) {
    if (Number.isNaN(value)) return `validation failed, ${name} is no time`
  }
  if (issuedMs === undefined && expires === undefined && begins === undefined) {
    return 'no issue time, notbefore, or expiration time encoded in token'
  }
  if (mustExpire && expires === undefined) return 'validation failed, token does not expire (exp)'
  const latestStartMs = Math.max(issuedMs ?? 0, begins ?? 0)
  const expiresMs = expires ?? latestStartMs + config.expirationLeewayMs
  const beginsMs = begins ?? issuedMs ?? expiresMs - config.notBeforeLeewayMs
  const skewMs = config.clockSkewLeewayMs
  if (nowMs + skewMs < beginsMs) return 'validation failed, token not valid yet (nbf)'
  if (nowMs - skewMs > expiresMs) return 'validation failed, token is expired (exp)'
  if (issuedMs !== undefined && nowMs + skewMs < issuedMs) {
    return 'validation failed, token issued in the future (iat)'
  }
  return undefined
}

function audienceProblem({ boundAudiences, place }: JwtConfig, claims: Claims): string | undefined {
  const said = claimOf(claims, 'aud') ?? []
  const audiences = Array.isArray(said) ? said : [said]
  if (!audiences.every(one => typeof one === 'string')) return 'the aud claim is no list of strings'
  if (boundAudiences.length === 0) {
    const isOpen = audiences.length === 0 || place.kind === 'discovery'
    return isOpen ? undefined : 'audience claim found in JWT but no audiences are bound'
  }
  const isBound = audiences.some(one => one !== '' && boundAudiences.includes(one))
  return isBound ? undefined : 'aud claim does not match any bound audience'
}

// --- identity

/** What the claims of a token that holds say of its bearer; what is wrong with one that cannot. */
export function identityFrom(config: JwtConfig, claims: Claims): LoginIdentity | string {
  const values = new Map(config.claimMappings.map(([, name]) => [name, '']))
  const lists = new Map<string, readonly string[]>(
    config.listClaimMappings.map(([, name]) => [name, []]),
  )
  for (const [claim, name] of config.claimMappings) {
    const said = claimOf(claims, claim)
    if (said === undefined || said === null) continue
    const text = textOf(said)
    if (text === undefined) {
      return `error converting claim '${claim}' to string from unknown type ${typeName(said)}`
    }
    values.set(name, text)
  }
  for (const [claim, name] of config.listClaimMappings) {
    const said = claimOf(claims, claim)
    if (said === undefined || said === null) continue
    if (isRecord(said)) return `"${claim}" list claim could not be converted to string list`
    const all = (Array.isArray(said) ? said : [said]).map(textOf)
    if (all.includes(undefined)) {
      return `a value in "${claim}" list claim could not be parsed as string`
    }
    lists.set(
      name,
      (all as string[]).filter(one => one !== ''),
    )
  }
  return identityOf(values, lists)
}

/** What stands for any login of this method: every name that a rule may use, and nothing in it. */
export const blankIdentity = (config: JwtConfig): LoginIdentity =>
  identityOf(
    new Map(config.claimMappings.map(([, name]) => [name, ''])),
    new Map(config.listClaimMappings.map(([, name]) => [name, []])),
  )

/** A claim by its name, or by a pointer (RFC 6901); undefined where there is none. */
function claimOf(claims: Claims, claim: string): unknown {
  if (!claim.startsWith('/')) return Object.hasOwn(claims, claim) ? claims[claim] : undefined
  let at: unknown = claims
  for (const part of claim.slice(1).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    const isIndex = !Array.isArray(at) || /^(0|[1-9]\d*)$/.test(name)
    const isThere = typeof at === 'object' && at !== null && isIndex && Object.hasOwn(at, name)
    if (!isThere) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

const INT64_MAX = 2 ** 63

/** Texts as they are, numbers without their fraction, as Consul has them. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  const isInt64 = typeof value === 'number' && Math.abs(value) < INT64_MAX
  return isInt64 ? String(BigInt(Math.trunc(value))) : undefined
}

const typeName = (value: unknown): string =>
  Array.isArray(value) ? 'list' : typeof value === 'object' ? 'map' : 'number'
