/**
 * The runner must notice each way in which a test file can go wrong; fixtures/ holds one file
 * for each.
 */
import { readlinkSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { runFile } from './file.ts'

const run = (name: string, boundMs = 20_000) =>
  runFile(`test/run/fixtures/${name}.ts`, boundMs, {
    GATEHOUSE_MODE: 'short',
    GATEHOUSE_BUDGET_MS: '0',
  })

t.test('counts leaves, skips and cases', async t => {
  const result = await run('good')
  t.same(result.failures, [])
  t.equal(result.passed, 3)
  t.match(result.skipped, [/left out: not here/])
  t.same([...result.reached], [['cases', 6]])
})

t.test('a failed assertion and a thrown error', async t => {
  const result = await run('bad')
  t.equal(result.failures.length, 2)
  t.match(result.failures[0], { name: /compares/, detail: /file|at:|diff/ })
  t.match(result.failures[1], { name: /throws/ })
})

t.test('a file without assertions', async t => {
  t.match((await run('empty')).failures, [{ name: 'asserted nothing' }])
})

t.test('a file that outlives its bound', async t => {
  const result = await run('hangs', 1_500)
  t.match(result.failures[0], { name: /took longer than 1.5 s and was killed/ })
})

t.test('a process left behind is named and killed', async t => {
  const result = await run('leaves')
  t.match(result.failures, [{ name: /left a process behind: \d+ sleep 60/ }])
  const pid = /\d+/.exec(result.failures[0]?.name ?? '')?.[0]
  // SIGKILL was sent; how soon the kernel ends it is a matter of the machine's load.
  for (let tries = 0; tries < 500 && isRunning(pid); tries++) await setTimeout(10)
  t.notOk(isRunning(pid), 'ended, though maybe not yet reaped')
})

t.test('an exit code that contradicts the report', async t => {
  t.match((await run('crashes')).failures, [{ name: 'ended with 3' }])
})

/** A process that ended and was not reaped yet has no program any more. */
function isRunning(pid: string | undefined): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== ''
  } catch {
    return false
  }
}
