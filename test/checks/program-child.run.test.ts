import { EventEmitter } from 'node:events'
import t from 'tap'
import { type ParentChannel, serveParent } from '../../src/checks/program-child.run.ts'
import type { HostAnswer } from '../../src/checks/program-host.run.ts'
import { until } from './support.ts'

/** A parent in this process. */
class Parent extends EventEmitter implements ParentChannel {
  readonly answers: HostAnswer[] = []

  send(answer: HostAnswer): void {
    this.answers.push(answer)
  }
}

t.test('a parent is answered once for each program, until it is gone', async t => {
  const parent = new Parent()
  serveParent(parent, { PATH: process.env.PATH ?? '' })
  const start = (id: number, ...words: string[]) =>
    parent.emit('message', { id, start: { words, outputMaxSizeBytes: 10 } })
  start(1, 'sh', '-c', 'exit 3')
  start(2, 'sleep', '60')
  start(3, 'sleep', '60')
  start(4, 'echo', 'a\0b')
  await until(() => parent.answers.length === 2, 'two are over')
  parent.emit('message', { id: 2, end: 'timeout' })
  parent.emit('message', { id: 9, end: 'timeout' })
  parent.emit('disconnect')
  await until(() => !process.getActiveResourcesInfo().includes('ProcessWrap'), 'nothing runs')
  t.same(parent.answers.map(({ id, end }) => `${id} ${end.what}`).sort(), [
    '1 exit',
    '2 timeout',
    '4 fault',
  ])
})
