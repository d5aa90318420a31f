/** What is there is gone on with at once, what will be is waited for. */
import tap from 'tap'
import { after } from '../../src/base/at-once.ts'

tap.test('a value is not waited for, a promise is', async t => {
  t.equal(
    after(1, value => value + 1),
    2,
  )
  const later = after(Promise.resolve(1), value => value + 1)
  t.ok(later instanceof Promise)
  t.equal(await later, 2)
  t.equal(await after(1, value => Promise.resolve(value + 1)), 2)
  t.throws(() => after(1, () => fail('at once')), { message: 'at once' })
  await t.rejects(async () => after(Promise.resolve(1), () => fail('later')), { message: 'later' })
})

function fail(text: string): never {
  throw new Error(text)
}
