/**
 * Paths of mounts: which may be, and which are taken.
 *
 * Owns their one form, the names that are nobody's to give, and that no mount is under another nor
 * under a namespace. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Namespace, namespaceAt } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { type MountKind, mountAt, mountUnder } from './mount.ts'

/** A path with its slash at the end and none before, however it was said. */
export const mountPathOf = (said: string): string =>
  (said.endsWith('/') ? said : `${said}/`).replace(/^\//, '')

/** Where secrets are that nobody mounts, moves or unmounts. */
const PROTECTED = ['audit/', 'auth/', 'sys/', 'cubbyhole/', 'identity/'] as const

/** Whether a path is one of the protected ones, or under it. */
export const isProtected = (kind: MountKind, path: string): boolean =>
  kind === 'auth'
    ? path.startsWith('token/')
    : PROTECTED.some(protectedPath => path.startsWith(protectedPath))

/** What is wrong about the form of a path that something is to be mounted at. */
export function refuseForm(path: string): Refusal | undefined {
  const segments = path.slice(0, -1).split('/')
  if (segments.includes('..')) {
    return new Refusal(400, 'path cannot contain parent references')
  }
  if (path.length > limits.mountPathChars) {
    return new Refusal(400, `path is longer than ${limits.mountPathChars} characters`)
  }
  if (segments.some(segment => segment === '' || segment === '.')) {
    return new Refusal(400, 'path cannot contain empty segments')
  }
  if (segments.some(segment => segment.trim() !== segment)) {
    return new Refusal(400, 'path cannot contain trailing whitespace')
  }
  // Letters that print nothing would make two mounts look like one.
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(path)
    ? new Refusal(400, 'path cannot contain non-printable characters')
    : undefined
}

/** What a path is in conflict with: a mount's path, or a namespace's; undefined for nothing. */
export function conflictOf(
  draft: Draft,
  namespace: Pick<Namespace, 'id' | 'path'>,
  kind: MountKind,
  path: string,
): { readonly text: string; readonly at: string } | undefined {
  const prefix = kind === 'auth' ? 'auth/' : ''
  const used = (at: string) => ({ text: `path is already in use at ${at}`, at: prefix + at })
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const above = path.slice(0, at + 1)
    if (mountAt(draft, namespace, kind, above) !== undefined) return used(above)
    if (kind === 'secret' && namespaceAt(draft, namespace.path + above) !== undefined) {
      return { text: `existing mount at ${namespace.path + above}`, at: above }
    }
  }
  const under = mountUnder(draft, namespace, kind, path)
  return under === undefined ? undefined : used(under)
}
