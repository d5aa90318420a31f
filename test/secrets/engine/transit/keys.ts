/**
 * Keys of transit for tests, put as rows: of the test's own or of another server's making.
 *
 * Owns putting the rows of a key that a vector has. What is asked goes through the room.
 */
import { createPrivateKey } from 'node:crypto'
import { pairOf } from '../../../../src/secrets/engine/transit/key/make.ts'
import { isTypeName, type TypeName } from '../../../../src/secrets/engine/transit/key/type.ts'
import {
  type KeyRow,
  putKey,
  type VersionRow,
} from '../../../../src/secrets/engine/transit/rows.ts'
import { mountsOf, storageOf } from '../../../../src/secrets/mount/mount.ts'
import type { Storage } from '../../../../src/secrets/storage.ts'
import type { TestSecrets } from '../../harness.ts'
import type { KeyVector } from './vectors/vectors.ts'

/** What a test says of a key; the rest is as a new one has it. */
export type KeyTraits = Partial<Omit<KeyRow, 'id' | 'latest'>> & { readonly type: TypeName }

/** Puts a key with these versions, from the first one on. */
export async function putVersions(
  secrets: TestSecrets,
  name: string,
  traits: KeyTraits,
  versions: readonly VersionRow[],
): Promise<void> {
  const row: KeyRow = {
    ...{ id: `id-of-${name}`, derived: false, kdf: 'hkdf_sha256', convergent: false },
    ...{ convergentVersion: -1, exportable: false, allowPlaintextBackup: false },
    ...{ deletionAllowed: false, minDecryption: 1, minEncryption: 0, minAvailable: 0 },
    ...{ autoRotateMs: 0, imported: false, allowRotation: false, softDeleted: false },
    ...{ ...traits, latest: versions.length },
  }
  await inStorage(secrets, storage =>
    putKey(storage, name, {
      row,
      versions: versions.map((version, at) => [at + 1, version] as const),
      rotatesAtMs: undefined,
    }),
  )
}

/** Changes rows of the mount without asking anybody. */
export const inStorage = (
  secrets: TestSecrets,
  change: (storage: Storage) => void,
): Promise<void> =>
  secrets.write(draft => {
    const mount = mountsOf(draft, { id: 'root' }, 'secret').find(({ path }) => path === 'transit/')!
    change(storageOf(draft, mount))
  })

/** Puts the key of a vector, under its own name. */
export function putVector(secrets: TestSecrets, vector: KeyVector): Promise<void> {
  const { name, type, derived, convergent, exported } = vector
  if (!isTypeName(type)) throw new Error(`no type ${type}`)
  const versions = Object.keys(exported['hmac-key']!).map((_, at): VersionRow => {
    const of = (kind: string) => exported[kind]?.[String(at + 1)]
    const common = { createdAtMs: 1, convergentVersion: convergent ? 3 : 0 }
    if (type === 'hmac') return { ...common, bytes: of('hmac-key')! }
    const hmacKey = of('hmac-key')!
    const pem = of('signing-key') ?? of('encryption-key')!
    if (type === 'ed25519') {
      const [d, x] = [Buffer.from(pem, 'base64').subarray(0, 32), of('public-key')!]
      const jwk = {
        ...{ kty: 'OKP', crv: 'Ed25519', d: d.toString('base64url') },
        x: Buffer.from(x, 'base64').toString('base64url'),
      }
      const privateKey = createPrivateKey({ format: 'jwk', key: jwk })
      return { ...common, hmacKey, ...pairOf({ privateKey }) }
    }
    return pem.startsWith('-----')
      ? { ...common, hmacKey, ...pairOf({ privateKey: createPrivateKey(pem) }) }
      : { ...common, hmacKey, bytes: pem }
  })
  const keySizeBytes = Buffer.from(versions[0]!.bytes ?? '', 'base64').length
  const size = type === 'hmac' ? { keySizeBytes } : {}
  return putVersions(secrets, name, { type, derived, convergent, ...size }, versions)
}
