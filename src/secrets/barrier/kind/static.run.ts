/**
 * The static seal: a key in a file, in the environment, or in the configuration.
 *
 * Owns how such a key is read and which one sealed what: beside the current one the previous one
 * opens, so that keys can be exchanged. Keys are told by their ids, never by what they are.
 */
import type { Random } from '../../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../../base/errors.ts'
import { readFileIfExists } from '../../../base/io/file.ts'
import { openBy, sealBy } from '../content.ts'
import { KEY_SIZE_BYTES } from '../keyring.ts'
import type { SealKind } from './kind.run.ts'

/** Where a key is, and what it is called. */
export interface StaticKeyPlace {
  readonly id: string
  /** `file:///path`, `env://NAME`, or the key itself: 32 bytes in base64 or hexadecimal. */
  readonly key: string
}

export interface StaticSealSettings {
  readonly current: StaticKeyPlace
  readonly previous: StaticKeyPlace | undefined
}

/** What it is opened with; texts of the environment are looked up by name. */
export interface StaticSealPorts {
  readonly random: Random
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Which key sealed it, and what it sealed. */
interface Sealed {
  readonly id: string
  readonly sealed: string
}

/** Reads the keys. Rejects with OperatingError that names the place of a key that is none. */
export async function openStaticSeal(
  { current, previous }: StaticSealSettings,
  { random, environment }: StaticSealPorts,
): Promise<SealKind> {
  const keys = new Map<string, Buffer>()
  for (const place of previous === undefined ? [current] : [previous, current]) {
    keys.set(place.id, await readKey(place, environment))
  }
  return {
    type: 'static',
    async wrap(rootKey) {
      const sealed = sealBy(keys.get(current.id)!, placeOf(current.id), rootKey, random)
      return JSON.stringify({ id: current.id, sealed } satisfies Sealed)
    },
    async unwrap(text) {
      const { id, sealed } = JSON.parse(text) as Sealed
      const key = keys.get(id)
      const rootKey = key && openBy(key, placeOf(id), sealed)
      if (rootKey !== undefined) return rootKey
      throw new OperatingError(
        OperatingCode.damaged,
        key === undefined
          ? `the static seal has no key ${JSON.stringify(id)}: name it as previous_key_id`
          : `the key ${JSON.stringify(id)} of the static seal did not seal this store`,
      )
    },
    isOutdated: text => (JSON.parse(text) as Sealed).id !== current.id,
    stop() {
      for (const key of keys.values()) key.fill(0)
    },
  }
}

const placeOf = (id: string): string => `gatehouse/root-key/static/${id}`

async function readKey(
  { id, key }: StaticKeyPlace,
  environment: StaticSealPorts['environment'],
): Promise<Buffer> {
  const wrong = (problem: string): OperatingError =>
    new OperatingError(
      OperatingCode.damaged,
      `key ${JSON.stringify(id)} of the static seal ${problem}`,
    )
  if (key.startsWith('env://')) {
    const name = key.slice('env://'.length)
    const text = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (text === undefined) throw wrong(`is not in the environment as ${name}`)
    return keyOf(Buffer.from(text)) ?? fail(wrong(`(${name} of the environment) is not 32 bytes`))
  }
  if (key.startsWith('file://')) {
    const path = key.slice('file://'.length)
    const bytes = await readFileIfExists(path)
    if (bytes === undefined) throw wrong(`is not there: ${path}`)
    return keyOf(bytes) ?? fail(wrong(`(${path}) is not 32 bytes`))
  }
  return keyOf(Buffer.from(key)) ?? fail(wrong('is not 32 bytes in base64 or hexadecimal'))
}

function fail(error: Error): never {
  throw error
}

const HEX = /^[0-9a-f]{64}$/i
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/

/** 32 bytes as they are, or in hexadecimal or base64, with or without a line's end. */
function keyOf(bytes: Buffer): Buffer | undefined {
  if (bytes.length === KEY_SIZE_BYTES) return Buffer.from(bytes)
  const text = bytes.toString('latin1').trim()
  if (HEX.test(text)) return Buffer.from(text, 'hex')
  return BASE64.test(text) ? Buffer.from(text, 'base64url') : undefined
}
