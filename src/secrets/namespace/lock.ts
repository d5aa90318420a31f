/**
 * Locked namespaces: while one is, nobody is served in it or below, but for who unlocks it.
 *
 * Owns locking and unlocking. Of the key that unlocks, only its keyed hash is kept. Pure.
 */

import { base62 } from '../../base/base62.ts'
import { Refusal } from '../../base/errors.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { Draft } from '../storage.ts'
import { canonicalNamespace, type Namespace, namespaceAt, putNamespace, ROOT } from './namespace.ts'

/** The namespace that a lock is on: this one, or the outermost above it that has one. */
function lockedAt(draft: Draft, { path }: Namespace): Namespace | undefined {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const namespace = namespaceAt(draft, path.slice(0, at + 1))
    if (namespace !== undefined && namespace.lock !== '') return namespace
  }
  return undefined
}

const UNLOCK = 'sys/namespaces/api-lock/unlock'

/** The refusal of a request in a namespace that is locked. */
export function refuseLocked(
  draft: Draft,
  namespace: Namespace,
  path: string,
): Refusal | undefined {
  if (namespace === ROOT || path === UNLOCK || path.startsWith(`${UNLOCK}/`)) return undefined
  const locked = lockedAt(draft, namespace)
  if (locked === undefined) return undefined
  const name = JSON.stringify(locked.path)
  return new Refusal(
    503,
    `API access to this namespace has been locked by an administrator - ${name} must be unlocked to gain access.`,
  )
}

function named(draft: Draft, parent: Namespace, said: string): Namespace | Refusal {
  const namespace = namespaceAt(draft, parent.path + canonicalNamespace(said))
  if (namespace === undefined || namespace.tainted) {
    return new Refusal(400, 'requested namespace does not exist')
  }
  return namespace === ROOT
    ? new Refusal(400, 'root namespace cannot be locked/unlocked')
    : namespace
}

const KEY_CHARS = 24

/** Locks a namespace; gives the key that unlocks it. */
export function lockNamespace(draft: Draft, parent: Namespace, said: string): string | Refusal {
  const namespace = named(draft, parent, said)
  if (namespace instanceof Refusal) return namespace
  const locked = lockedAt(draft, namespace)
  const name = JSON.stringify(namespace.path)
  if (locked?.id === namespace.id) {
    return new Refusal(400, `cannot lock namespace ${name}: is already locked`)
  }
  if (locked !== undefined) {
    const above = JSON.stringify(locked.path)
    return new Refusal(
      400,
      `cannot lock namespace ${name}: ancestor namespace ${above} is already locked`,
    )
  }
  const key = base62(draft.random, KEY_CHARS)
  putNamespace(draft, { ...namespace, lock: draft.barrier.hashOf(key) })
  return key
}

/** Unlocks a namespace; who has `sudo` needs no key. */
export function unlockNamespace(
  draft: Draft,
  parent: Namespace,
  said: string,
  key: string,
): true | Refusal {
  const namespace = named(draft, parent, said)
  if (namespace instanceof Refusal) return namespace
  const name = JSON.stringify(namespace.path)
  if (namespace.lock === '') return new Refusal(400, `namespace ${name} is not locked`)
  const locked = lockedAt(draft, namespace)!
  if (locked.id !== namespace.id) {
    const above = JSON.stringify(locked.path)
    return new Refusal(400, `cannot unlock ${name} with namespace ${above} being locked`)
  }
  if (key !== '' && !isSameSecret(draft.barrier.hashOf(key), namespace.lock)) {
    return new Refusal(400, 'incorrect unlock key')
  }
  putNamespace(draft, { ...namespace, lock: '' })
  return true
}
