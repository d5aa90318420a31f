/** A mount of transit that a test speaks to, and a wrapping key that was drawn long ago. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { mountAt, storageOf } from '../../../../src/secrets/mount/mount.ts'
import { ROOT } from '../../../../src/secrets/namespace/namespace.ts'
import { type Asked, openSecrets, type SecretsOptions, type TestSecrets } from '../../harness.ts'
import type { ByokVector } from './vectors/vectors.ts'

export async function openTransit(t: Test, options: SecretsOptions = {}) {
  const secrets = await openSecrets(t, options)
  await secrets.mount('transit', 'transit/')
  return {
    secrets,
    read: (path: string, asked?: Asked) => secrets.read(`transit/${path}`, asked),
    list: (path: string, asked?: Asked) => secrets.list(`transit/${path}`, asked),
    remove: (path: string, asked?: Asked) => secrets.remove(`transit/${path}`, asked),
    post: (path: string, data: Asked['data'] = {}) => secrets.post(`transit/${path}`, data),
  }
}

/** A file of vectors. */
export const vectorsIn = <T>(name: string): T =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, 'vectors', name), 'utf8')) as T

/** Gives a mount the wrapping key that the vectors were wrapped for: drawing one takes seconds. */
export async function giveWrappingKey(secrets: TestSecrets, mountPath = 'transit/'): Promise<void> {
  const { byok } = vectorsIn<{ byok: ByokVector[] }>('byok.json')
  const key = createPrivateKey(byok[0]!.privateKeyPem)
  const row = {
    privateKey: key.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64'),
    createdAtMs: 0,
  }
  await secrets.write(draft =>
    storageOf(draft, mountAt(draft, ROOT, 'secret', mountPath)!).put('wrapping-key', row),
  )
}
