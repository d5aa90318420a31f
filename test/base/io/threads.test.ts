/** The end of threads: jobs under way are waited for, also where their thread dies of them. */
import { Worker } from 'node:worker_threads'
import tap from 'tap'
import { Threads } from '../../../src/base/io/threads.ts'

const bounds = { threads: 1, waiting: 4, busy: 'too many' }
const DRAWING = { bits: 4_096 }

tap.test('what is under way is done before the end, and what waits is refused', async t => {
  const threads = new Threads(bounds)
  const under = threads.do('generateRsa', { bits: 2_048 })
  const waits = threads.do('generateRsa', DRAWING)
  const refused = t.rejects(waits, { code: 'closed' })
  await threads.close()
  t.equal((await under).asymmetricKeyType, 'rsa')
  await refused
  await t.rejects(threads.do('generateRsa', DRAWING), { code: 'closed' })
})

tap.test('a thread that dies holds the end up for nobody', async t => {
  const { postMessage } = Worker.prototype
  t.teardown(() => {
    Worker.prototype.postMessage = postMessage
  })
  let worker: Worker | undefined
  Worker.prototype.postMessage = function (this: Worker, job: unknown) {
    worker = this
    postMessage.call(this, job)
  }
  const threads = new Threads(bounds)
  const lost = t.rejects(threads.do('generateRsa', DRAWING), /ended/)
  const closed = threads.close()
  await worker!.terminate()
  await lost
  await closed
})
