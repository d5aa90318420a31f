/**
 * How the secrets' half of a server comes to its first keys, where it initialises itself.
 *
 * Owns the seal that such a server has unless one is configured, and what there is from the
 * beginning. What it gives is told once; it keeps none of it.
 */
import { join } from 'node:path'
import { Refusal } from '../base/errors.ts'
import { ensurePrivateFolder, readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import { KEY_SIZE_BYTES } from '../secrets/barrier/keyring.ts'
import type { SealKind } from '../secrets/barrier/kind/kind.run.ts'
import { openStaticSeal } from '../secrets/barrier/kind/static.run.ts'
import type { SealRoom } from '../secrets/barrier/seal.run.ts'
import { newMount, putMount } from '../secrets/mount/mount.ts'
import { ROOT } from '../secrets/namespace/namespace.ts'
import type { Draft } from '../secrets/storage.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'

/** What a server that initialised itself tells once. */
export interface FirstKeys {
  readonly rootToken: string
  /** The only share, where one unseals; in base64. */
  readonly unsealKey?: string
}

const SEAL_KEY = 'seal.key'

/** The seal of a server that initialises itself: by a key in a file beside its data. */
export async function ownSeal(
  { dataDir }: SettledConfig,
  { random, ...world }: World,
): Promise<SealKind> {
  const ports = { random, environment: world.environment }
  const drawn = (): string => random.bytes(KEY_SIZE_BYTES).toString('hex')
  const open = (key: string): Promise<SealKind> =>
    openStaticSeal({ current: { id: 'own', key }, previous: undefined }, ports)
  if (dataDir === undefined) return open(drawn())
  const path = join(dataDir, SEAL_KEY)
  await ensurePrivateFolder(dataDir)
  if ((await readFileIfExists(path)) === undefined) await writeFileAtomic(path, `${drawn()}\n`)
  return open(`file://${path}`)
}

const NO_SHARES = { shares: 0, threshold: 0 }
const ONE_SHARE = { shares: 1, threshold: 1 }

/** Initialises where that was not done before, and unseals; gives what is to be told then. */
export async function initialise(
  { secrets: { rootToken } }: SettledConfig,
  seal: SealRoom,
): Promise<FirstKeys | undefined> {
  if (seal.state().isInitialised) return undefined
  const founded = await seal.found({
    counts: seal.kind.isAutomatic ? NO_SHARES : ONE_SHARE,
    recovery: NO_SHARES,
    prepare: mountFirst,
    ...(rootToken === undefined ? {} : { rootToken }),
  })
  if (founded instanceof Refusal) return undefined
  const { sealKey } = founded
  if (sealKey === undefined) return { rootToken: founded.rootToken }
  // One share is the key itself; what unseals is the room's to wipe.
  const unsealKey = sealKey.toString('base64')
  await seal.unseal(sealKey)
  return { rootToken: founded.rootToken, unsealKey }
}

/** What Vault's development server has too: secrets with versions under `secret/`. */
function mountFirst(draft: Draft): void {
  const given = { kind: 'secret', path: 'secret/', type: 'kv', namespaceId: ROOT.id } as const
  const description = 'key/value secret storage'
  putMount(draft, newMount(draft.random, { ...given, description, options: { version: '2' } }))
}
