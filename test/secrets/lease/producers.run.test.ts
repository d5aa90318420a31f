/** Which paths have the most leases. */
import t from 'tap'
import { openSecrets } from '../harness.ts'

t.test('by the path that gave them, most first, of one namespace', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/auth/userpass', { type: 'userpass' })
  await secrets.post('auth/userpass/users/ann', { password: 'correct horse' })
  const login = () =>
    secrets.post('auth/userpass/login/ann', { password: 'correct horse' }, { token: '' })
  for (let i = 0; i < 3; i++) await login()
  await secrets.post('auth/token/create', { ttl: '1h' })
  const ended = await login()
  await secrets.post('auth/token/revoke', { token: ended.body.auth.client_token })
  await secrets.post('sys/namespaces/east')
  await secrets.post('auth/token/create', { ttl: '1h' }, { namespace: 'east' })
  const shown = await secrets.read('sys/leases/producers')
  t.strictSame(shown.body.data.producers, [
    { path: 'auth/userpass/login/ann', leases: 3, has_more: false },
    { path: 'auth/token/create', leases: 1, has_more: false },
  ])
  const first = await secrets.read('sys/leases/producers', { data: { limit: 1 } })
  t.equal(first.body.data.producers.length, 1)
  const east = await secrets.read('sys/leases/producers', { namespace: 'east' })
  t.match(east.body.data.producers, [{ path: 'auth/token/create', leases: 1 }])
})

t.test('only who has sudo', async t => {
  const secrets = await openSecrets(t)
  const policy = 'path "sys/leases/*" { capabilities = ["read"] }'
  await secrets.post('sys/policies/acl/half', { policy })
  const made = await secrets.post('auth/token/create', { policies: 'half' })
  const token = made.body.auth.client_token
  t.equal((await secrets.read('sys/leases/producers', { token })).status, 403)
})
