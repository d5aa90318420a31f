/**
 * What asks for `sudo` on a path that is open to others too.
 *
 * Owns that question alone. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { authorize } from '../../access.ts'
import type { Call } from '../../declare.ts'

type Asked = Pick<
  Call,
  'draft' | 'who' | 'operation' | 'namespace' | 'path' | 'mount' | 'data' | 'request'
>

/** Whether who calls has `sudo` on the path that he calls. */
export function isPrivileged(call: Asked): boolean {
  const { draft, who, operation, namespace, mount, data } = call
  const path = `auth/${mount.path}${call.path}`
  const wanted = { operation, namespace, path, data, access: 'privileged' as const }
  const wrapTtlMs = call.request.wrapTtlMs
  return who !== undefined && !(authorize(draft, who, { ...wanted, wrapTtlMs }) instanceof Refusal)
}
