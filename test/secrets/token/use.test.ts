/** Tokens that may be used a number of times. */
import tap, { type Test } from 'tap'
import { absent } from '../../run/clients.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'
import { onEveryStore, openTwoServers } from '../stores.ts'

async function make(secrets: TestSecrets, data: object): Promise<string> {
  const got = await secrets.post('auth/token/create', { policies: 'app', ttl: '1h', ...data })
  if (got.status !== 200) throw new Error(got.text)
  return got.body.auth.client_token
}

async function open(t: Test, store?: Parameters<typeof openSecrets>[1]): Promise<TestSecrets> {
  const secrets = await openSecrets(t, store)
  await secrets.mount('kv', 'kv/')
  const policy = 'path "kv/*" { capabilities = ["create", "read", "update"] }'
  await secrets.post('sys/policies/acl/app', { policy })
  await secrets.post('kv/a', { v: 1 })
  return secrets
}

tap.test('each request takes a use, also one that is refused; the last one ends the token', t => {
  onEveryStore(t, async (t, newStore) => {
    const secrets = await open(t, { open: () => newStore(t) })
    const token = await make(secrets, { num_uses: 4 })
    const left = async () =>
      (await secrets.post('auth/token/lookup', { token })).body.data?.num_uses
    t.equal(await left(), 4)
    t.equal((await secrets.read('kv/a', { token })).status, 200)
    t.equal(await left(), 3)
    t.equal((await secrets.post('kv/b', { v: 2 }, { token })).status, 204)
    t.equal(await left(), 2)
    t.equal((await secrets.read('sys/mounts', { token })).status, 403, 'no right')
    t.equal(await left(), 1)
    t.equal((await secrets.read('kv/b', { token })).body.data.v, 2, 'the last use')
    t.equal(await left(), undefined, 'and it is gone')
    t.match(await secrets.read('kv/a', { token }), { status: 403, text: /invalid token/ })
  })
  t.end()
})

tap.test('of many at once, as many as there are uses get through', async t => {
  const secrets = await open(t)
  const token = await make(secrets, { num_uses: 5 })
  const asked = Array.from({ length: 20 }, () => secrets.read('kv/a', { token }))
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  t.equal(statuses.filter(status => status === 200).length, 5)
  t.equal(statuses.filter(status => status === 403).length, 15)
})

tap.test('at two servers at once too', { skip: absent('etcd') }, async t => {
  const servers = await openTwoServers(t)
  const [first, second] = servers
  await first.mount('kv', 'kv/')
  await first.post('sys/policies/acl/app', { policy: 'path "kv/*" { capabilities = ["read"] }' })
  await first.post('kv/a', { v: 1 })
  const token = await make(first, { num_uses: 5 })
  const asked = Array.from({ length: 8 }, () => servers.map(one => one.read('kv/a', { token })))
  const statuses = (await Promise.all(asked.flat())).map(({ status }) => status)
  t.equal(statuses.filter(status => status === 200).length, 5)
  t.equal(statuses.filter(status => status === 403).length, 11)
  const parent = await make(first, { policies: 'root' })
  const child = await second.post('auth/token/create', { ttl: '1h' }, { token: parent })
  t.equal((await first.post('auth/token/revoke', { token: parent })).status, 204)
  const asChild = { token: child.body.auth.client_token }
  t.equal((await second.read('kv/a', asChild)).status, 403, 'ended at one, refused at the other')
})

tap.test('a tree that grows at one server ends at another', { skip: absent('etcd') }, async t => {
  const [first, second] = await openTwoServers(t)
  const before = first.rows()
  for (let round = 0; round < 10; round++) {
    const parent = await make(first, { policies: 'root' })
    const grow = Array.from({ length: 8 }, () =>
      second.post('auth/token/create', { ttl: '1h' }, { token: parent }),
    )
    const ended = await first.post('auth/token/revoke', { token: parent })
    t.equal(ended.status, 204)
    for (const made of await Promise.all(grow)) {
      if (made.status !== 200) continue
      const token = made.body.auth.client_token
      t.equal((await first.read('auth/token/lookup-self', { token })).status, 403, 'no orphan')
    }
  }
  t.strictSame(first.rows(), before)
})

tap.test('it makes no children, and no use is taken where no token is asked for', async t => {
  const secrets = await open(t)
  const token = await make(secrets, { num_uses: 3, policies: 'root' })
  t.match(await secrets.post('auth/token/create', {}, { token }), {
    status: 400,
    text: 'restricted use token cannot generate child tokens',
  })
  await secrets.post('sys/wrapping/lookup', { token: 'x' }, { token })
  t.equal((await secrets.post('auth/token/lookup', { token })).body.data.num_uses, 2)
})

tap.test('ending itself in the last use, or before it', async t => {
  const secrets = await open(t)
  for (const num_uses of [1, 2]) {
    const token = await make(secrets, { num_uses })
    t.equal((await secrets.post('auth/token/revoke-self', {}, { token })).status, 204)
    t.equal((await secrets.read('kv/a', { token })).status, 403)
  }
  const rows = secrets.store.view()
  t.ok(rows.revision > 0)
})
