/**
 * A thread that generates RSA keys one after the other, as a worker of the program would: in a
 * thread of its own, synchronously, never in the pool that belongs to the disk, and at the lowest
 * priority, so that it takes only what the loop and the disk leave.
 */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { workerData } from 'node:worker_threads'

/** On Linux a thread has a priority of its own, by the last part of this link: its id. */
const THREAD_SELF = '/proc/thread-self'

if (existsSync(THREAD_SELF)) {
  const threadId = Number(readlinkSync(THREAD_SELF).split('/').at(-1))
  setPriority(threadId, constants.priority.PRIORITY_LOW)
}
const { count, bits } = workerData as { count: number; bits: number }
for (let made = 0; made < count; made++) generateKeyPairSync('rsa', { modulusLength: bits })
