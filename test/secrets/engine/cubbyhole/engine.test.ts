/** The cubbyhole of a token. */
import tap from 'tap'
import { openSecrets, type TestSecrets } from '../../harness.ts'

async function make(secrets: TestSecrets, data: object = {}): Promise<string> {
  const got = await secrets.post('auth/token/create', { policies: 'default', ttl: '1h', ...data })
  return got.body.auth.client_token
}

tap.test('each token finds what it keeps itself, and nobody else does', async t => {
  const secrets = await openSecrets(t)
  const [ann, bob] = [await make(secrets), await make(secrets)]
  t.equal((await secrets.post('cubbyhole/a/b', { v: 1 }, { token: ann })).status, 204)
  t.equal((await secrets.post('cubbyhole/c', { v: 2 })).status, 204, "the root token's")
  t.strictSame((await secrets.read('cubbyhole/a/b', { token: ann })).body.data, { v: 1 })
  t.strictSame((await secrets.list('cubbyhole', { token: ann })).body.data.keys, ['a/'])
  t.strictSame((await secrets.ask('scan', 'cubbyhole')).body.data.keys, ['c'])
  for (const token of [bob, undefined]) {
    const asked = token === undefined ? {} : { token }
    t.equal((await secrets.read('cubbyhole/a/b', asked)).status, 404)
  }
  t.equal((await secrets.list('cubbyhole', { token: bob })).status, 404)
  t.equal((await secrets.remove('cubbyhole/a/b', { token: ann })).status, 204)
  t.equal((await secrets.read('cubbyhole/a/b', { token: ann })).status, 404)
  t.match(await secrets.post('cubbyhole/x', {}, { token: ann }), {
    status: 400,
    text: 'missing data fields',
  })
})

tap.test('it goes with the token', async t => {
  const secrets = await openSecrets(t)
  const rows = () => secrets.rows()
  const before = rows()
  const token = await make(secrets)
  for (const name of ['a', 'b', 'c/d']) await secrets.post(`cubbyhole/${name}`, { v: 1 }, { token })
  t.equal(rows().length, before.length + 1 + 3, 'its row, and what it keeps')
  await secrets.post('auth/token/revoke', { token })
  t.strictSame(rows(), before)
})

tap.test('batch tokens have none', async t => {
  const secrets = await openSecrets(t)
  const token = await make(secrets, { type: 'batch' })
  const text = "cubbyhole operations are only supported by 'service' type tokens"
  t.match(await secrets.post('cubbyhole/a', { v: 1 }, { token }), { status: 400, text })
  t.match(await secrets.read('cubbyhole/a', { token }), { status: 400, text })
})
