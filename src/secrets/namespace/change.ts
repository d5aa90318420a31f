/**
 * Making namespaces, and saying things of them.
 *
 * Owns which names they may have, and what each has from the beginning. Pure.
 */

import { base62 } from '../../base/base62.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Json, JsonObject } from '../field.ts'
import { mountAt, mountBuiltIn, mountUnder } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import {
  type Namespace,
  namespaceAt,
  namespaceById,
  namespaceRows,
  putNamespace,
} from './namespace.ts'

const RESERVED = ['root', 'sys', 'audit', 'auth', 'cubbyhole', 'identity', '.', '..']

/** The path of a namespace that a request names, below the one that it is made in. */
export function namedIn(parent: Namespace, said: string): string | Refusal {
  const name = said.replaceAll(/^\/+|\/+$/g, '')
  if (name === '') return new Refusal(400, 'namespace name cannot be empty')
  if (name.includes('/')) return new Refusal(400, 'namespace name cannot contain /')
  if (RESERVED.includes(name)) {
    const text = 'is a reserved path and cannot be used as a namespace name'
    return new Refusal(400, `${JSON.stringify(`${name}/`)} ${text}`)
  }
  // Letters that print nothing, and spaces, would make two namespaces look like one.
  if (/[\p{C}\p{Z}]/u.test(name) || name.normalize('NFC') !== name) {
    return new Refusal(400, 'namespace name cannot contain spaces or non-printable characters')
  }
  const path = `${parent.path}${name}/`
  if (path.length > limits.mountPathChars) {
    return new Refusal(400, `namespace path is longer than ${limits.mountPathChars} characters`)
  }
  const depth = path.split('/').length - 1
  return depth > limits.namespaceDepth
    ? new Refusal(400, `namespaces nest to a depth of ${limits.namespaceDepth}`)
    : path
}

type Metadata = Namespace['customMetadata']

/** Makes a namespace, or says anew what is known of one. */
export function setNamespace(
  draft: Draft,
  parent: Namespace,
  said: string,
  customMetadata: Metadata,
): Namespace | Refusal {
  const path = namedIn(parent, said)
  if (path instanceof Refusal) return path
  const known = namespaceAt(draft, path)
  if (known?.tainted === true) {
    return new Refusal(400, 'namespace with that name exists and is currently tainted')
  }
  if (known !== undefined) {
    const changed = { ...known, customMetadata }
    putNamespace(draft, changed)
    return changed
  }
  const name = path.slice(parent.path.length)
  const taken =
    mountAt(draft, parent, 'secret', name)?.path ?? mountUnder(draft, parent, 'secret', name)
  if (taken !== undefined) {
    return new Refusal(400, `new namespace conflicts with existing mount: ${parent.path}${taken}`)
  }
  const namespace: Namespace = {
    ...{ id: newId(draft), path, uuid: draft.random.uuid(), customMetadata },
    ...{ tainted: false, lock: '' },
  }
  putNamespace(draft, namespace)
  mountBuiltIn(draft, namespace.id)
  return namespace
}

const ID_CHARS = 6

/** An id that no namespace has: tokens and leases end in it. */
function newId(draft: Draft): string {
  for (;;) {
    const id = base62(draft.random, ID_CHARS)
    if (namespaceById(draft, id) === undefined) return id
  }
}

/** Merges what a patch says of a namespace into it (RFC 7396). */
export function patchNamespace(
  draft: Draft,
  parent: Namespace,
  said: string,
  patch: Json | undefined,
): Namespace | Refusal {
  const path = namedIn(parent, said)
  if (path instanceof Refusal) return path
  if (patch === undefined) {
    return new Refusal(400, 'missing required field "custom_metadata"')
  }
  const known = namespaceAt(draft, path)
  if (known === undefined || known.tainted) return new Refusal(404, 'namespace not found')
  const customMetadata = patch === null ? {} : merged(known.customMetadata, patch)
  if (customMetadata instanceof Refusal) return customMetadata
  const changed = { ...known, customMetadata }
  putNamespace(draft, changed)
  return changed
}

function merged(before: Metadata, patch: Json): Metadata | Refusal {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    return new Refusal(400, 'custom_metadata must be an object')
  }
  const after = new Map(Object.entries(before))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) after.delete(name)
    else if (typeof value === 'string') after.set(name, value)
    else return new Refusal(400, 'metadata patch can only have string or null values')
  }
  return Object.fromEntries(after)
}

/** The namespaces right under one, or at any depth; by path, without what goes. */
export function namespacesUnder(
  draft: Draft,
  { path }: Namespace,
  isDeep: boolean,
): readonly Namespace[] {
  const rows = namespaceRows(draft)
  return rows
    .keys(path)
    .filter(below => below !== '' && (isDeep || below.indexOf('/') === below.length - 1))
    .map(below => rows.kept<Namespace>(path + below)!)
    .filter(({ tainted }) => !tainted)
}

/** Whether any namespace is under one, also one that is about to go. */
export const hasChildren = (draft: Draft, { path }: Namespace): boolean =>
  namespaceRows(draft)
    .keys(path, 2)
    .some(below => below !== '')

/** What metadata says, if it is text by text. */
export function readMetadata(given: JsonObject): Metadata | Refusal {
  return Object.values(given).every(value => typeof value === 'string')
    ? (given as Metadata)
    : new Refusal(400, 'custom_metadata values must be strings')
}
