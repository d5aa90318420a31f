/**
 * Where a mount is reached: what `config/cluster` says, or in its absence the server itself.
 *
 * Owns that choice. Pure.
 */
import type { Call } from '../../../declare.ts'
import { clusterOf } from '../rows.ts'
import type { AcmePorts } from './ports.ts'

/** The URL of a mount, without a slash at its end; undefined where nobody said it. */
export function baseUrlOf(
  { storage, mount, namespace }: Pick<Call, 'storage' | 'mount' | 'namespace'>,
  ports: AcmePorts,
): string | undefined {
  const { path } = clusterOf(storage)
  if (path !== '') return path.replace(/\/+$/, '')
  const baseUrl = ports.baseUrl()
  if (baseUrl === '') return undefined
  return `${baseUrl}/v1/${namespace.path}${mount.path}`.replace(/\/+$/, '')
}
