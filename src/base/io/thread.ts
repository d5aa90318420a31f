/**
 * A thread for arithmetic that would hold the loop: passwords' hashes and RSA. Started by
 * threads.ts alone.
 *
 * Owns the answer to one message at a time. Must never write what it is given anywhere.
 */
import { generateKeyPairSync, privateDecrypt, sign } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'
import { drawNamed } from '../draw-key.ts'
import { hashPasswordNow, isBcrypt, isPasswordNow } from '../password-hash.ts'
import type { Job, JobKind, Jobs } from './threads.ts'

type Doers = { readonly [K in JobKind]: (given: Jobs[K]['given']) => Jobs[K]['gives'] }

const doers: Doers = {
  hashPassword: ({ password, salt }) => hashPasswordNow(password, salt),
  isPassword: ({ password, hash }) =>
    isBcrypt(hash) ? compareSync(password, hash) : isPasswordNow(password, hash),
  generateRsa: ({ bits }) => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey,
  generateNamed: ({ name }) => drawNamed(name),
  sign: ({ hash, data, ...how }) => sign(hash, data, how),
  decrypt: ({ data, ...how }) => privateDecrypt(how, data),
}

/** Does a job. Throws what node:crypto throws. */
export const doJob = <K extends JobKind>({ kind, given }: Job<K>): Jobs[K]['gives'] =>
  doers[kind](given)

parentPort?.on('message', (job: Job) => {
  try {
    parentPort!.postMessage({ gives: doJob(job) })
  } catch (error) {
    parentPort!.postMessage({ error })
  }
})
