/**
 * What waits for slow readers is counted once for all who wait for the same, and each copy by
 * itself.
 */
import t from 'tap'
import { Pending } from '../../src/feed/pending.ts'

t.test('buffers once, copies each', async t => {
  const pending = new Pending<string>(100)
  const shared = Buffer.alloc(60)
  pending.add('a', shared, false)
  pending.add('b', shared, false)
  t.strictSame([pending.sizeBytes, pending.readers, pending.isOver], [60, 2, false])
  pending.add('c', shared, true)
  t.strictSame([pending.sizeBytes, pending.isOver, pending.slowest], [120, true, 'a'])
  pending.remove('a')
  t.equal(pending.sizeBytes, 120)
  pending.remove('b')
  t.strictSame([pending.sizeBytes, pending.slowest], [60, 'c'])
  pending.add('c', Buffer.alloc(500), true)
  t.strictSame([pending.sizeBytes, pending.isOver], [500, false], 'the last one may wait')
  pending.remove('c')
  pending.remove('c')
  t.strictSame([pending.sizeBytes, pending.readers], [0, 0])
})
