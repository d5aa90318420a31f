/** Threads that hash passwords. */
import tap from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { PasswordWorkers } from '../../../src/base/io/password-workers.ts'
import { limits } from '../../../src/base/limits.ts'

tap.test('a password is hashed, and known again', async t => {
  const workers = new PasswordWorkers(systemRandom)
  t.teardown(() => workers.close())
  const [hash, other] = await Promise.all([workers.hash('right'), workers.hash('right')])
  t.not(hash, other, 'each has a salt of its own')
  const answers = await Promise.all([
    workers.verify('right', hash!),
    workers.verify('wrong', hash!),
    workers.verify('right', other!),
  ])
  t.strictSame(answers, [true, false, true])
})

tap.test('more than so many are refused; what waits is, when it closes', async t => {
  const workers = new PasswordWorkers(systemRandom)
  const room = limits.passwordThreads + limits.passwordsWaiting
  const all = Array.from({ length: room + 3 }, () => workers.hash('x'))
  const outcomes = Promise.allSettled(all)
  await workers.close()
  const codes = (await outcomes).map(one => (one.status === 'rejected' ? one.reason.code : 'done'))
  const count = (code: string): number => codes.filter(one => one === code).length
  t.strictSame(
    [count('done'), count('closed'), count('busy')],
    [limits.passwordThreads, limits.passwordsWaiting, 3],
  )
})

tap.test('closing lets what runs end, and refuses the rest', async t => {
  const workers = new PasswordWorkers(systemRandom)
  const running = Array.from({ length: limits.passwordThreads }, () => workers.hash('x'))
  const waiting = workers.hash('y')
  const closed = workers.close()
  await t.rejects(waiting, { code: 'closed' })
  t.equal((await Promise.all(running)).length, limits.passwordThreads)
  await closed
  await t.rejects(workers.hash('z'), { code: 'closed' })
})
