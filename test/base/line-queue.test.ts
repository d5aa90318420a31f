/**
 * Lines for a slow reader: in order, bounded, with the lost ones counted.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { LineQueue } from '../../src/base/line-queue.ts'

const lost = (lines: number): string => `lost ${lines}\n`

t.test('lines come in pieces, as they were put in', async t => {
  const queue = new LineQueue()
  const ending = new AbortController()
  const pieces = queue.pieces(ending.signal, lost)[Symbol.asyncIterator]()
  queue.push('a\n')
  queue.push('b\n')
  t.same(await pieces.next(), { done: false, value: 'a\nb\n' })
  const next = pieces.next()
  queue.push('c\n')
  t.same(await next, { done: false, value: 'c\n' })
  const last = pieces.next()
  ending.abort()
  t.equal((await last).done, true)
})

t.test('beyond the bound lines are counted', async t => {
  const queue = new LineQueue()
  const ending = new AbortController()
  for (let i = 0; i < limits.monitorLines + 7; i++) queue.push('x\n')
  const pieces = queue.pieces(ending.signal, lost)[Symbol.asyncIterator]()
  const { value } = await pieces.next()
  t.equal(value.length, limits.monitorLines * 2 + 'lost 7\n'.length)
  t.ok(value.endsWith('x\nlost 7\n'))
  queue.push('y\n')
  t.equal((await pieces.next()).value, 'y\n', 'and it goes on')
  ending.abort()
})
