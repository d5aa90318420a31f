/** Interning: what says the same is one object, and says what it said. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { internList, internRecord, internText } from '../../src/base/intern.ts'
import { limits } from '../../src/base/limits.ts'

t.test('what says the same is one object', async t => {
  t.equal(internList(['a', 'b']), internList(['a', 'b']))
  t.equal(internRecord({ a: 'b' }), internRecord({ a: 'b' }))
  t.equal(internList([]), internList([]))
  t.equal(internRecord({}), internRecord({}))
  t.not(internList(['a']), internList(['b']))
})

t.test('it says what it said', async () => {
  const texts = fc.array(fc.string({ maxLength: 300 }), { maxLength: 3 })
  fc.assert(fc.property(texts, list => assert.deepStrictEqual(internList(list), list)))
  const records = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true })
  fc.assert(fc.property(records, record => assert.deepStrictEqual(internRecord(record), record)))
  fc.assert(fc.property(fc.string(), text => internText(text) === text))
})

t.test('what takes the place of the same is that, and of another is kept for itself', async t => {
  const before = { list: ['b'], record: { b: '1' } }
  t.equal(internList(['b'], before.list), before.list)
  t.equal(internRecord({ b: '1' }, before.record), before.record)
  t.equal(internText('b', 'b'), 'b')
  const list = ['c']
  const record = { c: '1' }
  t.equal(internList(list, before.list), list)
  t.equal(internRecord<Record<string, string>>(record, before.record), record)
  t.not(internList(['c']), list, 'no pool has it')
  t.not(internRecord({ c: '1' }), record)
  t.equal(internText('c', 'b'), 'c')
})

t.test('nothing that is shared by default can be changed', async t => {
  t.ok(Object.isFrozen(internList([])))
  t.ok(Object.isFrozen(internRecord({})))
})

t.test('a pool is bounded: at its bound it starts anew', async t => {
  const first = internList(['kept'])
  t.equal(internList(['kept']), first)
  for (let i = 0; i < limits.internedValues; i++) internList([i])
  t.not(internList(['kept']), first)
  t.strictSame(internList(['kept']), ['kept'])
})

t.test('long values are left as they are', async t => {
  const long = ['x'.repeat(300)]
  t.equal(internList(long), long)
  t.not(internList([...long]), long)
})
