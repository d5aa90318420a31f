/**
 * JSON bodies, through every shape that a path declares, and what an agent makes of a definition:
 * read, or refused in words that do not depend on the body's length.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { checkFromFile, serviceFromFile } from '../../src/http/registry/agent-body.ts'
import { decodeBody, type Shape, ShapeError } from '../../src/http/shape.ts'
import { declaredPaths } from '../http/declared.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, mutatedJson, stockOf } from './mutate.ts'

const TEXT_CHARS_MAX = 300

const operations = declaredPaths.flatMap(({ operations }) => Object.values(operations))
const shapes = operations.flatMap(operation => {
  const body = 'body' in operation ? operation.body : undefined
  if (body === undefined || !('shape' in body)) return []
  const shape = body.shape as Shape<unknown>
  // One that takes anything leaves the reading to the rules (entry.test.ts).
  return 'type' in shape.schema || 'anyOf' in shape.schema ? [shape] : []
})

/** A body with every field that the schema names. */
function exampleOf(schema: Readonly<Record<string, unknown>>, text: string): unknown {
  const [first] = (schema.anyOf ?? []) as Record<string, unknown>[]
  if (first !== undefined) return exampleOf(first, text)
  if (schema.type === 'array') return [exampleOf(schema.items as typeof schema, text)]
  if (schema.type === 'object') {
    const entries = Object.entries((schema.properties ?? { key: { type: 'string' } }) as object)
    return Object.fromEntries(entries.map(([key, one]) => [key, exampleOf(one, text)]))
  }
  return { boolean: true, integer: 7, number: 1.5 }[String(schema.type)] ?? text
}

const examples = shapes.flatMap(({ schema }) => [exampleOf(schema, ''), exampleOf(schema, '10s')])
const named = [
  { ID: 'web-1', Name: 'web', Port: 80, Tags: ['a'], Check: { TTL: '10s' }, Meta: { a: 'b' } },
  { Name: 'c', HTTP: 'http://127.0.0.1/', Interval: '10s', Timeout: 5e9, Header: { A: ['b'] } },
  { Name: 'c', TCP: '127.0.0.1:80', Interval: '10s', FailuresBeforeCritical: 3 },
]
const bodies = [...examples, ...named].map(body => JSON.stringify(body))
const keys = [...new Set(bodies.join().match(/"\w+":/g))]
const stock = stockOf(bodies, [
  ...keys,
  ...['null', 'true', '-1', '1e999', '1e-7', '0.5', '9007199254740993', '""', '"10s"', '"\\u0000"'],
  ...['"\\ud800"', '{', '}', '[', ']', ',', ':', '"', '\\', '"__proto__":{"a":1},', '[[[[[[[['],
  ...['"default"', '"passing"', '"http://[::1"', '"-5s"', '"connect-proxy"', '\ufeff'],
])

t.test('any body', async t => {
  const count = await untilBudget(
    'JSON bodies',
    1_000_000,
    casesOf({
      make: draw => ({
        bytes: draw.chance(50)
          ? mutated(draw, stock)
          : Buffer.from(mutatedJson(draw, draw.pick(bodies))),
        shape: draw.pick(shapes),
      }),
      run: ({ bytes, shape }) => {
        holdShape(bytes, shape)
        holdDefinition(bytes)
      },
      show: ({ bytes, shape }) => `${bytes} as ${JSON.stringify(Object.keys(shape.schema))}`,
    }),
  )
  t.ok(count > 0)
})

function holdShape(bytes: Buffer, shape: Shape<unknown>): void {
  try {
    const decoded = decodeBody(shape, bytes)
    const zero = shape.zero() as object
    if (Array.isArray(zero) || 'additionalProperties' in shape.schema) return
    const isWhole = Object.keys(decoded as object).join() === Object.keys(zero).join()
    if (!isWhole) throw new Error(`read as ${JSON.stringify(decoded)}`)
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    if (error.message.length > TEXT_CHARS_MAX) throw new Error(`refused with ${error.message}`)
  }
}

function holdDefinition(bytes: Buffer): void {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString())
  } catch {
    return
  }
  for (const given of [serviceFromFile('node', body), checkFromFile(body)]) {
    if (given instanceof Refusal && given.text.length > TEXT_CHARS_MAX) {
      throw new Error(`refused with ${given.text}`)
    }
  }
}
