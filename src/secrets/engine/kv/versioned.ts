/**
 * Secrets with versions: the rows, and what may be done with them (Vault's API, `kv` version 2).
 *
 * Owns which versions are kept and where their values lie, when one counts as deleted, and
 * check-and-set. A small value lies in the secret's own row, so that a write is one row; others
 * have rows of their own. A secret that was written while its mount had no versions counts as its
 * first one. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { parseExact, stringifyExact } from '../../../base/exact-json.ts'
import { limits } from '../../../base/limits.ts'
import type { Page, Storage } from '../../storage.ts'
import { PLAIN } from './v1.ts'

/** What a mount says of all its secrets. */
export interface KvConfig {
  /** 0 for the default. */
  readonly maxVersions: number
  readonly casRequired: boolean
  /** 0 for never, below 0 for never whatever else is said. */
  readonly deleteVersionAfterMs: number
  readonly metadataCasRequired: boolean
  /** When the mount got versions; 0 where it always had. */
  readonly upgradedAtMs: number
}

export interface VersionRow {
  readonly createdMs: number
  /** When it counts as deleted; left out, as most are, for never. */
  readonly deletionMs?: number
  readonly destroyed?: true
}

/** What is known of a secret, and its values as far as they are small. */
export interface SecretRow {
  readonly createdMs: number
  readonly updatedMs: number
  readonly currentVersion: number
  readonly oldestVersion: number
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly deleteVersionAfterMs: number
  readonly customMetadata: Readonly<Record<string, string>> | null
  /** How often the metadata was written: what `metadata_cas` compares. */
  readonly metadataVersion: number
  readonly versions: Readonly<Record<string, VersionRow>>
  /** By version; one that is not there has a row of its own. */
  readonly values?: Readonly<Record<string, unknown>>
}

const CONFIG = 'config'
const METADATA = 'metadata/'
const valueKey = (path: string, version: number): string => `v${version}/${path}`

const NO_CONFIG: KvConfig = {
  maxVersions: 0,
  casRequired: false,
  deleteVersionAfterMs: 0,
  metadataCasRequired: false,
  upgradedAtMs: 0,
}

export const configOf = (storage: Storage): KvConfig => storage.kept<KvConfig>(CONFIG) ?? NO_CONFIG

/** Writes what a mount says of all its secrets. */
export function putConfig(storage: Storage, config: KvConfig): void {
  storage.put(CONFIG, config)
}

/** A secret that nobody has written a value of. */
export const newSecret = (now: number): SecretRow => ({
  createdMs: now,
  updatedMs: now,
  currentVersion: 0,
  oldestVersion: 0,
  maxVersions: 0,
  casRequired: false,
  deleteVersionAfterMs: 0,
  customMetadata: null,
  metadataVersion: 0,
  versions: {},
})

/** What is known of a secret; undefined where there is none. */
export function secretAt(storage: Storage, path: string): SecretRow | undefined {
  const known = storage.kept<SecretRow>(METADATA + path)
  if (known !== undefined || !storage.has(PLAIN + path)) return known
  const { upgradedAtMs } = configOf(storage)
  const versions = { 1: { createdMs: upgradedAtMs } }
  return { ...newSecret(upgradedAtMs), currentVersion: 1, versions }
}

/** Writes what is known of a secret. */
export function putSecret(storage: Storage, path: string, secret: SecretRow): void {
  movePlain(storage, path)
  storage.put(METADATA + path, secret)
}

/** What a secret was before there were versions moves to where the first one lies. */
function movePlain(storage: Storage, path: string): void {
  const plain = PLAIN + path
  if (!storage.has(plain)) return
  storage.put(valueKey(path, 1), storage.get(plain))
  storage.delete(plain)
}

const isInRow = ({ values }: SecretRow, version: number | string): boolean =>
  values !== undefined && Object.hasOwn(values, version)

/** The JSON of a version's value; undefined where it is gone. */
export function valueText(
  storage: Storage,
  path: string,
  secret: SecretRow,
  version: number,
): string | undefined {
  if (isInRow(secret, version)) return textInRow(secret, version)
  const own = storage.text(valueKey(path, version))
  return own ?? (version === 1 ? storage.text(PLAIN + path) : undefined)
}

/** Made once for each version as long as the row stands. */
function textInRow(secret: SecretRow, version: number): string {
  const known = textsInRows.get(secret) ?? new Map<number, string>()
  let text = known.get(version)
  if (text === undefined) {
    text = stringifyExact(secret.values![version])
    textsInRows.set(secret, known.set(version, text))
  }
  return text
}

const textsInRows = new WeakMap<SecretRow, Map<number, string>>()

/** The same, taken apart: a new object at each call. */
export function readValue<T>(
  storage: Storage,
  path: string,
  secret: SecretRow,
  version: number,
): T | undefined {
  const text = valueText(storage, path, secret, version)
  return text === undefined ? undefined : (parseExact(text) as T)
}

/** Whether a value may lie in the secret's own row, which is written whole each time. */
function isSmall(value: unknown, versions: number): boolean {
  const most = limits.kvValueInRowChars
  if (versions > limits.kvVersions || leastChars(value, most) > most) return false
  return stringifyExact(value).length <= most
}

/** How long a value is as JSON, or less: large ones need not be written out to be told. */
function leastChars(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 1
  let chars = 1
  for (const name in value) {
    if (chars > most) break
    chars += 1 + leastChars((value as Record<string, unknown>)[name], most - chars)
  }
  return chars
}

export const isDeleted = ({ deletionMs = 0 }: VersionRow, now: number): boolean =>
  deletionMs > 0 && deletionMs <= now

/** The refusal of a write that does not stand on the version that there is. */
export function refuseCas(
  storage: Storage,
  secret: SecretRow | undefined,
  cas: number | undefined,
): Refusal | undefined {
  const isRequired = configOf(storage).casRequired || secret?.casRequired === true
  if (cas === undefined) {
    if (!isRequired) return undefined
    return new Refusal(400, 'check-and-set parameter required for this call')
  }
  if (cas === (secret?.currentVersion ?? 0)) return undefined
  return new Refusal(400, 'check-and-set parameter did not match the current version')
}

/** How long a new version lives; 0 for ever. */
function lifetimeMs(config: KvConfig, secret: SecretRow): number {
  const [own, all] = [secret.deleteVersionAfterMs, config.deleteVersionAfterMs]
  if (own < 0 || (own === 0 && all < 0)) return 0
  return own > 0 && all > 0 ? Math.min(own, all) : Math.max(own, all, 0)
}

/** Writes a new version; those beyond the number that is kept go. Gives the secret then. */
export function addVersion(storage: Storage, path: string, value: unknown, now: number): SecretRow {
  const config = configOf(storage)
  const before = secretAt(storage, path) ?? newSecret(now)
  const version = before.currentVersion + 1
  const livesMs = lifetimeMs(config, before)
  const row = { createdMs: now, ...(livesMs > 0 && { deletionMs: now + livesMs }) }
  const kept = before.maxVersions || config.maxVersions || limits.kvVersions
  const versions: Record<string, VersionRow> = { ...before.versions, [version]: row }
  const values: Record<string, unknown> = { ...before.values }
  if (isSmall(value, kept)) values[version] = value
  else storage.put(valueKey(path, version), value)
  const oldest = Math.max(1, version - kept + 1)
  // First to where it lies from now on, so that what goes is found there.
  movePlain(storage, path)
  for (const each in versions) {
    if (Number(each) >= oldest) break
    delete versions[each]
    dropValue(storage, path, values, each)
  }
  const after = {
    ...before,
    updatedMs: now,
    currentVersion: version,
    oldestVersion: oldest > 1 ? oldest : before.oldestVersion,
    ...{ versions, values },
  }
  storage.put(METADATA + path, after)
  return after
}

/** Removes the value of a version from where it lies. */
function dropValue(
  storage: Storage,
  path: string,
  values: Record<string, unknown>,
  version: number | string,
): void {
  if (Object.hasOwn(values, version)) delete values[version]
  else storage.delete(valueKey(path, Number(version)))
}

/** Changes versions of a secret, those that there are. */
export function changeVersions(
  storage: Storage,
  path: string,
  secret: SecretRow,
  wanted: readonly number[],
  change: (row: VersionRow) => VersionRow,
): void {
  const versions: Record<string, VersionRow> = { ...secret.versions }
  for (const version of wanted) {
    const row = versions[version]
    if (row !== undefined) versions[version] = change(row)
  }
  const values = { ...secret.values }
  // First to where it lies from now on, so that what goes is found there.
  movePlain(storage, path)
  for (const version of wanted) {
    if (versions[version]?.destroyed === true) dropValue(storage, path, values, version)
  }
  storage.put(METADATA + path, { ...secret, versions, values })
}

/** Removes a secret with all that was ever written to it. */
export function removeSecret(storage: Storage, path: string): void {
  const secret = secretAt(storage, path)
  if (secret === undefined) return
  for (const version of Object.keys(secret.versions)) {
    if (!isInRow(secret, version)) storage.delete(valueKey(path, Number(version)))
  }
  storage.delete(METADATA + path)
  storage.delete(PLAIN + path)
}

/** Gives a secret another path, with its whole history, or a copy of it. */
export function transfer(storage: Storage, from: string, to: string, keeps: boolean): void {
  const secret = secretAt(storage, from)!
  for (const version of Object.keys(secret.versions).map(Number)) {
    const value = isInRow(secret, version) ? undefined : readValue(storage, from, secret, version)
    if (value !== undefined) storage.put(valueKey(to, version), value)
  }
  storage.put(METADATA + to, secret)
  if (!keeps) removeSecret(storage, from)
}

/** What stands right under a folder: secrets, and folders with their slash. */
export function secretNames(storage: Storage, folder: string, page: Page): string[] {
  const limit = page.limit ?? 0
  const names = new Set([
    ...storage.list(METADATA + folder, page),
    ...storage.list(PLAIN + folder, page),
  ])
  const sorted = [...names].sort()
  return limit > 0 ? sorted.slice(0, limit) : sorted
}

/** Paths below a folder, relative to it. */
export function secretKeys(storage: Storage, folder: string): string[] {
  const keys = new Set([...storage.keys(METADATA + folder), ...storage.keys(PLAIN + folder)])
  return [...keys].sort()
}
