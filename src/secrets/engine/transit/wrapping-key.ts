/**
 * The key that others wrap keys for, which are to be imported.
 *
 * Owns its row and its path. It is an RSA key of 4096 bits of the mount, drawn when it is first
 * asked for.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { derToPem } from './key/pem.ts'

const PLACE = 'wrapping-key'

/** Base64 of DER. */
interface WrappingKeyRow {
  readonly privateKey: string
  readonly publicKey: string
  readonly createdAtMs: number
}

const opened = new WeakMap<WrappingKeyRow, KeyObject>()

/** The private part; undefined where nobody has asked for the key yet. */
export function wrappingKey(storage: Storage): KeyObject | undefined {
  const row = storage.kept<WrappingKeyRow>(PLACE)
  if (row === undefined) return undefined
  let key = opened.get(row)
  if (key === undefined) {
    const der = Buffer.from(row.privateKey, 'base64')
    key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    opened.set(row, key)
  }
  return key
}

const BITS = 4_096

export const wrappingKeyPath = (arithmetic: Arithmetic): PathSpec =>
  path({
    pattern: 'wrapping_key',
    help: {
      synopsis: 'The key to wrap keys for, which are to be imported.',
      description: 'Its public part: RSA of 4096 bits. It is drawn when it is first asked for.',
    },
    fields: {},
    access: 'authorized',
    operations: {
      read: prepared<Record<never, never>, KeyObject | undefined>({
        summary: 'Tells the public part of the wrapping key.',
        answer: shape.object({ public_key: shape.text }),
        prepare: ({ storage }) =>
          storage.has(PLACE) ? undefined : arithmetic.generateKey({ type: 'rsa', bits: BITS }),
        run: read,
      }),
    },
  })

function read(call: Call<Record<never, never>, KeyObject | undefined>): Outcome {
  const { storage, now, prepared: pair } = call
  const row = storage.kept<WrappingKeyRow>(PLACE) ?? rowOf(pair!, now)
  if (!storage.has(PLACE)) storage.put(PLACE, row)
  return { data: { public_key: `${derToPem(row.publicKey, 'PUBLIC KEY')}\n` } }
}

const rowOf = (pair: KeyObject, createdAtMs: number): WrappingKeyRow => ({
  privateKey: pair.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  publicKey: createPublicKey(pair).export({ format: 'der', type: 'spki' }).toString('base64'),
  createdAtMs,
})
