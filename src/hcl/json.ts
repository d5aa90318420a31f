/**
 * JSON with positions: JSON.parse says where it failed but not where a key stands.
 *
 * Owns the JSON grammar (RFC 8259) over a Cursor. The text must be one object. A repeated key
 * keeps its last value, as in every JSON parser.
 */
import { Cursor, type Notes, ObjectBuilder } from './cursor.ts'
import type { HclObject, HclValue } from './hcl.ts'

/** The object of a JSON text; notes where its keys stand. Throws HclError. */
export function parseJson(text: string, notes: Notes): HclObject {
  const cursor = new Cursor(text)
  skipSpace(cursor)
  if (cursor.text[cursor.at] !== '{') cursor.fail('expected an object')
  const value = parseObject(cursor, notes)
  skipSpace(cursor)
  if (cursor.at < text.length) cursor.fail('expected the end of the text')
  return value
}

function parseValue(cursor: Cursor, notes: Notes): HclValue {
  skipSpace(cursor)
  switch (cursor.text[cursor.at]) {
    case '{':
      return cursor.nested(() => parseObject(cursor, notes))
    case '[':
      return cursor.nested(() => parseList(cursor, notes))
    case '"':
      return parseString(cursor)
    default:
      return parseWord(cursor)
  }
}

function parseObject(cursor: Cursor, notes: Notes): HclObject {
  const builder = new ObjectBuilder(notes)
  parseItems(cursor, '}', () => {
    if (cursor.text[cursor.at] !== '"') cursor.fail('expected a key in quotes')
    const position = cursor.positionAt(cursor.at)
    const key = parseString(cursor)
    skipSpace(cursor)
    if (cursor.text[cursor.at] !== ':') cursor.fail('expected ":"')
    cursor.at++
    builder.set(key, parseValue(cursor, notes), position)
  })
  return builder.build()
}

function parseList(cursor: Cursor, notes: Notes): HclValue[] {
  const list: HclValue[] = []
  parseItems(cursor, ']', () => list.push(parseValue(cursor, notes)))
  return list
}

/** Items between commas up to `end`; the opening character is the next one. */
function parseItems(cursor: Cursor, end: '}' | ']', parseItem: () => void): void {
  cursor.at++
  skipSpace(cursor)
  if (cursor.text[cursor.at] === end) {
    cursor.at++
    return
  }
  for (;;) {
    skipSpace(cursor)
    parseItem()
    skipSpace(cursor)
    const next = cursor.text[cursor.at]
    if (next !== ',' && next !== end) cursor.fail(`expected "," or "${end}"`)
    cursor.at++
    if (next === end) return
  }
}

function parseString(cursor: Cursor): string {
  const { text, at: start } = cursor
  let end = start + 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  if (end >= text.length) cursor.fail('string is not terminated')
  try {
    const value: string = JSON.parse(text.slice(start, end + 1))
    cursor.at = end + 1
    return value
  } catch {
    return cursor.fail('string with an escape or control character that JSON does not have')
  }
}

const WORD = /[-+.\w]+/y

function parseWord(cursor: Cursor): number | boolean | null {
  WORD.lastIndex = cursor.at
  const word = WORD.exec(cursor.text)?.[0]
  if (word === undefined) return cursor.fail('expected a value')
  if (word === 'true' || word === 'false') {
    cursor.at += word.length
    return word === 'true'
  }
  if (word === 'null') {
    cursor.at += word.length
    return null
  }
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(word)) cursor.fail('expected a value')
  const value = Number(word)
  if (!Number.isFinite(value)) cursor.fail('number out of range')
  cursor.at += word.length
  return value
}

const SPACE = /[ \t\r\n]*/y

function skipSpace(cursor: Cursor): void {
  SPACE.lastIndex = cursor.at
  SPACE.exec(cursor.text)
  cursor.at = SPACE.lastIndex
}
