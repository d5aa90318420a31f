/**
 * From texts and flags to settings: which keys are set, to what, and where.
 *
 * Owns types, the merge of several sources, and the refusal of keys that are unknown or not
 * served yet. Pure: it is given texts, it touches no disk. Values are never quoted in a problem,
 * except numbers and names that cannot be a secret.
 */
import { parseDurationMs } from '../base/duration.ts'
import { nearest } from '../base/nearest.ts'
import {
  blocksOf,
  HclError,
  type HclObject,
  type HclValue,
  type ParseOptions,
  type Positions,
  parseWithPositions,
} from '../hcl/hcl.ts'
import type { Entry } from '../registry/config-entry/kind.ts'
import { readSinks } from './config-audit.ts'
import { checkBody, type Definition, serviceBody } from './config-definition.ts'
import { readInitialize } from './config-initialize.ts'
import { readLockouts } from './config-lockout.ts'
import {
  isStanza,
  type Key,
  type KeyType,
  type KeyTypes,
  knownPaths,
  type ListenerOverrides,
  later,
  type ServedPath,
  served,
} from './config-schema.ts'
import { readSeals } from './config-seal.ts'
import { readSinkBlocks } from './config-sink.ts'
import { readEntry } from './entry-definition.ts'
import { readWatch, type Watch } from './watch-definition.ts'

/** One text of configuration; `name` is its file, or the flag that held it. */
export interface ConfigText {
  readonly name: string
  readonly text: string
  readonly format: ParseOptions['format']
}

/** A flag as it was given, without its dash; a list flag is given several times. */
export interface ConfigFlag {
  readonly name: string
  readonly value: string | boolean
}

type TypeOf<P extends ServedPath> = KeyTypes[(typeof served)[P]['type']]

/** What the sources set, later ones over earlier ones. */
export class Settings {
  readonly #values = new Map<string, { value: unknown; where: string }>()
  readonly #stanzas = new Set<string>()
  /** Values of keys that are taken and not served, by path. */
  readonly #told = new Map<string, HclValue>()
  /** What is wrong, each with its place; empty when all is well. */
  readonly problems: string[] = []
  /** What is taken and does not do what Consul does with it, each with its place. */
  readonly notes: string[] = []

  /** The value of a key, or its default. */
  get<P extends ServedPath>(path: P): TypeOf<P> {
    const set = this.#values.get(path)
    return (set === undefined ? served[path].initial : set.value) as TypeOf<P>
  }

  /** Whether any source set the key. */
  isSet(path: ServedPath): boolean {
    return this.#values.has(path)
  }

  /** Whether any source says anything in a stanza, or that it is empty. */
  isStated(stanza: string): boolean {
    return this.#stanzas.has(stanza)
  }

  /** The last value of a key that is taken but not served; undefined when none was given. */
  told(path: string): HclValue | undefined {
    return this.#told.get(path)
  }

  /** Notes a fault of a key, with the place that set it last. */
  complain(path: ServedPath, problem: string): void {
    const where = this.#values.get(path)?.where
    this.problems.push(`${where === undefined ? '' : `${where}: `}${path}: ${problem}`)
  }

  /** Notes that what a key asks for is not done, or not in this way; once for each text. */
  note(path: ServedPath, text: string): void {
    const where = this.#values.get(path)?.where
    const note = `${where === undefined ? '' : `${where}: `}${path}: ${text}`
    if (!this.notes.includes(note)) this.notes.push(note)
  }

  /** Takes over all keys of a text. */
  readText(source: ConfigText): void {
    try {
      const { value, positions } = parseWithPositions(source.text, source)
      this.#readStanza(value, '', (object, key) => placeOf(source.name, positions, object, key))
    } catch (error) {
      if (!(error instanceof HclError)) throw error
      this.problems.push(`${source.name}: ${error.message}`)
    }
  }

  /** Takes over a flag. Which flags exist is settled before. */
  readFlag({ name, value }: ConfigFlag): void {
    const path = pathOfFlag.get(name)
    if (path === undefined) {
      this.problems.push(`-${name}: unknown flag`)
      return
    }
    const key = keyOf(path)
    if (key === undefined) this.#readLater(path, flagValue(value), `-${name}`)
    else this.#set(path, key, fromFlag(key, value), `-${name}`)
  }

  #readStanza(object: HclObject, prefix: string, place: Place): void {
    for (const [name, value] of Object.entries(object)) {
      const path = prefix + name
      const where = place(object, name)
      const key = keyOf(path)
      if (key !== undefined) this.#readKey(path, key, value, where, place)
      else if (later.has(path)) this.#readLater(path, value, where)
      else if (isStanza(path)) {
        if (value !== null) this.#stanzas.add(path)
        const blocks = value === null ? [] : blocksOf(value)
        if (blocks === undefined) this.problems.push(`${where}: ${path}: must be a block`)
        for (const block of blocks ?? []) this.#readStanza(block, `${path}.`, place)
      } else this.problems.push(`${where}: ${unknownText(path)}`)
    }
  }

  #readKey(path: string, key: Key, value: HclValue, where: string, place: Place): void {
    if (value === null) return
    const { type } = key
    if (!isOfBlocks(type)) {
      this.#set(path, key, coerce(key, value), where)
      return
    }
    const complain = (object: HclObject, field: string, problem: string): void => {
      this.problems.push(`${place(object, field)}: ${path}: ${field}: ${problem}`)
    }
    if (Object.hasOwn(NAMED_BLOCKS, type)) {
      const read = NAMED_BLOCKS[type as keyof typeof NAMED_BLOCKS]
      this.#set(path, key, read(value, complain), where)
      return
    }
    const read = blocksOf(value)?.flatMap((block): readonly (Definition | Watch | Entry)[] => {
      const first = Object.keys(block)[0]
      const at = first === undefined ? where : place(block, first)
      if (type === 'watches') {
        const watch = readWatch(block, at, (field, problem) => complain(block, field, problem))
        return watch === undefined ? [] : [watch]
      }
      if (type === 'configEntries') {
        const entry = readEntry(block, problem => this.problems.push(`${at}: ${path}: ${problem}`))
        return entry === undefined ? [] : [entry]
      }
      const bodyOf = type === 'services' ? serviceBody : checkBody
      return [{ body: bodyOf(block, complain), where: at }]
    })
    this.#set(path, key, read, where)
  }

  #set(path: string, key: Key, value: unknown, where: string): void {
    if (value === undefined) {
      this.problems.push(`${where}: ${path}: must be ${expectationOf(key)}`)
      return
    }
    const before = this.#values.get(path)?.value
    this.#values.set(path, { value: merge(before, value), where })
  }

  #readLater(path: string, value: HclValue, where: string): void {
    const key = later.get(path)
    if (key === undefined || isEmpty(value)) return
    if (key.neutral === 'any') {
      this.#told.set(path, value)
      this.notes.push(`${where}: ${path}: ${key.told}`)
    } else if (!key.neutral.some(neutral => neutral === value)) {
      this.problems.push(`${where}: not served yet: ${path} (${key.what})`)
    }
  }
}

/** A name that nobody knows, with the one that may have been meant. */
function unknownText(path: string): string {
  const at = path.lastIndexOf('.') + 1
  const [stanza, last] = [path.slice(0, at), path.slice(at)]
  const beside = [...knownPaths()].filter(
    known => known.startsWith(stanza) && !known.slice(at).includes('.'),
  )
  const near = nearest(
    last,
    beside.map(known => known.slice(at)),
  )
  const elsewhere = [...knownPaths()].find(known => known.endsWith(`.${last}`))
  const meant = near === undefined ? elsewhere : stanza + near
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
  return `unknown key ${JSON.stringify(path)}${hint}`
}

type Place = (object: HclObject, key: string) => string

function placeOf(name: string, positions: Positions, object: HclObject, key: string): string {
  const position = positions.get(object)?.get(key)
  return position === undefined ? name : `${name}:${position.line}`
}

const servedKeys: ReadonlyMap<string, Key> = new Map(Object.entries(served))
const keyOf = (path: string): Key | undefined => servedKeys.get(path)

const pathOfFlag: ReadonlyMap<string, string> = new Map(
  [...servedKeys, ...later].flatMap(([path, key]) =>
    key.flag === undefined ? [] : [[key.flag, path]],
  ),
)

const flagKinds = {
  string: 'text',
  bool: 'switch',
  int: 'number',
  number: 'text',
  duration: 'text',
  strings: 'list',
  stringMap: 'list',
  durationMap: 'list',
  listeners: 'list',
  services: 'list',
  checks: 'list',
  watches: 'list',
  configEntries: 'list',
  sinks: 'list',
  seals: 'list',
  lockouts: 'list',
  declared: 'list',
  tasks: 'list',
} as const

/** Every flag that stands for a key, for the help of `agent` and for its parsing. */
export const agentFlags: readonly {
  readonly name: string
  readonly kind: 'switch' | 'text' | 'number' | 'list'
  readonly doc: string
}[] = [
  ...[...servedKeys.values()].map(({ flag, type, doc }) => ({
    name: flag ?? '',
    kind: flagKinds[type],
    doc,
  })),
  ...[...later.values()].map(({ flag, isSwitch, what }) => ({
    name: flag ?? '',
    kind: isSwitch ? ('switch' as const) : ('list' as const),
    doc: `not served yet (${what})`,
  })),
].filter(({ name }) => name !== '')

/** Lists append, maps merge key by key, anything else is replaced. */
function merge(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value]
  const areMaps = typeof before === 'object' && typeof value === 'object'
  return areMaps ? { ...before, ...value } : value
}

const isEmpty = (value: HclValue): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)

/** The value as the key's type has it, or undefined when it does not fit. */
function coerce(key: Key, value: HclValue): unknown {
  switch (key.type) {
    case 'string':
      return typeof value === 'string' && isOneOf(key, value) ? value : undefined
    case 'bool':
      return typeof value === 'boolean' ? value : undefined
    case 'int':
      return isInRange(key, value) ? value : undefined
    case 'number':
      return typeof value === 'number' && value >= -1 ? value : undefined
    case 'duration':
      return durationMs(value)
    case 'strings':
      return Array.isArray(value) && value.every(each => typeof each === 'string')
        ? value
        : undefined
    case 'stringMap':
      return mapOf(value, each => (typeof each === 'string' ? each : undefined))
    case 'durationMap':
      return mapOf(value, durationMs)
    case 'listeners':
      return mapOf(value, listenerOf)
    case 'services':
    case 'checks':
    case 'watches':
    case 'configEntries':
    case 'sinks':
    case 'seals':
    case 'lockouts':
    case 'declared':
    case 'tasks':
      return undefined
  }
}

/** Types that are read block by block, each with its place. */
const isOfBlocks = (type: KeyType): type is OfBlocks =>
  ['services', 'checks', 'watches', 'configEntries', ...Object.keys(NAMED_BLOCKS)].includes(type)
type OfBlocks = 'services' | 'checks' | 'watches' | 'configEntries' | keyof typeof NAMED_BLOCKS

/** Blocks with a name or a type, read by their own files. */
const NAMED_BLOCKS = {
  ...{ sinks: readSinks, seals: readSeals, lockouts: readLockouts },
  declared: readInitialize,
  tasks: readSinkBlocks,
}

const isOneOf = (key: Key, value: string): boolean =>
  key.oneOf === undefined || key.oneOf.includes(value.toLowerCase())

const isInRange = (key: Key, value: HclValue): boolean =>
  typeof value === 'number' &&
  Number.isSafeInteger(value) &&
  (key.range === undefined || (value >= key.range[0] && value <= key.range[1]))

function durationMs(value: HclValue): number | undefined {
  const durationMs = typeof value === 'string' ? parseDurationMs(value) : undefined
  return durationMs !== undefined && durationMs >= 0 ? durationMs : undefined
}

/** What a block says of one listener; undefined where it says anything else. */
function listenerOf(value: HclValue): ListenerOverrides | undefined {
  const blocks = blocksOf(value)
  if (blocks === undefined) return undefined
  const overrides: { udpAnswerLimit?: number; enableTruncate?: boolean } = {}
  for (const [name, each] of blocks.flatMap(block => Object.entries(block))) {
    if (name === 'enable_truncate' && typeof each === 'boolean') overrides.enableTruncate = each
    else if (name === 'udp_answer_limit' && Number.isSafeInteger(each) && Number(each) >= 0) {
      overrides.udpAnswerLimit = Number(each)
    } else return undefined
  }
  return overrides
}

/** One object or several blocks of plain values, as one map. */
function mapOf<T>(
  value: HclValue,
  read: (each: HclValue) => T | undefined,
): Record<string, T> | undefined {
  const entries: [string, T][] = []
  for (const block of blocksOf(value) ?? [{ '': null }]) {
    for (const [name, each] of Object.entries(block)) {
      const item = read(each)
      if (item === undefined) return undefined
      entries.push([name, item])
    }
  }
  return Object.fromEntries(entries)
}

/** A flag is text: numbers are read from it, a map takes `key:value`. */
function fromFlag(key: Key, value: string | boolean): unknown {
  if (typeof value === 'boolean') return coerce(key, value)
  if (key.type === 'bool') return undefined
  if (key.type === 'strings') return [value]
  if (key.type === 'int') return coerce(key, /^-?\d+$/.test(value) ? Number(value) : value)
  if (key.type !== 'stringMap') return coerce(key, value)
  const colon = value.indexOf(':')
  return colon <= 0 ? undefined : { [value.slice(0, colon)]: value.slice(colon + 1) }
}

const flagValue = (value: string | boolean): HclValue =>
  typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value

function expectationOf(key: Key): string {
  switch (key.type) {
    case 'string':
      return key.oneOf === undefined ? 'a string' : `one of ${key.oneOf.join(', ')}`
    case 'bool':
      return 'true or false'
    case 'int':
      return `a whole number${key.range ? ` from ${key.range[0]} to ${key.range[1]}` : ''}`
    case 'number':
      return 'a number, or -1'
    case 'duration':
      return 'a duration such as "30s"'
    case 'strings':
      return 'a list of strings'
    case 'stringMap':
      return key.flag === undefined ? 'an object of strings' : 'strings by key (flag: key:value)'
    case 'durationMap':
      return 'an object of durations such as "30s"'
    case 'listeners':
      return 'blocks by address, of udp_answer_limit and enable_truncate'
    case 'services':
    case 'checks':
    case 'watches':
    case 'configEntries':
      return 'a block or a list of blocks'
    case 'sinks':
    case 'tasks':
      return 'blocks with a name: sink "name" { … }'
    case 'declared':
      return 'blocks with a name: initialize "name" { … }'
    case 'seals':
      return 'blocks with a type: seal "static" { … }'
    case 'lockouts':
      return 'blocks with a method: user_lockout "userpass" { … }'
  }
}
