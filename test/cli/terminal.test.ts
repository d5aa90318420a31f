/**
 * What is typed unseen: the keys of a terminal.
 */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { askSecret, Typed } from '../../src/cli/terminal.ts'
import { absent } from '../run/clients.ts'

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

/** Runs a program on a terminal of its own, types at its prompt, prints all that it showed. */
const TYPIST = `
import os, pty, sys
keys = sys.argv[1].encode().decode('unicode_escape').encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
typed = False
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if b'hidden' in shown and not typed:
        os.write(terminal, keys)
        typed = True
os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
`

t.test('on a terminal nothing is shown', { skip: absent('python3-consul') }, async t => {
  const file = new URL('../../src/cli/terminal.ts', import.meta.url)
  const program = `
    const { askSecret } = await import('${file}')
    const said = await askSecret('Password (will be hidden): ').catch(error => error.message)
    process.stdout.write([...said].reverse().join('') + ' ' + process.stdin.isRaw)
  `
  const node = [process.execPath, '--no-warnings', '--input-type=module', '-e', program]
  const run = (keys: string) =>
    spawnSync('python3', ['-c', TYPIST, keys, ...node], { encoding: 'utf8' }).stdout
  const typed = run('top secret\\r')
  t.match(typed, /^Password \(will be hidden\): \r\nterces pot false/)
  t.notMatch(typed, 'top secret')
  t.match(run('half\\x03'), /\r\ndelecnac resu false/)
})
