/** What a thread that hashes passwords answers. */
import tap from 'tap'
import { doJob } from '../../../src/base/io/password-worker.ts'

tap.test('a job is a hash to be made, or one to be held against a password', t => {
  const { hash = '' } = doJob({ password: 'right', salt: new Uint8Array(16) })
  t.match(hash, /^\$argon2id\$/)
  t.strictSame(doJob({ password: 'right', hash }), { isRight: true })
  t.strictSame(doJob({ password: 'wrong', hash }), { isRight: false })
  t.end()
})
