/** Assertions, and where the dear ones run. */
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import t from 'tap'
import { AssertionError, assert, isVerifying, verify } from '../../src/base/assert.ts'

t.test('what must hold is said', async t => {
  assert(1, 'nothing')
  for (const value of [0, '', null, undefined, false]) {
    t.throws(() => assert(value, 'it holds'), new AssertionError('it holds'))
  }
})

t.test('dear checks run in tests', async t => {
  t.ok(isVerifying)
  verify(() => true, 'nothing')
  t.throws(() => verify(() => false, 'it holds'), new AssertionError('it holds'))
})

t.test('dear checks run where the variable says so, and not in production', async t => {
  const file = path.resolve(import.meta.dirname, '../../src/base/assert.ts')
  const program = `import(${JSON.stringify(file)}).then(one => one.verify(() => false, 'ran'))`
  const run = (variable: string | undefined): Buffer =>
    execFileSync(process.execPath, ['--no-warnings', '-e', program], {
      env: { ...process.env, GATEHOUSE_VERIFY: variable },
      stdio: 'pipe',
    })
  t.throws(() => run('1'), /AssertionError: ran/)
  for (const variable of [undefined, '', '0']) t.equal(run(variable).length, 0)
})
