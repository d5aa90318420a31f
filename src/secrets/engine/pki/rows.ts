/**
 * What a mount of the PKI engine keeps of its authorities: issuers, keys and settings.
 *
 * Owns the rows and where they lie; the rows of roles, revocations and ACME are their own files'.
 * A certificate and a key never change under their id: what is read of them may be kept.
 */
import type { Storage } from '../../storage.ts'

/** Kinds of keys that sign here. */
export type KeyType = 'rsa' | 'ec' | 'ed25519'

export interface KeyRow {
  readonly id: string
  /** '' for none. */
  readonly name: string
  readonly type: KeyType
  /** Of the modulus or the curve; 0 for Ed25519. */
  readonly bits: number
  /** PKCS #8, in base64. Never shown, unless as it is drawn for export. */
  readonly pkcs8: string
  /** The public half: SPKI, in base64. */
  readonly spki: string
}

/** What an issuer may be used for, in the order in which it is told. */
export const issuerUsages = [
  'crl-signing',
  'issuing-certificates',
  'ocsp-signing',
  'read-only',
] as const
export type IssuerUsage = (typeof issuerUsages)[number]

/** What happens to a certificate that would outlive its issuer. */
export const leafBehaviors = ['err', 'truncate', 'permit', 'always_enforce_err'] as const
export type LeafBehavior = (typeof leafBehaviors)[number]

/** Where things can be fetched that belong to a certificate. */
export interface UrlsRow {
  readonly issuingCertificates: readonly string[]
  readonly crlDistributionPoints: readonly string[]
  readonly deltaCrlDistributionPoints: readonly string[]
  readonly ocspServers: readonly string[]
  /** Whether `{{…}}` in them is filled in as a certificate is made. */
  readonly isTemplated: boolean
}

export const NO_URLS: UrlsRow = {
  issuingCertificates: [],
  crlDistributionPoints: [],
  deltaCrlDistributionPoints: [],
  ocspServers: [],
  isTemplated: false,
}

/** Whether a row says no address at all. */
export const saysNothing = (urls: UrlsRow): boolean =>
  urls.issuingCertificates.length === 0 &&
  urls.crlDistributionPoints.length === 0 &&
  urls.deltaCrlDistributionPoints.length === 0 &&
  urls.ocspServers.length === 0

export interface IssuerRow {
  readonly id: string
  /** '' for none. */
  readonly name: string
  /** '' where its key is not here. */
  readonly keyId: string
  /** The certificate: DER, in base64. */
  readonly der: string
  /** Of the certificate, as it is told: hex with colons. */
  readonly serial: string
  /** Its name and its key, in short: what several certificates may have in common. */
  readonly authority: string
  /** The authorities that signed it, of those that were ever here. */
  readonly signers: readonly string[]
  /** Whether it is its own issuer by name. */
  readonly isSelfIssued: boolean
  /** Whether its key may sign certificates. */
  readonly mayCertify: boolean
  /** Issuers by id, as somebody put them together; itself first. Empty: it is built. */
  readonly manualChain: readonly string[]
  readonly leafBehavior: LeafBehavior
  readonly usages: readonly IssuerUsage[]
  /** How CRLs are signed, by the names of Go's x509; '' for as the key does. */
  readonly revocationAlgorithm: string
  /** Undefined where those of the mount hold. */
  readonly urls?: UrlsRow
  readonly revokedAtMs?: number
  readonly modifiedAtMs: number
}

interface IssuersConfigRow {
  /** By id; '' for none. */
  readonly default: string
  readonly followsLatest: boolean
}
/** Written anew whenever a chain may become another: what was put together holds until then. */
export interface GraphRow {
  /** The issuer that came, went or was changed, by id; '' for all. */
  readonly changed: string
}
interface KeysConfigRow {
  /** By id; '' for none. */
  readonly default: string
}
export interface ClusterRow {
  readonly path: string
  readonly aiaPath: string
}

const ISSUERS = 'issuer/'
const ISSUER_NAMES = 'issuer-name/'
const KEYS = 'key/'
const KEY_NAMES = 'key-name/'

const byName = (storage: Storage, folder: string, name: string): string | undefined =>
  storage.kept<{ readonly id: string }>(folder + name)?.id

/** The row of an issuer; it must not be changed. */
export const issuerAt = (storage: Storage, id: string): IssuerRow | undefined =>
  storage.kept<IssuerRow>(ISSUERS + id)

/** The id behind a name. */
export const issuerNamed = (storage: Storage, name: string): string | undefined =>
  byName(storage, ISSUER_NAMES, name)

/** All issuers, by id. */
export const issuersOf = (storage: Storage): IssuerRow[] =>
  storage.keys(ISSUERS).map(id => issuerAt(storage, id)!)

/** Writes an issuer, and its name. */
export function putIssuer(storage: Storage, row: IssuerRow): void {
  const before = issuerAt(storage, row.id)
  storage.put(ISSUERS + row.id, row)
  rename(storage, ISSUER_NAMES, before, row)
}

/** Deletes an issuer, and its name. */
export function deleteIssuer(storage: Storage, row: IssuerRow): void {
  storage.delete(ISSUERS + row.id)
  if (row.name !== '') storage.delete(ISSUER_NAMES + row.name)
}

export const keyAt = (storage: Storage, id: string): KeyRow | undefined =>
  storage.kept<KeyRow>(KEYS + id)

export const keyNamed = (storage: Storage, name: string): string | undefined =>
  byName(storage, KEY_NAMES, name)

/** All keys, by id. */
export const keysOf = (storage: Storage): KeyRow[] =>
  storage.keys(KEYS).map(id => keyAt(storage, id)!)

/** Writes a key, and its name. */
export function putKey(storage: Storage, row: KeyRow): void {
  const before = keyAt(storage, row.id)
  storage.put(KEYS + row.id, row)
  rename(storage, KEY_NAMES, before, row)
}

/** Deletes a key, and its name. */
export function deleteKey(storage: Storage, row: KeyRow): void {
  storage.delete(KEYS + row.id)
  if (row.name !== '') storage.delete(KEY_NAMES + row.name)
}

function rename(
  storage: Storage,
  folder: string,
  before: { readonly name: string } | undefined,
  { id, name }: { readonly id: string; readonly name: string },
): void {
  if (before?.name === name) return
  if (before !== undefined && before.name !== '') storage.delete(folder + before.name)
  if (name !== '') storage.put(folder + name, { id })
}

const ISSUERS_CONFIG = 'config/issuers'
const KEYS_CONFIG = 'config/keys'
const GRAPH = 'issuer-graph'
const URLS = 'config/urls'
const CLUSTER = 'config/cluster'

export const issuersConfigOf = (storage: Storage): IssuersConfigRow =>
  storage.kept<IssuersConfigRow>(ISSUERS_CONFIG) ?? { default: '', followsLatest: false }

export const putIssuersConfig = (storage: Storage, row: IssuersConfigRow): void =>
  storage.put(ISSUERS_CONFIG, row)

export const keysConfigOf = (storage: Storage): KeysConfigRow =>
  storage.kept<KeysConfigRow>(KEYS_CONFIG) ?? { default: '' }

export const putKeysConfig = (storage: Storage, row: KeysConfigRow): void =>
  storage.put(KEYS_CONFIG, row)

/** Undefined before there is any issuer. */
export const graphOf = (storage: Storage): GraphRow | undefined => storage.kept<GraphRow>(GRAPH)

export const putGraph = (storage: Storage, row: GraphRow): void => storage.put(GRAPH, row)

/** What holds for issuers that have no addresses of their own. */
export const urlsOf = (storage: Storage): UrlsRow => storage.kept<UrlsRow>(URLS) ?? NO_URLS

export const putUrls = (storage: Storage, row: UrlsRow): void => storage.put(URLS, row)

export const clusterOf = (storage: Storage): ClusterRow =>
  storage.kept<ClusterRow>(CLUSTER) ?? { path: '', aiaPath: '' }

export const putCluster = (storage: Storage, row: ClusterRow): void => storage.put(CLUSTER, row)
