/** Settings of sinks: each type is read or refused, and files and programs are for local ones. */
import t from 'tap'
import {
  readSettings,
  type SettingFields,
  type SettingsFrom,
  shownSettings,
} from '../../../src/feed/sink/schema.ts'

const fields = {
  name: { type: 'text', help: '', isRequired: true },
  form: { type: 'text', help: '', oneOf: ['a', 'b'], byDefault: 'a' },
  time: { type: 'duration', help: '', byDefault: 1_000, minMs: 10 },
  many: { type: 'count', help: '', min: 1, max: 9 },
  on: { type: 'switch', help: '', byDefault: false },
  words: { type: 'texts', help: '', isLocal: true },
  map: { type: 'strings', help: '' },
  key: { type: 'text', help: '', isSecret: true },
} as const satisfies SettingFields

const read = (given: Record<string, unknown>, from: SettingsFrom = 'local') =>
  readSettings(fields, { name: 'x', ...given }, from)

t.test('what is given, and what stands for what is not', async t => {
  t.same(read({}), {
    values: {
      ...{ name: 'x', form: 'a', time: 1_000, many: undefined, on: false },
      ...{ words: undefined, map: undefined, key: undefined },
    },
  })
  const values = { form: 'b', time: '2s', many: 3, on: true, words: ['a'], map: [{ x: 'y' }] }
  t.match(read(values), { values: { ...values, time: 2_000, map: { x: 'y' } } })
})

t.test('each wrong value is named by its field', async t => {
  const wrong: Record<string, [unknown, RegExp]> = {
    form: ['c', /one of a, b/],
    time: ['1ms', /at least 10ms/],
    many: [10, /from 1 to 9/],
    on: ['yes', /true or false/],
    words: ['a b', /list of strings/],
    map: [['x', 'y'], /object of strings/],
    key: ['a\0b', /must be a string/],
    other: [1, /unknown setting/],
  }
  const given = Object.fromEntries(Object.entries(wrong).map(([field, [value]]) => [field, value]))
  const result = read(given)
  t.ok('problems' in result)
  const problems = 'problems' in result ? result.problems : []
  t.equal(problems.length, Object.keys(wrong).length)
  for (const { field, problem } of problems) t.match(problem, wrong[field]?.[1], field)
  t.match(read({ name: undefined }), { problems: [{ field: 'name', problem: 'is missing' }] })
})

t.test('a request may not say what belongs to the machine', async t => {
  t.match(read({ words: ['rm', '-rf', '/'] }, 'api'), { problems: [{ field: 'words' }] })
  t.ok('values' in read({ form: 'b' }, 'api'))
})

t.test('secrets are not shown', async t => {
  const shown = shownSettings(fields, { name: 'x', key: 'geheim', many: undefined })
  t.same(shown, { name: 'x', key: '(hidden)' })
})
