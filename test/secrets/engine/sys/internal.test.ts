/** `sys/internal`. */
import tap from 'tap'
import { openSecrets } from '../../harness.ts'

tap.test('mounts are listed as somebody sees them', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/mounts/open', {
    type: 'kv-v2',
    description: 'for all',
    config: { listing_visibility: 'unauth' },
  })
  await secrets.post('sys/mounts/closed', { type: 'kv' })
  const { data } = (await secrets.read('sys/internal/ui/mounts', { token: '' })).body
  t.strictSame(data, {
    secret: { 'open/': { type: 'kv', description: 'for all', options: { version: '2' } } },
    auth: {},
  })
  const all = (await secrets.read('sys/internal/ui/mounts')).body.data
  t.strictSame(Object.keys(all.secret), ['closed/', 'cubbyhole/', 'identity/', 'open/', 'sys/'])
  t.match(all.auth['token/'], { accessor: /^auth_token_/ })
  t.equal((await secrets.read('sys/internal/ui/mounts', { token: 'nobody' })).status, 403)
})

tap.test('the mount of a path is told to who sees it, and to nobody else', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/mounts/team/a', { type: 'kv-v2' })
  const got = await secrets.read('sys/internal/ui/mounts/team/a/x/y')
  t.match(got.body.data, { path: 'team/a/', type: 'kv', options: { version: '2' } })
  t.match(await secrets.read('sys/internal/ui/mounts/none/x'), {
    status: 403,
    text: /^preflight capability check returned 403, please .* access to path "none\/x\/"$/,
  })
  t.equal((await secrets.read('sys/internal/ui/mounts/team/a', { token: '' })).status, 403)
})

tap.test('there are no feature flags', async t => {
  const secrets = await openSecrets(t)
  const got = await secrets.read('sys/internal/ui/feature-flags', { token: '' })
  t.strictSame(got.body, { feature_flags: [] })
})
