/**
 * YAML of whatever JSON holds, for `-format=yaml`.
 *
 * Owns the writing: keys sorted, block style, every text that a reader could take for anything
 * else in quotes. What it writes is read back as the same data (YAML 1.1 and 1.2). Pure.
 */
import { isData } from './secret.ts'

/** The data as YAML, without a line end at its end. */
export function yamlText(value: unknown): string {
  return blockOf(value, 0).join('\n')
}

/** The lines of a value at a depth; a plain value is one line. */
function blockOf(value: unknown, depth: number): string[] {
  const indent = '  '.repeat(depth)
  if (Array.isArray(value) && value.length > 0) {
    return value.flatMap(item => {
      const lines = blockOf(item, depth + 1)
      const [first = '', ...rest] = lines
      return [`${indent}- ${first.trimStart()}`, ...rest]
    })
  }
  if (isData(value) && Object.keys(value).length > 0) {
    return Object.keys(value)
      .sort()
      .flatMap(key => entryOf(key, value[key], depth))
  }
  return [indent + scalar(value)]
}

function entryOf(key: string, value: unknown, depth: number): string[] {
  const name = '  '.repeat(depth) + scalar(key)
  const isFilledList = Array.isArray(value) && value.length > 0
  const isFilledMap = isData(value) && Object.keys(value).length > 0
  if (isFilledList) return [`${name}:`, ...blockOf(value, depth)]
  if (isFilledMap) return [`${name}:`, ...blockOf(value, depth + 1)]
  return [`${name}: ${scalar(value)}`]
}

/** What is read as a text whatever stands around it. */
const PLAIN = /^[A-Za-z_/][\w./@-]*( [\w./@(),-]+)*$/
/** Texts that YAML takes for something else. */
const RESERVED = /^(?:y|yes|n|no|true|false|on|off|null|nan|inf|e[\d_.+-]+)$/i

function scalar(value: unknown): string {
  if (Array.isArray(value)) return '[]'
  if (isData(value)) return '{}'
  if (typeof value === 'number') return numberText(value)
  if (typeof value !== 'string') return String(value ?? null)
  return PLAIN.test(value) && !RESERVED.test(value) ? value : quoted(value)
}

/** YAML 1.1 takes a number with an exponent for one only where it has a point. */
const numberText = (value: number): string => String(value).replace(/^(-?\d+)e/, '$1.0e')

/** JSON's texts are YAML's, but for what ends a line to YAML. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
