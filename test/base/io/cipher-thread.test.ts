/** What the thread of a lane answers. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import tap from 'tap'

tap.test('it hands back what it was given', async t => {
  const file = new URL('../../../src/base/io/cipher-thread.ts', import.meta.url)
  const worker = new Worker(file)
  t.teardown(() => worker.terminate())
  const memory = new Uint8Array(32 + 12 + 16)
  const sizesBytes = Uint32Array.of(0)
  const facts = { cipher: 'aes-256-gcm', isSealing: true, keySizeBytes: 32, isWhole: true }
  worker.postMessage({ ...facts, memory, sizesBytes }, [memory.buffer, sizesBytes.buffer])
  const [done] = await once(worker, 'message')
  t.equal(done.isWhole, true)
  t.ok(
    done.memory.subarray(-16).some((byte: number) => byte !== 0),
    'there is a tag',
  )
})
