/**
 * A thread that generates RSA keys one after the other, as a worker of the program would: in a
 * thread of its own, synchronously, never in the pool that belongs to the disk.
 */
import { generateKeyPairSync } from 'node:crypto'
import { workerData } from 'node:worker_threads'

const { count, bits } = workerData as { count: number; bits: number }
for (let made = 0; made < count; made++) generateKeyPairSync('rsa', { modulusLength: bits })
