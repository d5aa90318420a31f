/**
 * What is typed unseen: the keys of a terminal.
 */
import t from 'tap'
import { askSecret, Typed } from '../../src/cli/terminal.ts'

t.test('keys', async t => {
  const cases: [string, string, string][] = [
    ['secret\r', 'line', 'secret'],
    ['secret', 'more', 'secret'],
    ['sex\u007fcret\n', 'line', 'secret'],
    ['wrong\u0015right\r', 'line', 'right'],
    ['a€\u007f\u007f\u007fb\r', 'line', 'b'],
    ['abc\u0003', 'broken', 'abc'],
    ['abc\u0004', 'line', 'abc'],
  ]
  for (const [keys, state, text] of cases) {
    const typed = new Typed()
    t.equal(typed.take(keys), state)
    t.equal(typed.text, text)
  }
  const parts = new Typed()
  t.equal(parts.take('one'), 'more')
  t.equal(parts.take('two\r'), 'line')
  t.equal(parts.text, 'onetwo')
})

t.test('without a terminal nobody is asked', { skip: process.stdin.isTTY === true }, async t => {
  await t.rejects(askSecret('Password: '), { message: 'stdin is no terminal' })
})
