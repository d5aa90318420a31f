/**
 * What is to be there: the document of `operator apply` and of the stanza `initialize`.
 *
 * Owns its form: mounts, auth methods, policies and requests, each with a name, in HCL or JSON.
 * Texts are read as they stand; where a value comes from elsewhere (a variable, a file, another
 * path) it is a place here and looked up only when it is applied. Pure; must never quote a value.
 */
import {
  blocksOf,
  HclError,
  type HclObject,
  type HclValue,
  isObject,
  parse,
} from '../../hcl/hcl.ts'

/** Where a value comes from. */
export class Place {
  readonly from: 'env' | 'file' | 'read'
  /** The variable's name, or the path of the file or of what is read. */
  readonly at: string
  /** Of what is read. */
  readonly field: string

  constructor(from: Place['from'], at: string, field = '') {
    this.from = from
    this.at = at
    this.field = field
  }
}

/** A value of a document: JSON with places in it. */
export type Wanted =
  | string
  | number
  | boolean
  | null
  | Place
  | readonly Wanted[]
  | { readonly [name: string]: Wanted }
export type WantedData = Readonly<Record<string, Wanted>>

/** How an entry is told from what is there. */
export type EntryKind = 'mount' | 'auth' | 'policy' | 'alias' | 'request'

/** One thing that is to be there, or not. */
export interface Entry {
  readonly kind: EntryKind
  /** As people know it: `policy "ops"`. */
  readonly name: string
  readonly operation: 'update' | 'patch' | 'delete'
  /** What is asked to have it so. */
  readonly path: string
  readonly data: WantedData
  /** What is asked to see whether it is so; '' where nothing tells. */
  readonly shownAt: string
  /** Whether it is asked where this apply initialised alone. */
  readonly isOnce: boolean
}

export interface Document {
  readonly entries: readonly Entry[]
  /** What is wrong, each with its place. */
  readonly problems: readonly string[]
}

export interface DocumentText {
  readonly name: string
  readonly text: string
  readonly format: 'hcl' | 'json' | 'auto'
}

/** Reads texts; their entries follow each other, mounts and policies of all before requests. */
export function readDocument(texts: readonly DocumentText[]): Document {
  const problems: string[] = []
  const entries: Entry[] = []
  for (const { name, text, format } of texts) {
    try {
      const complain = (what: string): void => void problems.push(`${name}: ${what}`)
      entries.push(...entriesOf(parse(text, { format }), complain))
    } catch (error) {
      if (!(error instanceof HclError)) throw error
      problems.push(`${name}: ${error.message}`)
    }
  }
  const names = entries.map(each => each.name)
  for (const name of new Set(names.filter((each, at) => names.indexOf(each) < at))) {
    problems.push(`${name}: stands more than once`)
  }
  const rank = (entry: Entry): number => KINDS.indexOf(entry.kind)
  return { entries: [...entries].sort((a, b) => rank(a) - rank(b)), problems }
}

const KINDS: readonly EntryKind[] = ['mount', 'auth', 'policy', 'request', 'alias']

type Complain = (what: string) => void

/** The entries of one object of blocks. */
export function entriesOf(object: HclObject, complain: Complain): Entry[] {
  const entries: Entry[] = []
  for (const [kind, value] of Object.entries(object)) {
    if (kind === 'initialize') {
      for (const { block } of namedOf(kind, value, complain)) {
        entries.push(...entriesOf(block, complain))
      }
    } else if (!Object.hasOwn(READERS, kind)) {
      complain(
        `unknown block ${JSON.stringify(kind)}; known are ${Object.keys(READERS).join(', ')}`,
      )
    } else {
      for (const { name, block } of namedOf(kind, value, complain)) {
        const title = `${kind} ${JSON.stringify(name)}`
        const entry = READERS[kind as keyof typeof READERS](name, block, what =>
          complain(`${title}: ${what}`),
        )
        if (entry !== undefined) entries.push({ ...entry, name: title })
      }
    }
  }
  return entries
}

function namedOf(kind: string, value: HclValue, complain: Complain) {
  const found: { name: string; block: HclObject }[] = []
  for (const named of (isObject(value) || Array.isArray(value) ? blocksOf(value) : undefined) ??
    []) {
    for (const [name, given] of Object.entries(named)) {
      const blocks = isObject(given) || Array.isArray(given) ? blocksOf(given) : undefined
      if (blocks === undefined) complain(`${kind} has a name: ${kind} "name" { … }`)
      for (const block of blocks ?? []) found.push({ name, block })
    }
  }
  if (found.length === 0) complain(`${kind} has a name: ${kind} "name" { … }`)
  return found
}

type Read = (name: string, block: HclObject, complain: Complain) => Omit<Entry, 'name'> | undefined

const READERS: Readonly<Record<'mount' | 'auth' | 'policy' | 'entity_alias' | 'request', Read>> = {
  mount: mountReader('mount', 'sys/mounts'),
  auth: mountReader('auth', 'sys/auth'),
  policy(name, block, complain) {
    if (!hasOnly(block, ['text', 'file'], complain)) return undefined
    const { text, file } = block
    const isOne = (typeof text === 'string') !== (typeof file === 'string')
    if (!isOne) {
      complain('has either text or file')
      return undefined
    }
    const policy: Wanted = typeof text === 'string' ? text : new Place('file', String(file))
    const path = `sys/policies/acl/${name}`
    return { ...once('policy', path), data: { policy } }
  },
  entity_alias(name, block, complain) {
    if (!hasOnly(block, ['entity', 'auth'], complain)) return undefined
    const { entity, auth } = block
    if (typeof entity !== 'string' || typeof auth !== 'string') {
      complain('has entity, the name of one, and auth, the path of a method')
      return undefined
    }
    const entityPath = `identity/entity/name/${entity}`
    return {
      ...once('alias', 'identity/entity-alias', entityPath),
      data: {
        name,
        canonical_id: new Place('read', entityPath, 'id'),
        mount_accessor: new Place('read', `sys/auth/${bare(auth)}`, 'accessor'),
      },
    }
  },
  request(_name, block, complain) {
    const known = ['path', 'operation', 'data', 'shown_at', 'only_at_initialization']
    if (!hasOnly(block, known, complain)) return undefined
    const { path, operation = 'update', data = {}, shown_at: shownAt = path } = block
    const { only_at_initialization: isOnce = false } = block
    if (typeof path !== 'string' || bare(path) === '') complain('path: is missing')
    else if (operation !== 'update' && operation !== 'patch' && operation !== 'delete') {
      complain('operation: must be update, patch or delete')
    } else if (typeof shownAt !== 'string') complain('shown_at: must be a path')
    else if (typeof isOnce !== 'boolean') complain('only_at_initialization: must be true or false')
    else {
      const wanted = wantedData(data, complain)
      if (wanted === undefined) return undefined
      const entry = once('request', bare(path), bare(shownAt))
      return { ...entry, operation, isOnce, data: wanted }
    }
    return undefined
  },
}

const once = (kind: EntryKind, path: string, shownAt = path) =>
  ({ kind, path, shownAt, operation: 'update', isOnce: false }) as const

function mountReader(kind: 'mount' | 'auth', below: string): Read {
  return (name, block, complain) => {
    const known = ['type', 'description', 'options', 'config', 'local', 'seal_wrap']
    if (!hasOnly(block, known, complain)) return undefined
    if (typeof block.type !== 'string') {
      complain('type: is missing')
      return undefined
    }
    const data = wantedData(block, complain)
    return data && { ...once(kind, `${below}/${bare(name)}`), data }
  }
}

const bare = (path: string): string => path.replace(/^(\/?v1\/|\/)|\/+$/g, '')

function hasOnly(block: HclObject, known: readonly string[], complain: Complain): boolean {
  const unknown = Object.keys(block).filter(name => !known.includes(name))
  for (const name of unknown) complain(`unknown key ${JSON.stringify(name)}`)
  return unknown.length === 0
}

function wantedData(value: HclValue, complain: Complain): WantedData | undefined {
  const object = one(value)
  if (object === undefined) {
    complain('data: must be a block')
    return undefined
  }
  return Object.fromEntries(
    Object.entries(object).map(([name, each]) => [name, wantedOf(each, complain)]),
  )
}

/** A single block stands as itself or as a list of one. */
function one(value: HclValue): HclObject | undefined {
  const blocks = isObject(value) || Array.isArray(value) ? blocksOf(value) : undefined
  return blocks?.length === 1 ? blocks[0] : blocks?.length === 0 ? {} : undefined
}

function wantedOf(value: HclValue, complain: Complain): Wanted {
  if (Array.isArray(value)) return value.map(each => wantedOf(each, complain))
  if (!isObject(value)) return value
  if (Object.hasOwn(value, 'eval_source')) return placeOf(value, complain)
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, wantedOf(each, complain)]),
  )
}

/** OpenBao's words for a value that comes from elsewhere. */
function placeOf(value: HclObject, complain: Complain): Wanted {
  const { eval_source: source, eval_type: type = 'string' } = value
  const text = (name: string): string | undefined => {
    const each = Object.hasOwn(value, name) ? value[name] : undefined
    return typeof each === 'string' && each !== '' ? each : undefined
  }
  const [name, path, field] = [text('env_var'), text('path'), text('field')]
  if (type !== 'string') complain('eval_type: not served yet, unless string')
  else if (source === 'env' && name !== undefined) return new Place('env', name)
  else if (source === 'file' && path !== undefined) return new Place('file', path)
  else if (source === 'read' && path !== undefined && field !== undefined) {
    return new Place('read', bare(path), field)
  } else if (source === 'request' || source === 'response') {
    complain(`eval_source: not served yet: ${source}`)
  } else complain('eval_source: env with env_var, file with path, or read with path and field')
  return null
}
