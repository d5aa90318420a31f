/** Differences between texts: they lead from one to the other, and they are bounded. */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { bounded, lineChanges } from '../../../src/feed/sink/lines.ts'

t.test('nothing, one line, the end of a line', async t => {
  t.same(lineChanges('a\n', 'a\n'), [])
  t.same(lineChanges('a\nb\nc\n', 'a\nx\nc\n'), ['- b', '+ x'])
  t.same(lineChanges('a', 'a\n'), ['~ the end of the last line'])
  t.same(lineChanges('', 'a\n'), ['+ a'])
})

t.test('what is told is exactly what differs, however the lines stand', async t => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 })
  fc.assert(
    fc.property(text, text, (was, is) => {
      const count = (lines: readonly string[], line: string) =>
        lines.filter(one => one === line).length
      const changes = lineChanges(`${was.join('\n')}\n`, `${is.join('\n')}\n`)
      for (const line of ['a', 'b', 'c', 'd']) {
        const more = count(changes, `+ ${line}`) - count(changes, `- ${line}`)
        if (was.length > 0 && is.length > 0) t.equal(more, count(is, line) - count(was, line))
      }
    }),
  )
})

t.test('long ones are cut and counted', async t => {
  const many = Array.from({ length: 3_000 }, (_, i) => `${i}`).join('\n')
  const changes = lineChanges('', many)
  t.equal(changes.length, limits.sinkPlanLines + 1)
  t.equal(changes.at(-1), `… and ${3_000 - limits.sinkPlanLines} more`)
  t.ok((bounded(['x'.repeat(9_999)])[0] ?? '').length < 500)
})
