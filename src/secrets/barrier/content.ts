/**
 * What the keyring's row holds: the keys of all terms, and what must be as safe as they are.
 *
 * Owns its form, and how it and root keys are sealed by another key for a place. Keys are bytes
 * from end to end, never text, so that all of it can be wiped. Pure.
 */
import { createHmac } from 'node:crypto'
import { deriveKey, NONCE_SIZE_BYTES, openFor, sealFor } from '../../base/aead.ts'
import type { Random } from '../../base/clock.ts'
import { KEY_SIZE_BYTES } from './keyring.ts'

/** When new terms are begun without being asked for. */
export interface RotationRules {
  /** Texts that one term seals at most. */
  readonly maxOperations: number
  /** 0 for never by time. */
  readonly intervalMs: number
  readonly isEnabled: boolean
}

export interface Term {
  readonly term: number
  readonly key: Buffer
  readonly installedAtMs: number
}

export interface KeyringContent {
  /** One more with each change: an older one that comes back is noticed. */
  readonly version: number
  /** The oldest first; the last one seals. */
  readonly terms: readonly Term[]
  /** What secrets are hashed with; the same for ever. */
  readonly hashKey: Buffer
  /** What the shares are of, where the seal has shares: a new root key must be sealed by it. */
  readonly sealKey: Buffer | undefined
  /** SHA-256 of the recovery key, in hexadecimal; '' for none. */
  readonly recoveryDigest: string
  readonly rotation: RotationRules
}

/** The part of it that is no key, as it lies before the keys. */
interface Head extends Pick<KeyringContent, 'version' | 'recoveryDigest' | 'rotation'> {
  readonly terms: readonly Pick<Term, 'term' | 'installedAtMs'>[]
  readonly hasSealKey: boolean
}

const LENGTH_SIZE_BYTES = 4

function encode(content: KeyringContent): Buffer {
  const { version, terms, hashKey, sealKey, recoveryDigest, rotation } = content
  const head: Head = {
    version,
    terms: terms.map(({ term, installedAtMs }) => ({ term, installedAtMs })),
    hasSealKey: sealKey !== undefined,
    recoveryDigest,
    rotation,
  }
  const headBytes = Buffer.from(JSON.stringify(head))
  const length = Buffer.allocUnsafe(LENGTH_SIZE_BYTES)
  length.writeUInt32BE(headBytes.length)
  const keys = [hashKey, ...(sealKey === undefined ? [] : [sealKey]), ...terms.map(t => t.key)]
  return Buffer.concat([length, headBytes, ...keys])
}

/** Takes apart what was opened: it is as it was sealed. The keys are copies. */
function decode(bytes: Buffer): KeyringContent {
  const headEnd = LENGTH_SIZE_BYTES + bytes.readUInt32BE(0)
  const head = JSON.parse(bytes.toString('utf8', LENGTH_SIZE_BYTES, headEnd)) as Head
  let at = headEnd
  const take = (): Buffer => {
    const key = Buffer.alloc(KEY_SIZE_BYTES)
    at += bytes.copy(key, 0, at)
    return key
  }
  const { version, recoveryDigest, rotation } = head
  return {
    ...{ version, recoveryDigest, rotation },
    hashKey: take(),
    sealKey: head.hasSealKey ? take() : undefined,
    terms: head.terms.map(({ term, installedAtMs }) => ({ term, installedAtMs, key: take() })),
  }
}

/** Overwrites every key of a content. */
export function wipeContent({ terms, hashKey, sealKey }: KeyringContent): void {
  for (const { key } of terms) key.fill(0)
  hashKey.fill(0)
  sealKey?.fill(0)
}

/** The keys by their terms, for a keyring. */
export const keysOf = ({ terms }: KeyringContent): Map<number, Buffer> =>
  new Map(terms.map(({ term, key }) => [term, key]))

/** The term that seals. */
export const newestTerm = ({ terms }: Pick<KeyringContent, 'terms'>): Term => terms.at(-1)!

const FRESH_SIZE_BYTES = 16

/**
 * Seals bytes for a place, by a key for itself; base64. The nonce is a keyed hash over fresh
 * randomness, the place and the bytes: rules may be run again with the same randomness.
 */
export function sealBy(key: Buffer, place: string, bytes: Uint8Array, random: Random): string {
  const nonces = deriveKey(key, 'gatehouse barrier nonces')
  const sealing = deriveKey(key, 'gatehouse barrier sealing')
  const nonce = createHmac('sha256', nonces)
    .update(random.bytes(FRESH_SIZE_BYTES))
    .update(`${place}\0`)
    .update(bytes)
    .digest()
    .subarray(0, NONCE_SIZE_BYTES)
  const sealed = sealFor(place, bytes, sealing, nonce)
  nonces.fill(0)
  sealing.fill(0)
  return sealed
}

/** What was sealed for the same place by the same key; undefined where it was not. */
export function openBy(key: Buffer, place: string, sealed: string): Buffer | undefined {
  const sealing = deriveKey(key, 'gatehouse barrier sealing')
  const bytes = openFor(place, sealed, sealing)
  sealing.fill(0)
  return bytes
}

const KEYRING_PLACE = 'gatehouse/keyring'

/** The content, sealed by the root key. */
export function sealContent(content: KeyringContent, rootKey: Buffer, random: Random): string {
  const bytes = encode(content)
  const sealed = sealBy(rootKey, KEYRING_PLACE, bytes, random)
  bytes.fill(0)
  return sealed
}

/** The content, where this is the root key that it was sealed by. */
export function openContent(sealed: string, rootKey: Buffer): KeyringContent | undefined {
  const bytes = openBy(rootKey, KEYRING_PLACE, sealed)
  if (bytes === undefined) return undefined
  const content = decode(bytes)
  bytes.fill(0)
  return content
}
