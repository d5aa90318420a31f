/** What was used recently is kept, within a bound. */
import tap from 'tap'
import { Recent } from '../../src/base/recent.ts'

tap.test('what is used stays, what is not goes, and the bound holds', async t => {
  const recent = new Recent<number, string>(10)
  for (let at = 0; at < 1_000; at++) {
    recent.set(at, `${at}`)
    t.equal(recent.get(0), '0')
    if (recent.size > 20) t.fail(`${recent.size} are kept`)
  }
  for (let at = 991; at < 1_000; at++) t.equal(recent.get(at), `${at}`)
  t.equal(recent.get(500), undefined)
  recent.clear()
  t.equal(recent.get(0), undefined)
  t.equal(recent.size, 0)
})
