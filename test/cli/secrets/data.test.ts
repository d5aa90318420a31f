/**
 * Data of the command line: pairs, files, stdin, JSON.
 */
import { deepEqual } from 'node:assert/strict'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readData, readQuery, readTexts } from '../../../src/cli/secrets/data.ts'

const source = (text = '') => ({
  io: { readStdin: async () => Buffer.from(text) },
  mayRead: true,
})

t.test('pairs', async t => {
  const folder = t.testdir({
    value: 'from file\n',
    'all.json': '{"a": [1, {"b": null}], "n": 1e3}',
  })
  const cases: [string[], string, object][] = [
    [['a=1', 'b=x=y', 'c='], '', { a: '1', b: 'x=y', c: '' }],
    [['a=1', 'a=2', 'a=3'], '', { a: ['1', '2', '3'] }],
    [['', 'a=1'], '', { a: '1' }],
    [['a=-'], 'from stdin\n', { a: 'from stdin\n' }],
    [['-'], '{"a": 12345678901234567890}', { a: 12345678901234567890n }],
    [['-', 'b=1'], '{"a": true}', { a: true, b: '1' }],
    [[`a=@${folder}/value`], '', { a: 'from file\n' }],
    [[`@${join(folder, 'all.json')}`], '', { a: [1, { b: null }], n: 1000 }],
    [['a=\\@x'], '', { a: '@x' }],
  ]
  for (const [words, stdin, data] of cases) {
    t.strictSame(await readData(words, source(stdin)), data, words.join(' '))
  }
})

t.test('mistakes name the place and not the text', async t => {
  const folder = t.testdir({ bad: 'hunter2', list: '["hunter2"]' })
  const cases: [string[], string][] = [
    [['a=1', 'hunter2'], '(argument 2): format must be key=value'],
    [['-'], '(argument 1): it holds no JSON'],
    [[`@${folder}/bad`], 'it holds no JSON'],
    [[`@${folder}/list`], 'its JSON must be an object'],
    [[`a=@${folder}/none`], 'error reading file'],
    [['a=-', 'b=-'], '(argument 2): stdin already consumed'],
  ]
  for (const [words, text] of cases) {
    const error = await readData(words, source('hunter2')).catch(String)
    t.match(error, `Failed to parse K=V data: invalid key/value pair`)
    t.match(error, text)
    t.notMatch(error, 'hunter2')
  }
})

t.test('stdin is not read where it may not be', async t => {
  const silent = { ...source('x'), mayRead: false }
  t.strictSame(await readData(['a=-'], silent), { a: '' })
})

t.test('texts and queries', async t => {
  const json = '{"a": 1, "b": true, "c": null, "d": "x"}'
  t.strictSame(await readTexts(['-'], source(json)), { a: '1', b: 'true', c: '', d: 'x' })
  await t.rejects(readTexts(['-'], source('{"a": []}')), { message: 'the value of "a" must be' })
  const query = await readQuery(['version=2', 'k=a', 'k=b'], source())
  t.strictSame(query, { version: '2', k: ['a', 'b'] })
})

t.test('whatever the keys and values are, they come back', async () => {
  const key = fc.string({ minLength: 1 }).filter(text => !/^[@-]|=/.test(text))
  const value = fc.string().filter(text => !/^[@\\]|^-$/.test(text))
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.tuple(key, value), { selector: ([k]) => k }), async all => {
      const read = await readData(
        all.map(([k, v]) => `${k}=${v}`),
        source(),
      )
      deepEqual(Object.entries(read).sort(), Object.entries(Object.fromEntries(all)).sort())
    }),
  )
})
