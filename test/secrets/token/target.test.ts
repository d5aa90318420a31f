/** Live tokens are not hashed for each request; of all others, none is told from the next. */
import tap from 'tap'
import { wallMs } from '../../../src/base/brand.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { tokenOfSecret } from '../../../src/secrets/token/target.ts'
import { openSecrets } from '../harness.ts'

tap.test('a live token is hashed once, an ended one as often as one that never was', async t => {
  const test = await openSecrets(t)
  const barrier = test.barrier!
  const hashOf = barrier.hashOf.bind(barrier)
  let hashes = 0
  barrier.hashOf = secret => {
    hashes++
    return hashOf(secret)
  }
  const workOf = (secret: string) => {
    hashes = 0
    const draft = new Draft(test.store.view(), barrier, wallMs(0), systemRandom)
    const found = tokenOfSecret(draft, secret) !== undefined
    return { found, hashes }
  }
  const made = await test.post('auth/token/create', { policies: 'default' })
  const { client_token: secret } = made.body.auth
  t.strictSame(workOf(secret), { found: true, hashes: 1 })
  t.strictSame(workOf(secret), { found: true, hashes: 0 })
  const nobodys = `${secret.slice(0, -1)}${secret.endsWith('x') ? 'y' : 'x'}`
  t.strictSame(workOf(nobodys), { found: false, hashes: 1 })
  t.strictSame(workOf(nobodys), { found: false, hashes: 1 }, 'a guess is not remembered')
  await test.post('auth/token/revoke', { token: secret })
  t.strictSame(workOf(secret), { found: false, hashes: 1 })
})
