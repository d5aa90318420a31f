/**
 * Query strings: each kind of parameter, and the words of each refusal.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { text } from '../../src/filter/fields.ts'
import {
  filtering,
  flag,
  notYet,
  optionalString,
  pairs,
  parseQuery,
  type QueryOf,
  readParameters,
  string,
  strings,
  switched,
  uint64,
} from '../../src/http/query.ts'

const parameters = {
  recurse: flag(''),
  separator: string(''),
  acquire: optionalString(''),
  tag: strings(''),
  'node-meta': pairs(''),
  flags: uint64(''),
  passing: switched('', 'Invalid value for ?passing'),
  later: notYet('later', ''),
}

const refusalOf = (raw: string, of: Parameters<typeof parseQuery>[1] = parameters): unknown => {
  const query = parseQuery(raw, of)
  return query instanceof Refusal ? [query.status, query.text] : undefined
}

t.test('what is absent', async t => {
  t.strictSame(parseQuery('', parameters), {
    recurse: false,
    separator: '',
    acquire: undefined,
    tag: [],
    'node-meta': [],
    flags: undefined,
    passing: false,
    later: undefined,
  })
})

t.test('what is given', async t => {
  const raw = 'recurse&separator=%2F&acquire=&tag=a&tag=b+c&node-meta=k:v:w&node-meta=x&flags=7'
  const query = parseQuery(`${raw}&passing=1&unknown=x`, parameters)
  t.strictSame(query, {
    recurse: true,
    separator: '/',
    acquire: '',
    tag: ['a', 'b c'],
    'node-meta': [
      ['k', 'v:w'],
      ['x', ''],
    ],
    flags: 7n,
    passing: true,
    later: undefined,
  })
})

t.test('a switch is on by presence, a boolean by its value', async t => {
  for (const value of ['', '=', '=1', '=True', '=false', '=0']) {
    t.match(parseQuery(`recurse${value}`, parameters), { recurse: true }, value)
  }
  for (const value of ['', '=', '=1', '=t', '=T', '=true', '=True', '=TRUE']) {
    t.match(parseQuery(`passing${value}`, parameters), { passing: true }, value)
  }
  for (const value of ['=0', '=f', '=false', '=False', '=FALSE']) {
    t.match(parseQuery(`passing${value}`, parameters), { passing: false }, value)
  }
  t.strictSame(refusalOf('passing=maybe'), [400, 'Invalid value for ?passing'])
})

t.test('trap 16: numbers of 64 bits are exact', async t => {
  t.match(parseQuery('flags=18446744073709551615', parameters), { flags: 2n ** 64n - 1n })
  t.strictSame(refusalOf('flags=18446744073709551616'), [
    500,
    'strconv.ParseUint: parsing "18446744073709551616": value out of range',
  ])
  for (const bad of ['zz', '-1', '1.5', '0x1', '']) {
    const problem = `strconv.ParseUint: parsing ${JSON.stringify(bad)}: invalid syntax`
    t.strictSame(refusalOf(`flags=${bad}`), [500, problem])
  }
})

t.test('what every read takes', async t => {
  const read = (raw: string) => parseQuery(raw, readParameters)
  t.match(read('index=12&wait=10s&stale'), { index: 12, wait: 10_000, stale: true })
  t.match(read(''), { index: 0, wait: undefined, consistent: false })
  for (const none of ['wait=0', 'wait=0s', 'wait=-5s', 'wait=']) {
    t.match(read(none), { wait: undefined }, `${none} is the default`)
  }
  const refused: Record<string, [number, string]> = {
    'index=x': [400, 'Invalid index'],
    'index=-1': [400, 'Invalid index'],
    'wait=10': [400, 'Invalid wait time'],
    'wait=soon': [400, 'Invalid wait time'],
    'max_stale=x': [400, 'Invalid max_stale value "x"'],
  }
  for (const [raw, refusal] of Object.entries(refused)) {
    t.strictSame(refusalOf(raw, readParameters), refusal, raw)
  }
})

t.test('a filter is compiled for the fields that it is declared with, or refused', async t => {
  const parameters = { filter: filtering({ A: text((item: { a: string }) => item.a) }) }
  const { filter } = parseQuery('filter=A+%3D%3D+b', parameters) as QueryOf<typeof parameters>
  t.equal(filter?.keeps({ a: 'b' }), true)
  t.equal(filter?.keeps({ a: 'c' }), false)
  t.match(parseQuery('filter=', parameters), { filter: undefined })
  const text500 = 'Failed to create boolean expression evaluator: Selector "B" is not valid'
  t.strictSame(refusalOf('filter=B==b', parameters), [500, text500])
})

t.test('namespaces and partitions are of another edition, but for their default', async t => {
  const text = (name: string, what: string) =>
    `Invalid query parameter: "${name}" - ${what} are a Consul Enterprise feature`
  t.strictSame(refusalOf('ns=other'), [400, text('ns', 'Namespaces')])
  t.strictSame(refusalOf('partition=p1'), [400, text('partition', 'Partitions')])
  for (const fine of ['ns=', 'ns=default', 'partition=default']) t.equal(refusalOf(fine), undefined)
})

t.test('what comes later is refused where it says something', async t => {
  t.strictSame(refusalOf('later=x'), [501, 'not served yet: later'])
  t.equal(refusalOf('later='), undefined)
})

t.test('a query string that cannot be decoded', async t => {
  for (const raw of ['tag=%', 'tag=%zz', '%ff=1']) t.strictSame(refusalOf(raw), [500, ''])
})

t.test('any text comes back as it was written', async () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), tags => {
      const raw = tags.map(tag => `tag=${encodeURIComponent(tag)}`).join('&')
      const query = parseQuery(raw, parameters)
      return !(query instanceof Refusal) && JSON.stringify(query.tag) === JSON.stringify(tags)
    }),
  )
})
