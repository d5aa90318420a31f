/**
 * Where a key of a KV engine is: which mount, which version of the engine, which path of the API.
 *
 * Owns the question that comes before every `kv` verb, and how a path that a person wrote becomes
 * the path of the API.
 */
import type { Call, Flag } from '../command.ts'
import { ApiError, type SecretsClient } from './client.ts'
import { Failure } from './failure.ts'
import { barePath, joined } from './paths.ts'
import { isData, type Secret, valueIn } from './secret.ts'

export const mountFlag: Flag = {
  name: 'mount',
  kind: 'text',
  doc: 'where the engine is mounted; the argument is then the path below it',
}

/** The kinds of paths that a versioned engine has. */
export type KvKind = 'data' | 'metadata' | 'delete' | 'undelete' | 'destroy' | 'move' | 'copy'

/** A key and its engine. */
export interface KvPlace {
  readonly isVersioned: boolean
  /** Where the engine is mounted, and the path below that. */
  readonly mount: string
  readonly rest: string
  /** The path where the engine has no versions. */
  readonly path: string
  /** The path of a kind where it has. */
  pathOf(kind: KvKind): string
}

/** Finds out where a key is, by asking the server. Throws Failure or ClientError. */
export async function kvPlaceOf(call: Call, client: SecretsClient, key: string): Promise<KvPlace> {
  const mount = barePath(call.flags.text('mount') ?? '')
  const path = joined(mount, barePath(key))
  const found = await mountAt(call, client, mount === '' ? path : mount)
  const [begin, rest] = splitAt(path, found.mount)
  return {
    isVersioned: found.isVersioned,
    mount: begin,
    rest,
    path,
    pathOf: kind => joined(begin, kind, rest),
  }
}

/** The same for verbs that only versioned engines have. */
export async function versionedPlaceOf(
  call: Call,
  client: SecretsClient,
  key: string,
  refusal: string,
  code = 1,
): Promise<KvPlace> {
  const place = await kvPlaceOf(call, client, key)
  if (!place.isVersioned) throw new Failure(refusal, code)
  return place
}

async function mountAt(call: Call, client: SecretsClient, path: string) {
  let secret: Secret | undefined
  try {
    secret = await client.read(`sys/internal/ui/mounts/${path}`, {}, true)
  } catch (error) {
    const { flags } = call
    const isPrinted = flags.isOn('output-curl-string') || flags.isOn('output-policy')
    if (!isPrinted || !(error instanceof ApiError) || error.status !== 403) throw error
    throw new Failure(
      `which request this is depends on the version of the engine, and the token may not ask for it: it needs read on ${path}, below data/ where the engine has versions`,
      2,
    )
  }
  // A server that is too old to know the question has engines without versions.
  const options = valueIn(secret?.data, 'options')
  const version = isData(options) ? valueIn(options, 'version') : undefined
  return { mount: String(valueIn(secret?.data, 'path') ?? ''), isVersioned: version === '2' }
}

/** The mount and what is below it; a mount may be named with namespaces that the path lacks. */
function splitAt(path: string, mount: string): readonly [begin: string, rest: string] {
  const names = barePath(mount).split('/')
  for (let at = 0; at < names.length; at++) {
    const begin = names.slice(at).join('/')
    if (path === begin) return [begin, '']
    if (path.startsWith(`${begin}/`)) return [begin, path.slice(begin.length + 1)]
  }
  return [barePath(mount), path]
}
