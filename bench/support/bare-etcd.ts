/**
 * A bare client of etcd: one put a request, so many at a time, for so many seconds. Prints puts a
 * second.
 *
 *     bare-etcd.ts <endpoint> <concurrency> <seconds>
 */
import { connectEtcd } from '../../src/store/etcd/client.ts'

const [endpoint = '', concurrency = '1', seconds = '1'] = process.argv.slice(2)
const KEYS = 1_000
const PADDING = 'x'.repeat(48)

const etcd = await connectEtcd([endpoint])
let done = 0
const beganMs = performance.now()
const endMs = beganMs + Number(seconds) * 1_000
await Promise.all(
  Array.from({ length: Number(concurrency) }, async (_, first) => {
    for (let i = first; performance.now() < endMs; i += Number(concurrency)) {
      const key = Buffer.from(`bare/${i % KEYS}`)
      const value = Buffer.from(`${i}-${PADDING}`)
      await etcd.txn({ success: [{ requestPut: { key, value } }] })
      done++
    }
  }),
)
process.stdout.write(`${(done * 1_000) / (performance.now() - beganMs)}\n`)
etcd.close()
