/**
 * What must be read while the barrier is sealed: how it is sealed, and its keyring, sealed.
 *
 * Owns how these rows lie. No key is among them that is not sealed by another one; whoever changes
 * them can make them useless, and gets nothing. All but counts go into archives: who restores one
 * needs the key shares, or the seal, of its time.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { scope } from './names.ts'

/** How many shares a key is split into, and how many of them give it back; 0 of 0 for no key. */
export interface ShareCounts {
  readonly shares: number
  readonly threshold: number
}

export interface SealRow extends ShareCounts {
  /** `shamir`, `static`, `transit`: who can open the root key. */
  readonly type: string
  /** The root key, sealed by the key that was split, or by the seal itself. */
  readonly sealedRootKey: string
  /** Those of the recovery key, which authorises and opens nothing. */
  readonly recovery: ShareCounts
  readonly initialisedAtMs: number
}

export interface KeyringRow {
  /** The terms and what is kept with them, sealed by the root key. */
  readonly sealed: string
  /** One more with each change. */
  readonly version: number
  /** What leads running servers from older versions to this one; not for long, and not many. */
  readonly trail: readonly TrailStep[]
}

/** One change of the keyring, for servers that know the version before it. */
export interface TrailStep {
  /** The version that the change made. */
  readonly version: number
  readonly atMs: number
  /** The root key and the newest term of it, sealed in the newest term of the one before. */
  readonly sealed: string
}

/** How often an operator has sealed all servers. */
export interface HaltRow {
  readonly count: number
  readonly atMs: number
}

/** Texts that a server may seal in a term before it must ask for more. */
export interface UseRow {
  readonly term: number
  readonly serverId: string
  readonly reserved: number
}

/** Key shares, each encrypted to the OpenPGP key of whoever holds it. */
export interface ShareBackupRow {
  readonly nonce: string
  /** In hexadecimal, by the fingerprint of the key. */
  readonly keys: Readonly<Record<string, readonly string[]>>
}

/** Something that holders of key shares do together: what came of it so far. */
export interface AttemptRow {
  /** When somebody went on with it last. */
  readonly touchedAtMs: number
  /** All else, sealed by the keyring, for the kind of attempt and this time. */
  readonly sealed: string
}

/** The one key of tables that hold one row. */
export const BARRIER_KEY: Bytes = 'barrier'

const scopes = (): readonly string[] => [scope.seal]

export const seals = defineTable<SealRow>({
  name: 'seals',
  prefix: 'secret/seal/',
  codec: jsonCodec(),
  scopes,
})

export const keyrings = defineTable<KeyringRow>({
  name: 'keyrings',
  prefix: 'secret/keyring/',
  codec: jsonCodec(),
  scopes,
})

export const halts = defineTable<HaltRow>({
  name: 'seal-halts',
  prefix: 'secret/halt/',
  codec: jsonCodec(),
  ofCluster: true,
  scopes,
})

/** The key is the term and the server. */
export const keyUses = defineTable<UseRow>({
  name: 'key-uses',
  prefix: 'secret/key-use/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  // What was sealed since an archive was made counts, whatever is restored.
  ofCluster: true,
})

export const keyUseKey = (term: number, serverId: string): Bytes =>
  fromText(`${termPart(term)}/${serverId}`)

/** What the keys of all servers' uses of a term begin with. */
export const keyUsesOf = (term: number): Bytes => `${termPart(term)}/`

const TERM_DIGITS = 10
const termPart = (term: number): string => String(term).padStart(TERM_DIGITS, '0')

/** The key is what the shares are of: `root` or `recovery`. */
export const shareBackups = defineTable<ShareBackupRow>({
  name: 'share-backups',
  prefix: 'secret/share-backup/',
  codec: jsonCodec(),
})

/** The key is the kind of attempt. An archive has none, and a restore ends them. */
export const sealAttempts = defineTable<AttemptRow>({
  name: 'seal-attempts',
  prefix: 'secret/attempt/',
  codec: jsonCodec(),
  internal: true,
})

export const sealTables = [seals, keyrings, halts, keyUses, shareBackups, sealAttempts]
