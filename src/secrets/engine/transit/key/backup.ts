/**
 * Backups of keys, in the form that OpenBao and Vault read and write.
 *
 * Owns that form: base64 of a JSON object with the key, and versions that are out of use beside it
 * (sdk/helper/keysutil of OpenBao). Types that those do not have are told by name, so that nobody
 * takes them for others. What is read is held against its type, part by part. Pure.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { parseBounded, secretsBounds } from '../../../../base/bounded-json.ts'
import { Refusal } from '../../../../base/errors.ts'
import { stringifyExact } from '../../../../base/exact-json.ts'
import { limits } from '../../../../base/limits.ts'
import { firstVersion, type KeyRow, type Moment } from '../rows.ts'
import { decode } from './base64.ts'
import { fits, type Ingredients, isHmacKeySize } from './make.ts'
import type { Material } from './material.ts'
import { ecKey, ecNumbers, ed25519Key, rsaExponents, rsaKey, rsaNumbers } from './numbers.ts'
import { derToPem, publicBytes } from './pem.ts'
import {
  isSymmetric,
  isTypeName,
  type KeyType,
  type TypeName,
  typeNumbered,
  typeOf,
} from './type.ts'

const NO_TIME = '0001-01-01T00:00:00Z'
const NS_PER_MS = 1_000_000

/** What stands where there is no version. */
const EMPTY = {
  key: null as string | null,
  hmac_key: null as string | null,
  time: NO_TIME,
  ec_x: null as bigint | null,
  ec_y: null as bigint | null,
  ec_d: null as bigint | null,
  rsa_key: null as unknown,
  rsa_public_key: null as unknown,
  public_key: '',
  convergent_version: 0,
  creation_time: 0,
  certificate_chain: null as readonly string[] | null,
}
type Entry = typeof EMPTY & { readonly pkcs8?: string; readonly spki?: string }

/** One version as it stands in a backup. */
export function entryOf(row: KeyRow, material: Material): Entry {
  const common: Entry = {
    ...EMPTY,
    hmac_key: material.hmac?.export().toString('base64') ?? null,
    time: new Date(material.createdAtMs).toISOString(),
    creation_time: Math.floor(material.createdAtMs / 1_000),
    convergent_version: material.ownConvergentVersion,
    certificate_chain: material.certificates.length === 0 ? null : material.certificates,
  }
  const { privateKey, publicKey } = material
  const type = typeOf(row)
  switch (type.kind) {
    case 'rsa':
      return { ...common, ...rsaEntry((privateKey ?? publicKey)!) }
    case 'ecdsa': {
      const { x, y, d = null } = ecNumbers((privateKey ?? publicKey)!)
      const pem = `${derToPem(material.publicText!, 'PUBLIC KEY')}\n`
      return { ...common, ec_x: x, ec_y: y, ec_d: d, public_key: pem }
    }
    case 'ed25519': {
      const key = material.raw?.toString('base64') ?? null
      return { ...common, key, public_key: publicBytes(publicKey!).toString('base64') }
    }
    case 'ml-dsa':
    case 'slh-dsa': {
      const pkcs8 = privateKey?.export({ format: 'der', type: 'pkcs8' }).toString('base64')
      return { ...common, ...(pkcs8 !== undefined && { pkcs8 }), spki: material.publicText! }
    }
    default:
      return { ...common, key: material.raw!.toString('base64') }
  }
}

function rsaEntry(key: KeyObject): Partial<Entry> {
  const { n, e, secret } = rsaNumbers(key)
  const numbers = { N: n, E: Number(e) }
  if (secret === undefined) return { rsa_public_key: numbers }
  const { dp, dq, qi } = rsaExponents(secret)
  const exponents = { Dp: dp, Dq: dq, Qinv: qi, CRTValues: [] }
  const rest = { D: secret.d, Primes: [secret.p, secret.q], Precomputed: exponents }
  return { rsa_key: { ...numbers, ...rest } }
}

/** The whole of a backup. `entries` are the versions that there are, by their number. */
export function backupText(name: string, row: KeyRow, entries: ReadonlyMap<number, Entry>): string {
  const keys: Record<string, Entry> = {}
  const archived: Entry[] = []
  for (const [version, entry] of entries) {
    if (version >= row.minDecryption) keys[version] = entry
    else archived[version - row.minAvailable] = entry
  }
  const wholeArchive = Array.from(archived, entry => entry ?? EMPTY)
  const policy = {
    name,
    ...(row.keySizeBytes !== undefined && { key_size: row.keySizeBytes }),
    ...(row.parameterSet !== undefined && { parameter_set: row.parameterSet }),
    keys,
    derived: row.derived,
    kdf: row.derived && row.kdf === 'hkdf_sha256' ? 1 : 0,
    convergent_encryption: row.convergent,
    exportable: row.exportable,
    min_decryption_version: row.minDecryption,
    min_encryption_version: row.minEncryption,
    latest_version: row.latest,
    // Whoever restores it puts those that are in use into the archive himself.
    archive_version: row.minDecryption - 1,
    archive_min_version: row.minAvailable,
    min_available_version: row.minAvailable,
    deletion_allowed: row.deletionAllowed,
    convergent_version: row.convergentVersion,
    type: typeOf(row).backupNumber ?? row.type,
    backup_info: momentText(row.backup),
    restore_info: momentText(row.restore),
    allow_plaintext_backup: row.allowPlaintextBackup,
    version_template: '',
    storage_prefix: '',
    auto_rotate_period: BigInt(row.autoRotateMs) * BigInt(NS_PER_MS),
    Imported: row.imported,
    AllowImportedKeyRotation: row.allowRotation,
    soft_deleted: row.softDeleted,
  }
  const text = stringifyExact({ policy, archived_keys: { keys: wholeArchive } })
  return Buffer.from(text).toString('base64')
}

const momentText = (moment: Moment | undefined) =>
  moment === undefined
    ? null
    : { time: new Date(moment.atMs).toISOString(), version: moment.version }

/** A key as a backup tells it: its row without a place, and what its versions are made of. */
export interface Restored {
  readonly name: string
  readonly row: Omit<KeyRow, 'id'>
  readonly versions: readonly RestoredVersion[]
}

export interface RestoredVersion {
  readonly version: number
  readonly ingredients: Ingredients
  readonly createdAtMs: number
  readonly hmacKey: Buffer | undefined
  readonly convergentVersion: number
  readonly certificates: readonly string[]
}

/** What is wrong about a backup, and where. */
class BackupFault extends Error {}

const fault = (at: string, what: string): never => {
  throw new BackupFault(`${at} ${what}`)
}

/** Reads a backup; a refusal says what is wrong about it, and quotes nothing of it. */
export function readBackup(text: string): Restored | Refusal {
  const bytes = decode(text)
  if (bytes === undefined) return new Refusal(400, 'backup is not base64')
  const numberChars = limits.transitBackupNumberChars
  const parsed = parseBounded(bytes, { ...secretsBounds, numberChars })
  if ('fault' in parsed) return new Refusal(400, `backup is no JSON: ${parsed.fault.text}`)
  try {
    const whole = new Reading(parsed.value, 'backup')
    return restoredOf(whole)
  } catch (error) {
    if (!(error instanceof BackupFault)) throw error
    return new Refusal(400, `backup cannot be restored: ${error.message}`)
  }
}

/** An object of a backup, read field by field: what is absent is as Go has it, nothing. */
class Reading {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #at: string

  constructor(value: unknown, at: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fault(at, 'is no object')
    }
    this.#fields = value as Readonly<Record<string, unknown>>
    this.#at = at
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? (this.#fields[name] ?? undefined) : undefined
  }

  #no(name: string, what: string): never {
    return fault(`${this.#at}.${name}`, what)
  }

  object(name: string): Reading {
    return new Reading(this.#get(name) ?? {}, `${this.#at}.${name}`)
  }

  maybe(name: string): Reading | undefined {
    return this.#get(name) === undefined ? undefined : this.object(name)
  }

  list(name: string): readonly unknown[] {
    const value = this.#get(name) ?? []
    return Array.isArray(value) ? value : this.#no(name, 'is no list')
  }

  text(name: string): string {
    const value = this.#get(name) ?? ''
    return typeof value === 'string' ? value : this.#no(name, 'is no text')
  }

  flag(name: string): boolean {
    const value = this.#get(name) ?? false
    return typeof value === 'boolean' ? value : this.#no(name, 'is neither true nor false')
  }

  count(name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(name) ?? 0
    return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? (value as number)
      : this.#no(name, 'is no such number')
  }

  /** A number of any size that is not negative; undefined for none. */
  big(name: string): bigint | undefined {
    const value = this.#get(name)
    if (value === undefined) return undefined
    const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value)
    const number = isWhole ? BigInt(value as bigint) : -1n
    return number >= 0n ? number : this.#no(name, 'is no whole number')
  }

  needed(name: string): bigint {
    return this.big(name) ?? this.#no(name, 'is missing')
  }

  bytes(name: string): Buffer | undefined {
    const text = this.text(name)
    return text === '' ? undefined : (decode(text) ?? this.#no(name, 'is not base64'))
  }

  /** A time, in milliseconds; 0 for none. */
  timeMs(name: string): number {
    const text = this.text(name)
    if (text === '' || text === NO_TIME) return 0
    const atMs = Date.parse(text)
    return Number.isNaN(atMs) ? this.#no(name, 'is no time') : atMs
  }

  type(name: string): KeyType {
    const value = this.#get(name) ?? 0
    if (typeof value === 'number') {
      return typeOfNumber(value, this.count('key_size')) ?? this.#no(name, 'is no known type')
    }
    return typeof value === 'string' && isTypeName(value)
      ? typeOf({ type: value })
      : this.#no(name, 'is no known type')
  }

  names(): string[] {
    return Object.keys(this.#fields)
  }
}

/** Vault's numbers where they are not OpenBao's: its keys for HMACs say a size, as no others do. */
function typeOfNumber(number: number, keySizeBytes: number): KeyType | undefined {
  if (number === 11 && keySizeBytes > 0) return typeOf({ type: 'hmac' })
  if (number === 12) return typeOf({ type: 'aes128-cmac' })
  return number === 13 ? typeOf({ type: 'aes256-cmac' }) : typeNumbered(number)
}

function restoredOf(whole: Reading): Restored {
  const policy = whole.maybe('policy') ?? fault('backup.policy', 'is missing')
  const row = rowOf(policy)
  if (policy.text('version_template') !== '') {
    fault('backup.policy.version_template', 'is not one that is served')
  }
  const versions = versionsIn(whole, policy, row)
  return { name: policy.text('name'), row, versions }
}

function rowOf(policy: Reading): Omit<KeyRow, 'id'> {
  const type = policy.type('type')
  const keySizeBytes = policy.count('key_size')
  const parameterSet = policy.text('parameter_set')
  const convergent = policy.flag('convergent_encryption')
  const backup = momentOf(policy.maybe('backup_info'))
  const latest = policy.count('latest_version', 1)
  const minDecryption = policy.count('min_decryption_version', 0, latest) || 1
  return {
    type: type.name as TypeName,
    ...(type.kind === 'hmac' && { keySizeBytes: keySizeBytes || HMAC_SIZE_BYTES }),
    ...(parameterSet !== '' && { parameterSet }),
    derived: policy.flag('derived'),
    kdf: policy.count('kdf') === 1 || !policy.flag('derived') ? 'hkdf_sha256' : COUNTER,
    convergent,
    convergentVersion: convergent ? policy.count('convergent_version', -1) : 0,
    exportable: policy.flag('exportable'),
    allowPlaintextBackup: policy.flag('allow_plaintext_backup'),
    deletionAllowed: policy.flag('deletion_allowed'),
    minDecryption,
    minEncryption: policy.count('min_encryption_version', 0, latest),
    minAvailable: policy.count('min_available_version', 0, minDecryption),
    latest,
    autoRotateMs: periodIn(policy),
    imported: policy.flag('Imported'),
    allowRotation: policy.flag('AllowImportedKeyRotation'),
    softDeleted: policy.flag('soft_deleted'),
    ...(backup !== undefined && { backup }),
  }
}

const HMAC_SIZE_BYTES = 32
/** What Go's durations hold. */
const MAX_PERIOD_MS = 2 ** 63 / NS_PER_MS

/** After how long it rotates by itself: never more often than a key of ours may. */
function periodIn(policy: Reading): number {
  const name = 'auto_rotate_period'
  const periodMs = Number((policy.big(name) ?? 0n) / BigInt(NS_PER_MS))
  if (periodMs > MAX_PERIOD_MS) fault(`backup.policy.${name}`, 'is no such number')
  return periodMs === 0 ? 0 : Math.max(periodMs, limits.transitAutoRotateMinMs)
}
const COUNTER = 'hmac-sha256-counter'

const momentOf = (reading: Reading | undefined): Moment | undefined =>
  reading && { atMs: reading.timeMs('time'), version: reading.count('version') }

/** All versions that are there, in order; those that are in use must be. */
function versionsIn(whole: Reading, policy: Reading, row: Omit<KeyRow, 'id'>): RestoredVersion[] {
  const found = new Map<number, Reading>()
  const from = policy.count('archive_min_version')
  for (const [at, value] of whole.object('archived_keys').list('keys').entries()) {
    const place = `backup.archived_keys.keys.${at}`
    if (value !== null && !isNothing(value, place)) found.set(from + at, new Reading(value, place))
  }
  const keys = policy.object('keys')
  for (const name of keys.names()) {
    if (!/^[1-9]\d{0,8}$/.test(name))
      fault('backup.policy.keys', 'has something that is no version')
    found.set(Number(name), keys.object(name))
  }
  const { minDecryption, latest } = row
  const versions = [...found.keys()]
    .filter(version => version >= firstVersion(row) && version <= latest)
    .sort((one, other) => one - other)
  const inUse = versions.filter(version => version >= minDecryption)
  if (inUse.length !== latest - minDecryption + 1) {
    fault('backup.policy.keys', 'lacks versions that are in use')
  }
  return versions.map(version => versionOf(found.get(version)!, row, version))
}

/** Whether a place in an archive holds no version. */
const isNothing = (value: unknown, place: string): boolean =>
  new Reading(value, place).count('creation_time') === 0

function versionOf(reading: Reading, row: Omit<KeyRow, 'id'>, version: number): RestoredVersion {
  const at = `backup.policy.keys.${version}`
  const type = typeOf(row)
  const ingredients = ingredientsOf(reading, row, at)
  const hasHmacKey = type.authenticates && type.kind !== 'hmac'
  const certificates = reading.list('certificate_chain')
  if (!certificates.every(one => typeof one === 'string' && decode(one) !== undefined)) {
    fault(`${at}.certificate_chain`, 'is no list of certificates')
  }
  return {
    version,
    ingredients,
    createdAtMs: reading.timeMs('time') || reading.count('creation_time', 0, MAX_TIME_S) * 1_000,
    hmacKey: hasHmacKey ? reading.bytes('hmac_key') : undefined,
    convergentVersion: reading.count('convergent_version'),
    certificates: certificates as string[],
  }
}

/** What dates hold. */
const MAX_TIME_S = 8_640_000_000_000

function ingredientsOf(reading: Reading, row: Omit<KeyRow, 'id'>, at: string): Ingredients {
  const type = typeOf(row)
  if (isSymmetric(type)) {
    const bytes = reading.bytes('key') ?? fault(`${at}.key`, 'is missing')
    const isRight = type.kind === 'hmac' ? isHmacKeySize : (size: number) => size === type.sizeBytes
    return isRight(bytes.length) ? { bytes } : fault(`${at}.key`, 'is not of its size')
  }
  const key = pairOf(reading, type, at)
  if (!fits(row, key)) fault(at, 'is not of its type')
  return key.type === 'private' ? { privateKey: key } : { publicKey: key }
}

/** The pair of a version, or its public part. */
function pairOf(reading: Reading, type: KeyType, at: string): KeyObject {
  try {
    switch (type.kind) {
      case 'rsa':
        return rsaOf(reading)
      case 'ecdsa':
        return ecKey(type.shownAs, {
          ...{ x: reading.needed('ec_x'), y: reading.needed('ec_y'), d: reading.big('ec_d') },
        })
      case 'ed25519':
        return ed25519Of(reading, at)
      default:
        return namedOf(reading, at)
    }
  } catch (error) {
    if (error instanceof BackupFault) throw error
    return fault(at, 'is no key')
  }
}

function rsaOf(reading: Reading): KeyObject {
  const whole = reading.maybe('rsa_key')
  if (whole === undefined) {
    const numbers = reading.object('rsa_public_key')
    return rsaKey({ n: numbers.needed('N'), e: numbers.needed('E'), secret: undefined })
  }
  const primes = new Reading(Object.fromEntries(whole.list('Primes').entries()), 'Primes')
  if (primes.names().length !== 2) fault('rsa_key.Primes', 'are not two')
  const secret = { d: whole.needed('D'), p: primes.needed('0'), q: primes.needed('1') }
  return rsaKey({ n: whole.needed('N'), e: whole.needed('E'), secret })
}

function ed25519Of(reading: Reading, at: string): KeyObject {
  const pair = reading.bytes('key')
  if (pair === undefined) {
    return ed25519Key(reading.bytes('public_key') ?? fault(at, 'is missing'), undefined)
  }
  const key = ed25519Key(pair.subarray(32), pair.subarray(0, 32))
  const isOne = pair.length === 64 && publicBytes(createPublicKey(key)).equals(pair.subarray(32))
  return isOne ? key : fault(at, 'is no pair')
}

function namedOf(reading: Reading, at: string): KeyObject {
  const pkcs8 = reading.bytes('pkcs8')
  if (pkcs8 !== undefined) return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = reading.bytes('spki') ?? fault(at, 'is missing')
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}
