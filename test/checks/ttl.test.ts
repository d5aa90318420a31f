import t from 'tap'
import { clipOutput, lapsed } from '../../src/checks/ttl.ts'

t.test('what a check says when nobody reported', async t => {
  t.same(lapsed(''), { status: 'critical', output: 'TTL expired' })
  t.same(lapsed('all fine'), {
    status: 'critical',
    output: 'TTL expired (last output before timeout follows): all fine',
  })
})

t.test('a long report keeps its beginning and says so', async t => {
  t.equal(clipOutput('short', 5), 'short')
  t.equal(clipOutput('123456', 5), '12345 ... (captured 5 of 6 bytes)')
  t.equal(clipOutput('12€', 4), '12 ... (captured 4 of 5 bytes)')
})
