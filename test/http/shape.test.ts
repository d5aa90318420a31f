/**
 * Shapes: bodies are read as Go's encoding/json reads them for Consul, answers are held strictly.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import {
  anything,
  base64,
  bool,
  decodeBody,
  duration,
  either,
  enterprise,
  float,
  int,
  isZero,
  list,
  map,
  nullable,
  type Of,
  object,
  optional,
  type Shape,
  ShapeError,
  text,
  uint64,
} from '../../src/http/shape.ts'

const body = object({
  Name: text,
  Port: int,
  Ratio: float,
  On: bool,
  Tags: list(text),
  Meta: map(text),
  Interval: duration,
  DockerContainerID: text,
  Check: nullable(object({ TTL: duration, Notes: text })),
  Extra: optional(anything),
  Namespace: enterprise('Namespaces'),
})

const read = (given: string): Of<typeof body> => decodeBody(body, Buffer.from(given))

t.test('trap 15: keys without case and with underscores, nested too', async t => {
  t.equal(read('{"NAME":"a"}').Name, 'a')
  t.equal(read('{"docker_container_id":"x"}').DockerContainerID, 'x')
  t.equal(read('{"dockercontainerid":"x"}').DockerContainerID, 'x')
  t.equal(read('{"check":{"notes":"n","ttl":"1s"}}').Check?.Notes, 'n')
  t.strictSame(read('{"Meta":{"Some_Key":"v"}}').Meta, { Some_Key: 'v' }, 'keys of maps are data')
})

t.test('what is absent or null is zero', async t => {
  const zero = read('{}')
  t.strictSame(zero, body.zero())
  t.strictSame(read('{"Name":null,"Tags":null,"Meta":null,"Check":null,"Port":null}'), zero)
  t.strictSame(read('null'), zero)
  t.equal(zero.Check, undefined)
})

t.test('trap 29b: unknown fields and wrong types are refused, and nothing is quoted', async t => {
  const refused: Record<string, RegExp> = {
    '{"Nam":"x"}': /^json: unknown field "Nam"$/,
    '{"script":"x"}': /^json: unknown field "script"$/,
    '{"Check":{"Nope":1}}': /^json: unknown field "Nope"$/,
    '{"Port":"80"}': /^json: cannot unmarshal string into Go struct field .*Port of type int$/,
    '{"Port":80.5}': /cannot unmarshal number/,
    '{"Port":true}': /cannot unmarshal bool/,
    '{"Tags":"a"}': /cannot unmarshal string/,
    '{"Tags":[1]}': /cannot unmarshal number/,
    '{"Meta":["a"]}': /cannot unmarshal array/,
    '{"Meta":{"a":1}}': /cannot unmarshal number/,
    '{"Interval":"soon"}': /^time: invalid duration/,
    '{"Check":[]}': /cannot unmarshal array/,
    '{"Namespace":"other"}': /Namespaces is a Consul Enterprise feature$/,
    '{"Namespace":7}': /cannot unmarshal number/,
    '[]': /cannot unmarshal array/,
    '{': /^invalid character/,
    '{"Name":"secret-token"} trailing': /^invalid character in JSON body$/,
    '': /^EOF$/,
  }
  for (const [given, problem] of Object.entries(refused)) {
    t.throws(() => read(given), { name: 'ShapeError', message: problem }, given)
  }
  t.equal(read('{"Namespace":"Default"}').Namespace, undefined)
})

t.test('durations are text or nanoseconds', async t => {
  t.equal(read('{"Interval":"1m30s"}').Interval, 90_000)
  t.equal(read('{"Interval":5000000}').Interval, 5)
  t.equal(read('{"Interval":""}').Interval, 0)
})

t.test('nesting is bounded', async t => {
  const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
  t.doesNotThrow(() => decodeBody(anything, nested(limits.jsonDepth)))
  t.throws(() => decodeBody(anything, nested(limits.jsonDepth + 1)), { message: /max depth/ })
  t.doesNotThrow(() => decodeBody(anything, Buffer.from(`"${'['.repeat(500)}"`)), 'in text')
  t.doesNotThrow(() => decodeBody(anything, Buffer.from(`"\\"${'['.repeat(500)}"`)), 'escaped')
})

t.test('a map may have any key', async t => {
  const odd = '{"__proto__":"p","constructor":"c","":"e"}'
  const decoded = decodeBody(map(text), Buffer.from(odd))
  t.equal(JSON.stringify(decoded), odd)
  t.equal(Object.getPrototypeOf(decoded), Object.prototype)
})

t.test('answers: nothing missing, nothing extra, nothing of another type', async t => {
  const answer = object({ A: text, B: optional(int), C: nullable(list(bool)) })
  const good = [
    { A: '', C: null },
    { A: 'a', B: 1, C: [true] },
  ]
  for (const one of good) t.strictSame(answer.check(one, '$'), [])
  const bad: [unknown, string][] = [
    [{ A: '' }, '$.C: missing'],
    [{ A: '', C: null, D: 1 }, '$.D: not declared'],
    [{ A: 1, C: null }, '$.A: not a string'],
    [{ A: '', B: null, C: null }, '$.B: not a int'],
    [{ A: '', B: 1.5, C: null }, '$.B: not a int'],
    [{ A: '', C: [1] }, '$.C[0]: not a bool'],
    [{ A: '', C: {} }, '$.C: not a list'],
    [null, '$: not an object'],
  ]
  for (const [one, fault] of bad) t.strictSame(answer.check(one, '$'), [fault])
  t.strictSame(map(int).check({ a: 'x' }, '$'), ['$[a]: not a int'])
  t.strictSame(map(int).check([], '$'), ['$: not a map'])
  t.strictSame(duration.check('1x', '$'), ['$: not a duration'])
  const union = either(list(int), text)
  t.strictSame(union.check([1], '$'), [])
  t.strictSame(union.check('a', '$'), [])
  t.strictSame(union.check([''], '$'), ['$[0]: not a int'])
  t.strictSame(union.decode([2], 'x'), [2])
  t.equal(enterprise('x').check('', '$').length, 1)
})

t.test('whatever is decoded from JSON either fits or is a ShapeError', async () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), given => {
      try {
        const decoded = read(given)
        return Object.keys(decoded).length === Object.keys(body.zero()).length
      } catch (error) {
        return error instanceof ShapeError
      }
    }),
    { numRuns: 500 },
  )
})

t.test('what fits an answer is decoded to itself', async t => {
  const shape: Shape<unknown> = object({ A: text, B: list(int), C: map(bool), D: nullable(text) })
  const fitting = fc.record({
    A: fc.string(),
    B: fc.array(fc.integer()),
    C: fc.dictionary(fc.string(), fc.boolean()),
    D: fc.string(),
  })
  fc.assert(
    fc.property(fitting, one => {
      const json = JSON.parse(JSON.stringify(one))
      t.strictSame(shape.check(json, '$'), [])
      const decoded = decodeBody(shape, Buffer.from(JSON.stringify(one)))
      return JSON.stringify(decoded) === JSON.stringify(one)
    }),
    { numRuns: 200 },
  )
})

t.test('a value that says nothing', async t => {
  const nothing = [undefined, null, '', 0, false, [], {}, { a: '', b: [{}] }, { Mode: '', E: {} }]
  for (const value of nothing) t.ok(isZero(value), JSON.stringify(value))
  for (const value of ['a', 1, true, [1], { a: { b: 'x' } }]) t.notOk(isZero(value))
})

t.test('numbers of 64 bits keep their digits, wherever they lie', async t => {
  const shape = object({ Many: list(object({ Flags: uint64, Wait: duration })), Port: int })
  const read = (flags: string): Of<typeof shape> =>
    decodeBody(shape, Buffer.from(`{"Many":[{"Flags":${flags},"Wait":9007199254740993000000}]}`))
  for (const flags of ['0', '1', '9007199254740993', '18446744073709551615']) {
    t.equal(read(flags).Many[0]!.Flags, BigInt(flags))
  }
  for (const flags of ['-1', '1.5', '"1"', 'true', '18446744073709551616', '1e30']) {
    t.throws(() => read(flags), { name: 'ShapeError', message: /Flags of type uint64/ }, flags)
  }
  const port = Buffer.from('{"Port":9007199254740993}')
  t.throws(() => decodeBody(shape, port), { message: /cannot unmarshal number .*Port/ })
})

t.test('bytes in base64', async t => {
  const shape = object({ Value: base64 })
  const read = (value: string): string =>
    decodeBody(shape, Buffer.from(JSON.stringify({ Value: value }))).Value.toString()
  t.equal(read(''), '')
  t.equal(read('aGk='), 'hi')
  for (const bad of ['aGk', 'a', '====', 'aGk=aGk=', 'a-k_', 'aGk= ']) {
    t.throws(() => read(bad), { name: 'ShapeError', message: 'illegal base64 data' }, bad)
  }
})
