/**
 * HCL, first version, as configuration files and ACL rules are written in it, and JSON through
 * the same entry.
 *
 * Owns the entry point and the types that the rest of the program sees: plain data, never a
 * syntax tree. Must never throw anything but HclError, whatever the text, and never quote the
 * text in an error (it may hold a token). Size and depth are bounded in base/limits.ts.
 * Follows the HCL 1 grammar (hashicorp/hcl, main branch hcl1) and RFC 8259 for JSON.
 */
import { limits } from '../base/limits.ts'
import type { Notes } from './cursor.ts'
import { HclError } from './error.ts'
import { parseHcl } from './grammar.ts'
import { parseJson } from './json.ts'

export { HclError } from './error.ts'

/** Any value that a text can hold. `null` comes from JSON only. */
export type HclValue = string | number | boolean | null | HclObject | HclValue[]
/** An object or the body of a block. Labels of a block are nested objects of one key each. */
export interface HclObject {
  [key: string]: HclValue
}

/** Where a key stands in its text; both count from 1, the column in characters. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The position of every key, by the object that holds it. */
export type Positions = ReadonlyMap<HclObject, ReadonlyMap<string, Position>>

/** One key of an object as it was written, with every repetition of it. */
export interface HclEntry {
  readonly key: string
  readonly value: HclValue
  readonly position: Position
}

export interface ParseOptions {
  /** `auto` takes a text that begins with a brace for JSON and any other for HCL. */
  readonly format: 'hcl' | 'json' | 'auto'
}

/**
 * The data of a text. A block that stands once is an object, one that is repeated is an array of
 * objects (see `blocksOf`); a repeated plain value is replaced by its last one.
 * Throws HclError with line and column.
 */
export function parse(text: string, options: ParseOptions): HclObject {
  return parseWithPositions(text, options).value
}

/** As `parse`, and says where each key stands. */
export function parseWithPositions(
  text: string,
  options: ParseOptions,
): { readonly value: HclObject; readonly positions: Positions } {
  const positions = new Map<HclObject, ReadonlyMap<string, Position>>()
  return { value: parseNoting(text, options, { positions, entries: undefined }), positions }
}

/**
 * As `parse`, and gives what each object says in the order of the text, with keys that were
 * repeated: for whoever must not let the last one win. Throws HclError.
 */
export function parseWithEntries(
  text: string,
  options: ParseOptions,
): { readonly value: HclObject; entriesOf(object: HclObject): readonly HclEntry[] } {
  const entries = new Map<HclObject, readonly HclEntry[]>()
  const value = parseNoting(text, options, { positions: new Map(), entries })
  return { value, entriesOf: object => entries.get(object) ?? [] }
}

function parseNoting(text: string, options: ParseOptions, notes: Notes): HclObject {
  if (text.length > limits.hclTextChars) {
    throw new HclError(`text is longer than ${limits.hclTextChars} characters`, 1, 1)
  }
  const json = options.format === 'auto' ? /^\ufeff?\s*\{/.test(text) : options.format === 'json'
  return json ? parseJson(text, notes) : parseHcl(text, notes)
}

/** A value that may be one block or several, as a list; undefined when it is anything else. */
export function blocksOf(value: HclValue): HclObject[] | undefined {
  const list = Array.isArray(value) ? value : [value]
  return list.every(isObject) ? list : undefined
}

/** Whether a value is an object: neither a list, nor null, nor a plain value. */
export function isObject(value: HclValue | undefined): value is HclObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
