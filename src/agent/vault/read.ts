/**
 * From texts in Vault's form to what they say, key by key.
 *
 * Owns types, the merge of several files (a later plain value replaces, blocks with a type are
 * added), and the refusal of keys that are unknown or not served yet. Pure. Values are never
 * quoted in a problem.
 */
import { parseDurationMs } from '../../base/duration.ts'
import { nearest } from '../../base/nearest.ts'
import {
  blocksOf,
  HclError,
  type HclObject,
  type HclValue,
  isObject,
  type Positions,
  parseWithPositions,
} from '../../hcl/hcl.ts'
import type { ConfigText } from '../config-read.ts'
import { type VaultKind, vaultBlocks, vaultLater, vaultServed } from './keys.ts'

/** A value of a served key as its kind has it: durations are texts such as `90s`. */
export type VaultValue = string | number | boolean | readonly string[]

/** One block with a type, as `listener "tcp" {}`: its keys with the type before them. */
export interface VaultBlock {
  readonly type: string
  readonly where: string
  readonly values: ReadonlyMap<string, VaultValue>
}

/** What the texts say. */
export interface VaultConfig {
  /** Plain keys, and those of `telemetry`, by path. */
  readonly values: ReadonlyMap<string, VaultValue>
  readonly listeners: readonly VaultBlock[]
  /** The last one of them. */
  readonly storage: VaultBlock | undefined
  /** Blocks that parts of ours read, as they stand, by their name. */
  readonly blocks: Readonly<Record<string, readonly HclValue[]>>
  /** What is wrong, each with its place. */
  readonly problems: readonly string[]
  /** What is taken and not done. */
  readonly notes: readonly string[]
}

/** Reads texts, later ones over earlier ones. */
export function readVault(texts: readonly ConfigText[]): VaultConfig {
  const reader = new Reader()
  for (const text of texts) reader.read(text)
  return reader
}

type Place = (object: HclObject, key: string) => string

class Reader implements VaultConfig {
  readonly values = new Map<string, VaultValue>()
  readonly listeners: VaultBlock[] = []
  storage: VaultBlock | undefined
  readonly blocks: Record<string, HclValue[]> = {}
  readonly problems: string[] = []
  readonly notes: string[] = []

  read(source: ConfigText): void {
    try {
      const { value, positions } = parseWithPositions(source.text, source)
      this.#readTop(value, placeOf(source.name, positions))
    } catch (error) {
      if (!(error instanceof HclError)) throw error
      this.problems.push(`${source.name}: ${error.message}`)
    }
  }

  #readTop(object: HclObject, place: Place): void {
    for (const [name, value] of Object.entries(object)) {
      const where = place(object, name)
      if (value === null) continue
      if (name === 'listener') this.listeners.push(...this.#typed(name, value, where, place))
      else if (name === 'storage' || name === 'backend') {
        this.storage = this.#typed('storage', value, where, place).at(-1) ?? this.storage
      } else if (vaultBlocks.some(each => each === name)) {
        const before = Object.hasOwn(this.blocks, name) ? this.blocks[name]! : []
        this.blocks[name] = [...before, ...(Array.isArray(value) ? value : [value])]
      } else if (name === 'telemetry') {
        for (const block of this.#blocks(name, value, where)) {
          this.#readKeys(block, `${name}.`, this.values, place)
        }
      } else this.#readKey(name, value, this.values, where)
    }
  }

  /** The blocks of `name "type" { … }`. */
  #typed(name: string, value: HclValue, where: string, place: Place): VaultBlock[] {
    const found: VaultBlock[] = []
    for (const named of this.#blocks(name, value, where)) {
      for (const [type, given] of Object.entries(named)) {
        const at = place(named, type)
        const prefix = `${name}.${type}`
        const isLater = Object.hasOwn(vaultLater, prefix)
        if (isLater || !isBlockType(prefix)) {
          const text = isLater
            ? `not served yet: ${name} ${JSON.stringify(type)}`
            : `unknown ${name} ${JSON.stringify(type)}`
          this.problems.push(`${at}: ${text}`)
          continue
        }
        for (const block of this.#blocks(`${name} ${JSON.stringify(type)}`, given, at)) {
          const values = new Map<string, VaultValue>()
          this.#readKeys(block, `${prefix}.`, values, place)
          found.push({ type, where: at, values })
        }
      }
    }
    return found
  }

  #blocks(what: string, value: HclValue, where: string): readonly HclObject[] {
    const blocks = isObject(value) || Array.isArray(value) ? blocksOf(value) : undefined
    if (blocks === undefined) this.problems.push(`${where}: ${what}: must be a block`)
    return blocks ?? []
  }

  #readKeys(object: HclObject, prefix: string, into: Map<string, VaultValue>, place: Place): void {
    for (const [name, value] of Object.entries(object)) {
      const where = place(object, name)
      const path = prefix + name
      const isStanza = !isKnown(path) && isStanzaOf(path)
      if (!isStanza) this.#readKey(path, value, into, where)
      else {
        for (const block of this.#blocks(path, value, where)) {
          this.#readKeys(block, `${path}.`, into, place)
        }
      }
    }
  }

  #readKey(path: string, value: HclValue, into: Map<string, VaultValue>, where: string): void {
    if (value === null) return
    const key = Object.hasOwn(vaultServed, path) ? vaultServed[path] : undefined
    if (key !== undefined) {
      const read = coerce(key.kind, value)
      if (read === undefined) this.problems.push(`${where}: ${path}: must be ${WORDS[key.kind]}`)
      else into.set(path, read)
      return
    }
    const later = Object.hasOwn(vaultLater, path) ? vaultLater[path] : undefined
    if (later === undefined) {
      this.problems.push(`${where}: ${unknownText(path)}`)
      return
    }
    if (isEmpty(value)) return
    const { neutral, told, what } = later
    if (neutral === 'any') this.notes.push(`${where}: ${path}: ${told}`)
    else if (!neutral.some(each => each === plainOf(each, value))) {
      this.problems.push(`${where}: not served yet: ${path} (${what})`)
    }
  }
}

const knownPaths = [...Object.keys(vaultServed), ...Object.keys(vaultLater)]
const isKnown = (path: string): boolean =>
  Object.hasOwn(vaultServed, path) || Object.hasOwn(vaultLater, path)
const isStanzaOf = (path: string): boolean => knownPaths.some(each => each.startsWith(`${path}.`))
const isBlockType = (path: string): boolean => isStanzaOf(path) || isKnown(path)

function unknownText(path: string): string {
  const at = path.lastIndexOf('.') + 1
  const [stanza, last] = [path.slice(0, at), path.slice(at)]
  const beside = knownPaths.filter(each => each.startsWith(stanza)).map(each => each.slice(at))
  const near = nearest(
    last,
    beside.filter(each => !each.includes('.')),
  )
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(stanza + near)}?`
  return `unknown key ${JSON.stringify(path)}${hint}`
}

function placeOf(name: string, positions: Positions): Place {
  return (object, key) => {
    const position = positions.get(object)?.get(key)
    return position === undefined ? name : `${name}:${position.line}`
  }
}

const isEmpty = (value: HclValue): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)

/** A value as it stands beside a neutral one: switches may be texts and numbers. */
const plainOf = (neutral: HclValue, value: HclValue): HclValue | undefined =>
  typeof neutral === 'boolean'
    ? (coerce('switch', value) as boolean | undefined)
    : typeof neutral === 'number'
      ? (coerce('number', value) as number | undefined)
      : value

const WORDS: Readonly<Record<VaultKind, string>> = {
  text: 'a string',
  switch: 'true or false',
  number: 'a whole number',
  duration: 'a duration such as "30s", or a number of seconds',
  size: 'a size in bytes',
  texts: 'a list of strings',
}

/** The value as its kind has it, by Vault's leniency; undefined where it does not fit. */
function coerce(kind: VaultKind, value: HclValue): VaultValue | undefined {
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? value : undefined
    case 'switch':
      if (typeof value === 'boolean') return value
      if (/^(1|t|true)$/i.test(String(value))) return true
      if (/^(0|f|false)$/i.test(String(value))) return false
      // An empty block, as `storage "inmem" {}` is.
      return undefined
    case 'number':
    case 'size': {
      const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
      return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
    }
    case 'duration':
      return durationText(value)
    case 'texts':
      return Array.isArray(value) && value.every(each => typeof each === 'string')
        ? (value as string[])
        : undefined
  }
}

/** A duration of ours from Go's notation, days, or a number of seconds. */
function durationText(value: HclValue): string | undefined {
  if (typeof value === 'number') return value >= 0 ? `${value}s` : undefined
  if (typeof value !== 'string') return undefined
  if (/^\d+$/.test(value)) return `${value}s`
  const days = /^(\d+)d$/.exec(value)?.[1]
  if (days !== undefined) return `${Number(days) * 24}h`
  const durationMs = parseDurationMs(value)
  return durationMs === undefined || durationMs < 0 ? undefined : value
}
