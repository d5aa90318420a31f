/**
 * The thread of a cipher-lane.ts, which alone starts it: texts come, are encrypted or decrypted
 * where they lie, and go back.
 *
 * Owns nothing: what it is given is another's again when it is done.
 */
import { parentPort } from 'node:worker_threads'
import { type CipherRun, runCiphers } from './cipher-run.ts'

parentPort?.on('message', (run: CipherRun) => {
  const done = runCiphers(run)
  parentPort!.postMessage(done, [done.memory.buffer, done.sizesBytes.buffer])
})
