/**
 * A thread that hashes passwords; started by password-workers.ts alone.
 *
 * Owns the answer to one message at a time. Must never write what it is given anywhere.
 */
import { parentPort } from 'node:worker_threads'
import { hashPasswordNow, isPasswordNow } from '../password-hash.ts'
import type { PasswordDone, PasswordJob } from './password-workers.ts'

/** Does a job: a hash with the salt that is given, or whether a password has a hash. */
export const doJob = ({ password, salt, hash }: PasswordJob): PasswordDone =>
  hash === undefined
    ? { hash: hashPasswordNow(password, salt!) }
    : { isRight: isPasswordNow(password, hash) }

parentPort?.on('message', (job: PasswordJob) => parentPort!.postMessage(doJob(job)))
