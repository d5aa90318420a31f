/**
 * The grammar of HCL 1: objects, blocks with labels, lists and plain values.
 *
 * Owns how tokens make data. Commas between the items of an object and after the last element
 * of a list may be left out or written, as HCL 1 has it; line ends mean nothing.
 */
import { Cursor, type Notes, ObjectBuilder } from './cursor.ts'
import type { HclObject, HclValue } from './hcl.ts'
import { Scanner, type Token } from './scan.ts'

/** The object of an HCL text; notes where its keys stand. Throws HclError. */
export function parseHcl(text: string, notes: Notes): HclObject {
  const scanner = new Scanner(new Cursor(text))
  return parseBody(scanner, notes, 'end')
}

/** Items up to the closing token, which is taken. */
function parseBody(scanner: Scanner, notes: Notes, end: '}' | 'end'): HclObject {
  const builder = new ObjectBuilder(notes)
  for (;;) {
    const token = scanner.next()
    if (token.kind === end) return builder.build()
    if (!isKey(token)) {
      scanner.fail(token, end === 'end' ? 'expected a key' : 'expected a key or "}"')
    }
    const position = scanner.positionOf(token)
    builder.add(token.value, parseItem(scanner, notes), position)
    if (scanner.peek().kind === ',') scanner.next()
  }
}

/** What follows a key: `= value`, or labels and a body in braces. */
function parseItem(scanner: Scanner, notes: Notes): HclValue {
  const token = scanner.next()
  if (token.kind === '=') return parseValue(scanner, notes)
  return parseLabelled(scanner, notes, token)
}

function parseLabelled(scanner: Scanner, notes: Notes, token: Token): HclObject {
  if (token.kind === '{') return scanner.nested(() => parseBody(scanner, notes, '}'))
  if (!isKey(token)) scanner.fail(token, 'expected "=", a label or "{"')
  const builder = new ObjectBuilder(notes)
  const position = scanner.positionOf(token)
  const body = scanner.nested(() => parseLabelled(scanner, notes, scanner.next()))
  builder.set(token.value, body, position)
  return builder.build()
}

function parseValue(scanner: Scanner, notes: Notes): HclValue {
  const token = scanner.next()
  switch (token.kind) {
    case 'string':
    case 'heredoc':
    case 'number':
    case 'bool':
      return token.value
    case '{':
      return scanner.nested(() => parseBody(scanner, notes, '}'))
    case '[':
      return scanner.nested(() => parseList(scanner, notes))
    default:
      return scanner.fail(token, 'expected a value')
  }
}

function parseList(scanner: Scanner, notes: Notes): HclValue[] {
  const list: HclValue[] = []
  for (;;) {
    if (scanner.peek().kind !== ']') list.push(parseValue(scanner, notes))
    const token = scanner.next()
    if (token.kind === ']') return list
    if (token.kind !== ',') scanner.fail(token, 'expected "," or "]"')
  }
}

function isKey(token: Token): token is Token & { kind: 'name' | 'string' } {
  return token.kind === 'name' || token.kind === 'string'
}
