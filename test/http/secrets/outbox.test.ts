/** Answers of one turn leave together, in their order, and none waits for many. */
import type { ServerResponse } from 'node:http'
import tap from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { Outbox } from '../../../src/http/secrets/outbox.ts'

const fake = (ended: string[]): ServerResponse =>
  ({ end: (body: string) => ended.push(body) }) as unknown as ServerResponse

tap.test('they wait for the end of the turn', async t => {
  const [outbox, ended]: [Outbox, string[]] = [new Outbox(), []]
  outbox.end(fake(ended), 'a')
  outbox.end(fake(ended), 'b')
  await Promise.resolve()
  t.strictSame(ended, [])
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(ended, ['a', 'b'])
  outbox.end(fake(ended), 'c')
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(ended, ['a', 'b', 'c'])
})

tap.test('they do not wait once there are many', async t => {
  const [outbox, ended]: [Outbox, string[]] = [new Outbox(), []]
  for (let i = 0; i < limits.answersTogether; i++) outbox.end(fake(ended), String(i))
  t.equal(ended.length, limits.answersTogether)
  outbox.end(fake(ended), 'next')
  t.equal(ended.length, limits.answersTogether, 'the next one waits for its own')
  await new Promise(resolve => setImmediate(resolve))
  t.equal(ended.at(-1), 'next')
})
