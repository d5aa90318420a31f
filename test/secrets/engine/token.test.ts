/** Tokens by tokens: `auth/token`. */
import tap from 'tap'
import { openSecrets } from '../harness.ts'

tap.test('a token is made, shown, renewed and ended', async t => {
  const secrets = await openSecrets(t)
  const made = await secrets.post('auth/token/create', {
    policies: 'b,A',
    ttl: '1h',
    meta: { a: '1' },
  })
  t.match(made.body.auth, {
    client_token: /^hvs\.\w{24}$/,
    accessor: /^\w{24}$/,
    policies: ['a', 'b', 'default'],
    token_policies: ['a', 'b', 'default'],
    metadata: { a: '1' },
    lease_duration: 3600,
    renewable: true,
    entity_id: '',
    token_type: 'service',
    orphan: false,
    mfa_requirement: null,
    num_uses: 0,
  })
  const { client_token: token, accessor } = made.body.auth
  const shown = await secrets.post('auth/token/lookup', { token })
  t.match(shown.body.data, { id: token, accessor, ttl: 3599, type: 'service', orphan: false })
  t.equal(
    (await secrets.post('auth/token/renew', { token, increment: '2h' })).body.auth.lease_duration,
    7200,
  )
  t.equal((await secrets.post('auth/token/revoke', { token })).status, 204)
  t.match(await secrets.post('auth/token/lookup', { token }), { status: 403, text: 'bad token' })
})
