/** Threads that hash passwords. */
import tap from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { Passwords } from '../../../src/base/io/passwords.ts'
import { limits } from '../../../src/base/limits.ts'

tap.test('a password is hashed, and known again', async t => {
  const passwords = new Passwords(systemRandom)
  t.teardown(() => passwords.close())
  const [hash, other] = await Promise.all([passwords.hash('right'), passwords.hash('right')])
  t.not(hash, other, 'each has a salt of its own')
  const answers = await Promise.all([
    passwords.verify('right', hash!),
    passwords.verify('wrong', hash!),
    passwords.verify('right', other!),
  ])
  t.strictSame(answers, [true, false, true])
})

tap.test('more than so many are refused; what waits is, when it closes', async t => {
  const passwords = new Passwords(systemRandom)
  const room = limits.passwordThreads + limits.passwordsWaiting
  const all = Array.from({ length: room + 3 }, () => passwords.hash('x'))
  const outcomes = Promise.allSettled(all)
  await passwords.close()
  const codes = (await outcomes).map(one => (one.status === 'rejected' ? one.reason.code : 'done'))
  const count = (code: string): number => codes.filter(one => one === code).length
  t.strictSame(
    [count('done'), count('closed'), count('busy')],
    [limits.passwordThreads, limits.passwordsWaiting, 3],
  )
})

tap.test('closing lets what runs end, and refuses the rest', async t => {
  const passwords = new Passwords(systemRandom)
  const running = Array.from({ length: limits.passwordThreads }, () => passwords.hash('x'))
  const waiting = passwords.hash('y')
  const closed = passwords.close()
  await t.rejects(waiting, { code: 'closed' })
  t.equal((await Promise.all(running)).length, limits.passwordThreads)
  await closed
  await t.rejects(passwords.hash('z'), { code: 'closed' })
})
