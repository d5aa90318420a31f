/**
 * Texts in quotes as Go's `%q` has them.
 */
import t from 'tap'
import { goQuote } from '../../src/base/go-quote.ts'

t.test('what prints stands as it is, the rest as an escape', async t => {
  const cases: [string, string][] = [
    ['', '""'],
    ['a b', '"a b"'],
    ['é世', '"é世"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['\n\t\u0007', '"\\n\\t\\a"'],
    ['\u0001\u007f', '"\\x01\\x7f"'],
    ['\u200b\u{e0001}', '"\\u200b\\U000e0001"'],
  ]
  for (const [text, quoted] of cases) t.equal(goQuote(text), quoted)
})

t.test('long texts are cut', async t => {
  t.equal(goQuote('a'.repeat(1_000)).length, 258)
})
