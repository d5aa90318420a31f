/** The thread beside the loop: batches go there and come back, and nobody waits in vain. */
import { randomBytes } from 'node:crypto'
import tap from 'tap'
import { CipherLane } from '../../../src/base/io/cipher-lane.ts'
import type { CipherRun } from '../../../src/base/io/cipher-run.ts'
import { limits } from '../../../src/base/limits.ts'

const KEY = randomBytes(32)

/** One text of a byte. */
function runOf(byte: number, cipher = 'aes-256-gcm'): CipherRun {
  const memory = new Uint8Array(KEY.length + 12 + 1 + 16)
  memory.set(KEY)
  memory[KEY.length + 12] = byte
  const sizesBytes = Uint32Array.of(1)
  return { cipher, isSealing: true, keySizeBytes: 32, memory, sizesBytes, isWhole: true }
}

tap.test('memory is handed over, and back in order with its key wiped', async t => {
  const lane = new CipherLane(2)
  t.teardown(() => lane.close())
  const runs = Array.from({ length: limits.cipherLaneWaiting }, (_, at) => runOf(at))
  const pending = runs.map(run => lane.run(run))
  const more = lane.run(runOf(9)) as CipherRun
  t.equal(more.isWhole, true, 'where it has enough to do another one is done at once')
  t.ok(
    runs.every(({ memory }) => memory.length === 0),
    'nobody has two of it',
  )
  for (const [at, done] of (await Promise.all(pending)).entries()) {
    if (done === undefined) return t.fail('the thread was lost')
    t.ok(done.memory.subarray(0, KEY.length).every(byte => byte === 0))
    done.memory.set(KEY)
    const opened = await lane.run({ ...done, isSealing: false })
    t.equal(opened?.isWhole, true)
    t.equal(opened?.memory[KEY.length + 12], at)
  }
})

tap.test('who waits hears of a thread that ended, and the next one starts another', async t => {
  const lane = new CipherLane(2)
  const [lost, also] = [lane.run(runOf(1, 'no-such-cipher')), lane.run(runOf(2))]
  t.strictSame([await lost, await also], [undefined, undefined])
  t.equal((await lane.run(runOf(3)))?.isWhole, true)
  const last = lane.run(runOf(4))
  await lane.close()
  t.equal((await last)?.isWhole, true, 'what was begun is done')
  t.equal((lane.run(runOf(5)) as CipherRun).isWhole, true, 'and then each at once')
})

tap.test('with one core all is done at once', t => {
  const done = new CipherLane(1).run(runOf(1)) as CipherRun
  t.equal(done.isWhole, true)
  t.ok(done.memory.subarray(0, KEY.length).every(byte => byte === 0))
  t.end()
})
