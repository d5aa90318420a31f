/**
 * The mounts that topics of the secrets tell of, in all namespaces.
 *
 * Owns how a subject names one: by its path with that of its namespace before it. Pure.
 */
import { type MountRow, mountsOf } from '../mount/mount.ts'
import { type Namespace, namespaceRows, ROOT } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'

export interface PlacedMount {
  readonly mount: MountRow
  /** With its namespace, and a slash at its end. */
  readonly wholePath: string
}

/** All mounts of the PKI engine, in the order of their paths. */
export function pkiMounts(draft: Draft): PlacedMount[] {
  const rows = namespaceRows(draft)
  const inside = rows.keys().map(path => rows.kept<Namespace>(path)!)
  return [ROOT, ...inside]
    .filter(({ tainted }) => !tainted)
    .flatMap(namespace =>
      mountsOf(draft, namespace, 'secret')
        .filter(({ type, tainted }) => type === 'pki' && !tainted)
        .map(mount => ({ mount, wholePath: namespace.path + mount.path })),
    )
    .sort((one, other) => (one.wholePath < other.wholePath ? -1 : 1))
}
