/** Query strings, through the parameters of every declared path, and against another parser. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { type Parameters, parseQuery, strings } from '../../src/http/query.ts'
import { declaredPaths } from '../http/declared.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const TEXT_CHARS_MAX = 300
const operations = declaredPaths.flatMap(({ operations }) => Object.values(operations))
const declared = operations.map(({ query }): Parameters => query)
const names = [...new Set(declared.flatMap(query => Object.keys(query)))]
const given = ['index=12&wait=10s', 'recurse&keys&separator=%2F', 'cas=0&flags=42', 'dc=dc1&stale']
const stock = stockOf(
  [
    ...given,
    'tag=a&tag=b+c',
    'node-meta=a:b',
    'passing=true',
    'a=1&a=%C3%A9',
    'filter=&ns=default',
  ],
  [
    ...names.flatMap(name => [name, `${name}=`, `&${name}`]),
    '%',
    '%41',
    '%ff',
    '+',
    '&',
    '=',
    '&&',
  ].concat(
    ['-1', '18446744073709551616', '1e3', '9'.repeat(30), '1h', '-1s', 'true', ':', ':::', '\0'],
    ['a=', 'a', '__proto__=', 'constructor'],
  ),
)

t.test('any query string', async t => {
  const count = await untilBudget(
    'query strings',
    1_500_000,
    casesOf({
      make: draw => ({
        raw: mutated(draw, stock)
          .toString('latin1')
          .replaceAll(/[^!-~]/g, 'x'),
        parameters: draw.pick(declared),
      }),
      run: ({ raw, parameters }) => {
        holdDeclared(raw, parameters)
        holdValues(raw)
      },
      show: ({ raw, parameters }) => JSON.stringify({ raw, parameters: Object.keys(parameters) }),
    }),
  )
  t.ok(count > 0)
})

function holdDeclared(raw: string, parameters: Parameters): void {
  const query = parseQuery(raw, parameters)
  if (query instanceof Refusal) {
    const isFit = [400, 500, 501].includes(query.status) && query.text.length <= TEXT_CHARS_MAX
    if (!isFit) throw new Error(`refused with ${query.status} ${query.text}`)
    return
  }
  if (Object.keys(query).join() !== Object.keys(parameters).join()) {
    throw new Error(`read as ${Object.keys(query)}`)
  }
}

/** The values are those that browsers read; bad escapes are refused. */
function holdValues(raw: string): void {
  const query = parseQuery(raw, { a: strings(''), tag: strings('') })
  if (query instanceof Refusal) return
  const wanted = new URLSearchParams(`&${raw}`)
  for (const name of ['a', 'tag'] as const) {
    if (JSON.stringify(query[name]) !== JSON.stringify(wanted.getAll(name))) {
      throw new Error(`${name} is ${JSON.stringify(query[name])}`)
    }
  }
}
