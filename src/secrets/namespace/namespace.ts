/**
 * Namespaces: every mount, policy, token and entity belongs to one, and they nest.
 *
 * Owns the row and how a request says which one it means: by header, by the beginning of its path,
 * or both. The root one is always there and has no row. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { OfGround } from '../ground.ts'
import type { Draft, Storage } from '../storage.ts'

export interface Namespace {
  /** `root`, or six characters. Keys of rows begin with it. */
  readonly id: string
  /** '' for the root one, else with a slash at its end. */
  readonly path: string
  readonly uuid: string
  readonly customMetadata: Readonly<Record<string, string>>
  /** Whether it is about to go: nothing in it is served any more. */
  readonly tainted: boolean
  /** The hash of what unlocks it; '' while it is not locked. */
  readonly lock: string
}

export const ROOT: Namespace = {
  id: 'root',
  path: '',
  uuid: '00000000-0000-0000-0000-000000000000',
  customMetadata: {},
  tainted: false,
  lock: '',
}

/** All namespaces by path, in the root one's rows. */
export const namespaceRows = (draft: Draft): Storage => draft.area(ROOT.id, 'namespaces')

/** The namespace with a path; undefined where there is none. */
export function namespaceAt(draft: Draft, path: string): Namespace | undefined {
  if (path === '') return ROOT
  // Every segment of a path might be one, and most stores have none.
  if (hasNone.known(draft) === true) return undefined
  return namespaceRows(draft).kept<Namespace>(path)
}

const hasNone = new OfGround(draft => namespaceRows(draft).keys('', 1).length === 0)

/** Paths of namespaces by id, in the root one's rows. */
const idRows = (draft: Draft): Storage => draft.area(ROOT.id, 'namespace-ids')

/** The namespace with an id; undefined where it went, or is about to. */
export function namespaceById(draft: Draft, id: string): Namespace | undefined {
  if (id === ROOT.id) return ROOT
  const row = idRows(draft).kept<{ readonly path: string }>(id)
  const namespace = row && namespaceAt(draft, row.path)
  return namespace?.tainted === true ? undefined : namespace
}

/** Writes a namespace. */
export function putNamespace(draft: Draft, namespace: Namespace): void {
  namespaceRows(draft).put(namespace.path, namespace)
  if (!idRows(draft).has(namespace.id)) idRows(draft).put(namespace.id, { path: namespace.path })
}

/** Takes a namespace off; what is in it is not touched. */
export function deleteNamespaceRow(draft: Draft, { id, path }: Namespace): void {
  namespaceRows(draft).delete(path)
  idRows(draft).delete(id)
}

/** A path in the form of the rows, however clients write it; '' for the root one. */
export function canonicalNamespace(text: string): string {
  if (text === '') return ''
  const path = text.replaceAll(/^\/+|\/+$/g, '')
  return path === '' || path === 'root' ? '' : `${path}/`
}

/** What a request is about: its namespace, and the path in there. */
export interface Located {
  readonly namespace: Namespace
  readonly path: string
}

/** The namespace that header and path mean together: the longest that there is. */
export function locate(draft: Draft, header: string, path: string): Located | Refusal {
  let namespace = namespaceAt(draft, canonicalNamespace(header))
  if (namespace === undefined || namespace.tainted) return NOT_FOUND
  let rest = path
  for (;;) {
    const slash = rest.indexOf('/')
    if (slash === -1) break
    const inner = namespaceAt(draft, namespace.path + rest.slice(0, slash + 1))
    if (inner === undefined) break
    if (inner.tainted) return NOT_FOUND
    namespace = inner
    rest = rest.slice(slash + 1)
  }
  return { namespace, path: rest }
}

const NOT_FOUND = new Refusal(404, 'namespace not found')
