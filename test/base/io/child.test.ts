/**
 * Children of a command: their input, their end, and signals that reach what they started.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startChild } from '../../../src/base/io/child.ts'
import { until } from '../../clients/process.ts'

const environment = { PATH: process.env.PATH, SEEN: 'yes' }

t.test('reads what it is given, sees its environment alone, and ends with a code', async t => {
  const file = join(t.testdir({}), 'out')
  const line = `{ cat; echo "$SEEN $HOME"; } > ${file}; exit 3`
  const stdin = Buffer.from('input\n')
  const child = await startChild(['/bin/sh', '-c', line], { environment, stdin })
  t.same(await child.ended, { code: 3, signal: undefined })
  t.equal(readFileSync(file, 'utf8'), 'input\nyes \n')
  child.signal('SIGTERM')
})

t.test('one that reads nothing ends as well, whatever it was given', async t => {
  const stdin = Buffer.alloc(1_000_000)
  const child = await startChild(['/bin/true'], { environment, stdin })
  t.same(await child.ended, { code: 0, signal: undefined })
  const none = await startChild(['/bin/cat'], { environment, stdin: 'none' })
  t.same(await none.ended, { code: 0, signal: undefined })
})

t.test('a signal reaches what the child started', async t => {
  const file = join(t.testdir({}), 'pid')
  const line = `sleep 600 & echo $! > ${file}; wait`
  const child = await startChild(['/bin/sh', '-c', line], { environment, stdin: 'none' })
  const pid = await until('it started its own', () => Number(readFileSync(file, 'utf8')) || false)
  child.signal('SIGTERM')
  t.same(await child.ended, { code: undefined, signal: 'SIGTERM' })
  await until('its own is gone', () => !isRunning(pid))
  t.pass('gone')
})

t.test('what cannot be started is said', async t => {
  await t.rejects(startChild(['/none/such'], { environment, stdin: 'none' }), /ENOENT/)
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
