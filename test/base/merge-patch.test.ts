/** JSON merge patch, by the examples of RFC 7396, appendix A. */
import tap from 'tap'
import { mergePatch } from '../../src/base/merge-patch.ts'

tap.test('the examples of RFC 7396', async t => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, result] of cases) t.strictSame(mergePatch(target, patch), result)
})

tap.test('names of the language are names like any', async t => {
  const patch: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":2}')
  const merged = mergePatch({}, patch) as Record<string, unknown>
  t.equal(({} as Record<string, unknown>).polluted, undefined)
  t.strictSame(Object.keys(merged).sort(), ['__proto__', 'constructor'])
})
