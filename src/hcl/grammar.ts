/**
 * The grammar of HCL 1: objects, blocks with labels, lists and plain values.
 *
 * Owns how tokens make data. Commas between the items of an object and after the last element
 * of a list may be left out or written, as HCL 1 has it; line ends mean nothing.
 */
import { Cursor, ObjectBuilder } from './cursor.ts'
import type { HclObject, HclValue, Position } from './hcl.ts'
import { Scanner, type Token } from './scan.ts'

type Positions = Map<HclObject, ReadonlyMap<string, Position>>

/** The object of an HCL text; notes the position of its keys. Throws HclError. */
export function parseHcl(text: string, positions: Positions): HclObject {
  const scanner = new Scanner(new Cursor(text))
  return parseBody(scanner, positions, 'end')
}

/** Items up to the closing token, which is taken. */
function parseBody(scanner: Scanner, positions: Positions, end: '}' | 'end'): HclObject {
  const builder = new ObjectBuilder()
  for (;;) {
    const token = scanner.next()
    if (token.kind === end) return builder.build(positions)
    if (!isKey(token)) {
      scanner.fail(token, end === 'end' ? 'expected a key' : 'expected a key or "}"')
    }
    const position = scanner.positionOf(token)
    builder.add(token.value, parseItem(scanner, positions), position)
    if (scanner.peek().kind === ',') scanner.next()
  }
}

/** What follows a key: `= value`, or labels and a body in braces. */
function parseItem(scanner: Scanner, positions: Positions): HclValue {
  const token = scanner.next()
  if (token.kind === '=') return parseValue(scanner, positions)
  return parseLabelled(scanner, positions, token)
}

function parseLabelled(scanner: Scanner, positions: Positions, token: Token): HclObject {
  if (token.kind === '{') return scanner.nested(() => parseBody(scanner, positions, '}'))
  if (!isKey(token)) scanner.fail(token, 'expected "=", a label or "{"')
  const builder = new ObjectBuilder()
  const position = scanner.positionOf(token)
  const body = scanner.nested(() => parseLabelled(scanner, positions, scanner.next()))
  builder.set(token.value, body, position)
  return builder.build(positions)
}

function parseValue(scanner: Scanner, positions: Positions): HclValue {
  const token = scanner.next()
  switch (token.kind) {
    case 'string':
    case 'heredoc':
    case 'number':
    case 'bool':
      return token.value
    case '{':
      return scanner.nested(() => parseBody(scanner, positions, '}'))
    case '[':
      return scanner.nested(() => parseList(scanner, positions))
    default:
      return scanner.fail(token, 'expected a value')
  }
}

function parseList(scanner: Scanner, positions: Positions): HclValue[] {
  const list: HclValue[] = []
  for (;;) {
    if (scanner.peek().kind !== ']') list.push(parseValue(scanner, positions))
    const token = scanner.next()
    if (token.kind === ']') return list
    if (token.kind !== ',') scanner.fail(token, 'expected "," or "]"')
  }
}

function isKey(token: Token): token is Token & { kind: 'name' | 'string' } {
  return token.kind === 'name' || token.kind === 'string'
}
