/**
 * Configuration entries: any JSON is an entry or is refused in words, and what is taken comes back
 * as the answer that is declared, and is the same when it is sent again.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { type Field, type Fields, object } from '../../src/registry/config-entry/field.ts'
import { decodeEntry, entryKinds, refuseEntry } from '../../src/registry/config-entry/mod.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'

const shapes = new Map(entryKinds.map(one => [one.kind, object(one.fields)]))

const TEXTS = [
  '',
  'web',
  'http',
  'TCP',
  'allow',
  'deny',
  'consul',
  'local',
  '*',
  '/a',
  'GET',
  'get',
  'v1',
  '15s',
  '-1s',
  'x'.repeat(600),
  'ring_hash',
  'cookie',
  '2026-01-01T00:00:00Z',
  'a == b',
  '(',
  'é\u0000',
]

t.test('any entry', async t => {
  const run = casesOf({ make: anyEntry, run: hold, show: JSON.stringify })
  t.ok((await untilBudget('entries', 200_000, run)) > 0)
})

function hold(given: unknown): void {
  const entry = decodeEntry(given)
  if (entry instanceof Refusal) {
    if (entry.status !== 400 || entry.text === '') throw new Error('a refusal without words')
    return
  }
  const shape = shapes.get(entry.kind)!
  const answer = JSON.parse(JSON.stringify(entry.fields))
  const faults = shape.check(answer, '$')
  if (faults.length > 0) throw new Error(faults.join())
  if (refuseEntry(entry) !== undefined) return
  const again = decodeEntry({ ...answer, Kind: entry.kind, Name: entry.name, Hash: 1 })
  if (again instanceof Refusal) throw new Error(again.text)
  if (JSON.stringify(again) !== JSON.stringify(entry)) throw new Error('not the same again')
}

/** Mostly what a kind declares, here and there anything else. */
function anyEntry(draw: Draw): unknown {
  const kind = draw.pick(entryKinds)
  const fields = objectOf(draw, kind.fields, 0)
  return { ...fields, Kind: kind.kind, Name: draw.pick(['web', 'global', '*', '', 'a*', 5, null]) }
}

function objectOf(draw: Draw, fields: Fields, depth: number): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    if (draw.below(3) === 0) given[nameOf(draw, name)] = fitting(draw, field, depth)
  }
  if (draw.below(40) === 0) given[draw.pick(['Foo', 'namespace', '__proto__'])] = anything(draw)
  return given
}

/** A name as people write it. */
function nameOf(draw: Draw, name: string): string {
  return draw.pick([
    name,
    name,
    name.toLowerCase(),
    name.replaceAll(/(?<=[a-z])[A-Z]/g, c => `_${c}`),
  ])
}

/** A value that the field may take, told from the schema that it declares. */
function fitting(draw: Draw, { schema }: Pick<Field, 'schema'>, depth: number): unknown {
  if (draw.below(12) === 0 || depth > 6) return anything(draw)
  const { type, items, properties, additionalProperties: values } = schema as Schema
  const below = (inner: Schema): unknown => fitting(draw, { schema: { ...inner } }, depth + 1)
  if (type === 'array') return Array.from({ length: draw.below(3) }, () => below(items!))
  if (type === 'object' && properties !== undefined) {
    const inner = Object.entries(properties).map(([name, one]) => [name, { schema: one }])
    return objectOf(draw, Object.fromEntries(inner), depth + 1)
  }
  if (type === 'object') return { [draw.pick(['v1', '*', 'a_b', ''])]: below(values as Schema) }
  if (type === 'string') return draw.pick(TEXTS)
  if (type === 'boolean') return draw.pick([true, false, 'true', 0, 'x'])
  return draw.pick([0, 1, -1, 5, '7', 1.5, 2 ** 53, '10s'])
}

interface Schema {
  readonly type?: string
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
}

function anything(draw: Draw): unknown {
  return draw.pick<unknown>([
    null,
    0,
    'x',
    true,
    [],
    {},
    [null],
    [[]],
    [{}],
    { a: null },
    [1, 'a'],
    1e300,
  ])
}
