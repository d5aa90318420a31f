/**
 * Mounts, auth methods, audit devices, policies, tokens, leases and namespaces.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { enveloped } from '../../fake/secrets-server.ts'
import { onServer, table } from './support.ts'

t.test('secrets engines', async t => {
  const { ask, server } = await onServer(t)
  server.on('POST sys/mounts/kv-v2', '', 204)
  server.on('POST sys/mounts/team', '', 204)
  server.on('DELETE sys/mounts/team', '', 204)
  server.on('POST sys/mounts/team/tune', '', 204)
  const enabled = await ask('secrets enable kv-v2')
  t.equal(enabled.out, 'Success! Enabled the kv-v2 secrets engine at: kv-v2/')
  t.match(server.asks.at(-1)?.body, { type: 'kv-v2', config: { default_lease_ttl: '0s' } })
  await ask(
    'secrets enable -path=team/ -version=2 -options=a=b -max-lease-ttl=2h -listing-visibility=hidden -passthrough-request-headers=X-A kv',
  )
  t.match(server.asks.at(-1)?.body, {
    type: 'kv',
    options: { a: 'b', version: '2' },
    config: {
      max_lease_ttl: '7200s',
      listing_visibility: 'hidden',
      passthrough_request_headers: ['X-A'],
    },
  })
  const tuned = await ask(
    'secrets tune -description= -default-lease-ttl=-1s -max-lease-ttl=1d team',
  )
  t.equal(tuned.out, 'Success! Tuned the secrets engine at: team/')
  const tune = { default_lease_ttl: 'system', max_lease_ttl: '86400s', description: '' }
  t.strictSame(server.asks.at(-1)?.body, tune)
  const disabled = await ask('secrets disable team/')
  t.equal(disabled.out, 'Success! Disabled the secrets engine (if it existed) at: team/')
  t.match(await ask('secrets enable x'), { code: 2, error: 'Error enabling: Error making API' })
})

t.test('the list of secrets engines', async t => {
  const { ask, server } = await onServer(t)
  const config = { default_lease_ttl: 0, max_lease_ttl: 60, force_no_cache: false }
  const mounts = {
    'sys/': { type: 'system', accessor: 's1', description: 'system endpoints', config },
    'kv/': { type: 'kv', accessor: 'k1', description: '', config, options: { version: '2' } },
  }
  server.on('GET sys/mounts', enveloped(mounts))
  t.equal(
    (await ask('secrets list')).out,
    table(`
    Path    Type      Accessor    Description
    ----    ----      --------    -----------
    kv/     kv        k1          n/a
    sys/    system    s1          system endpoints
    `),
  )
  const { out } = await ask('secrets list -detailed')
  t.match(out, /^Path +Plugin +Accessor +Default TTL +Max TTL +Force No Cache /)
  t.match(out, /\nkv\/ +kv +k1 +system +60 +false +replicated +n\/a +n\/a +map\[version:2\] /)
  t.match(out, /\nsys\/ +system +s1 +n\/a +n\/a /)
  t.match(JSON.parse((await ask('secrets list -format=json')).out), { 'kv/': { type: 'kv' } })
})

t.test('a mount is moved', async t => {
  const { ask, server } = await onServer(t)
  const status = (status: string) => enveloped({ migration_info: { status } })
  server.on('POST sys/remount', enveloped({ migration_id: 'm1' }))
  server.on('GET sys/remount/status/m1', status('in-progress'))
  server.on('GET sys/remount/status/m1', status('success'))
  const { code, out } = await ask('secrets move team crew/')
  t.equal(code, 0)
  t.match(out, /^Started moving secrets engine team\/ to crew\/, with migration ID m1\nSuccess! /)
  t.same(server.asks[0]?.body, { from: 'team/', to: 'crew/' })
  const failing = await onServer(t)
  failing.server.on('POST sys/remount', enveloped({ migration_id: 'm2' }))
  failing.server.on('GET sys/remount/status/m2', status('failure'))
  const failed = await failing.ask('auth move up people')
  t.match(failed, { code: 2, error: 'Failure! Error encountered moving auth method up/' })
  t.same(failing.server.asks[0]?.body, { from: 'auth/up/', to: 'auth/people/' })
})

t.test('auth methods', async t => {
  const { ask, server } = await onServer(t)
  server.on('POST sys/auth/people', '', 204)
  server.on('POST sys/auth/people/tune', '', 204)
  server.on('DELETE sys/auth/people', '', 204)
  const enabled = await ask('auth enable -path=people -token-type=batch userpass')
  t.equal(enabled.out, 'Success! Enabled userpass auth method at: people/')
  t.match(server.asks.at(-1)?.body, { type: 'userpass', config: { token_type: 'batch' } })
  await ask('auth tune -user-lockout-threshold=3 -user-lockout-duration=1m people')
  t.strictSame(server.asks.at(-1)?.body, {
    user_lockout_config: { lockout_threshold: '3', lockout_duration: '60s' },
  })
  t.match((await ask('auth disable people')).out, 'Disabled the auth method (if it existed) at: ')
  server.on('GET sys/auth', enveloped({ 'token/': { type: 'token', accessor: 'a' } }))
  t.match((await ask('auth list')).out, /^Path +Type +Accessor +Description +Version\n/)
  t.match(await ask('auth enable x'), { code: 2, error: 'Error enabling x auth: ' })
})

t.test('audit devices', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT sys/audit/file', '', 204)
  server.on('DELETE sys/audit/file', '', 204)
  const { out } = await ask('audit enable -description=d file file_path=/tmp/a log_raw=true')
  t.equal(out, 'Success! Enabled the file audit device at: file/')
  const options = { file_path: '/tmp/a', log_raw: 'true' }
  t.strictSame(server.asks.at(-1)?.body, { type: 'file', description: 'd', options, local: false })
  t.match(
    (await ask('audit disable file')).out,
    'Disabled audit device (if it was enabled) at: file/',
  )
  server.on('GET sys/audit', enveloped({}))
  t.match(await ask('audit list'), { code: 2, error: 'No audit devices are enabled.' })
  const other = await onServer(t)
  const device = { type: 'file', description: '', options, local: true }
  other.server.on('GET sys/audit', enveloped({ 'file/': device }))
  t.match(
    (await other.ask('audit list')).out,
    /^Path +Type +Description\n[- ]+\nfile\/ +file +n\/a$/,
  )
  const detailed = await other.ask('audit list -detailed')
  t.match(detailed.out, /local +file_path=\/tmp\/a log_raw=true$/)
})

t.test('policies', async t => {
  const { ask, server } = await onServer(t)
  const folder = t.testdir({ 'web.hcl': 'path "a" {}\n' })
  server.on('PUT sys/policies/acl/web', '', 204)
  server.on('GET sys/policies/acl/web', enveloped({ name: 'web', policy: 'path "a" {}\n' }))
  server.on('GET sys/policies/acl', enveloped({ keys: ['default', 'web'] }))
  server.on('DELETE sys/policies/acl/web', '', 204)
  const written = await ask(`policy write Web ${folder}/web.hcl`)
  t.equal(written.out, 'Success! Uploaded policy: web')
  t.match(written.error, 'Policy name was converted from "Web" to "web"')
  t.same(server.asks.at(-1)?.body, { policy: 'path "a" {}\n' })
  await ask('policy write web -', { stdin: 'path "b" {}' })
  t.same(server.asks.at(-1)?.body, { policy: 'path "b" {}' })
  t.equal((await ask('policy read web')).out, 'path "a" {}')
  t.same(JSON.parse((await ask('policy read -format=json web')).out), { policy: 'path "a" {}\n' })
  t.match(await ask('policy read none'), { code: 2, error: 'No policy named: none' })
  t.equal((await ask('policy list')).out, 'default\nweb')
  t.equal((await ask('policy delete web')).out, 'Success! Deleted policy: web')
  t.match(await ask('policy write web /none'), { code: 2, error: 'Error opening policy file' })
})

t.test('the file of a policy is laid out', async t => {
  const { ask } = await onServer(t)
  const folder = t.testdir({})
  const file = join(folder, 'web.hcl')
  const text = [
    '# who reads',
    'path   "secret/*"{',
    'capabilities=["read",  "list"]   # both',
    '    min_wrapping_ttl  =  "1s"',
    '',
    '',
    '  allowed_parameters = {',
    '"a"=[ ]',
    '  }',
    '}',
  ]
  writeFileSync(file, text.join('\n'), { mode: 0o640 })
  t.match(await ask(`policy fmt ${file}`), { code: 0, out: `Success! Formatted policy: ${file}` })
  t.equal(
    readFileSync(file, 'utf8'),
    `${table(`
    # who reads
    path "secret/*" {
      capabilities     = ["read", "list"] # both
      min_wrapping_ttl = "1s"

      allowed_parameters = {
        "a" = []
      }
    }
    `)}\n`,
  )
  writeFileSync(file, 'path {')
  t.match(await ask(`policy fmt ${file}`), { code: 1, error: 'line 1, column 7' })
  t.equal(readFileSync(file, 'utf8'), 'path {', 'it stays as it was')
  writeFileSync(file, '{}')
  t.match(await ask(`policy fmt ${file}`), { code: 1, error: 'it is JSON' })
})

t.test('a policy is looked over', async t => {
  const { ask, server } = await onServer(t)
  const folder = t.testdir({
    'web.hcl': '# web\npath "secret/web" {\n  capabilities = ["read"]\n}\n',
    'bad.hcl': 'path "a" {\n  capabilities = ["raed"]\n}\n',
  })
  const kv = { type: 'kv', options: { version: '2' } }
  server.on('GET sys/internal/ui/mounts', enveloped({ secret: { 'secret/': kv }, auth: {} }))
  const { code, out } = await ask(`policy lint ${folder}/web.hcl`)
  t.equal(code, 0)
  t.match(out, new RegExp(`^${folder}/web.hcl:2: warning: .*data/`))
  t.equal((await ask(`policy lint -strict ${folder}/web.hcl`)).code, 1)
  server.taken()
  const offline = await ask(`policy lint -offline -strict ${folder}/web.hcl`)
  t.same(offline, { code: 0, out: 'Nothing found', error: '' })
  t.same(server.taken(), [])
  const bad = await ask(`policy lint -offline -format=json ${folder}/bad.hcl`)
  t.equal(bad.code, 1)
  t.match(JSON.parse(bad.out), [{ file: `${folder}/bad.hcl`, line: 2, severity: 'error' }])
  const stdin = 'path "v1/x" { capabilities = ["read"] }'
  t.match(await ask('policy lint -offline -', { stdin }), { code: 0, out: /^-:1: warning: never/ })
  t.match(await ask('policy lint /none'), { code: 1, error: 'Error opening policy file' })
})

t.test('tokens', async t => {
  const { ask, server } = await onServer(t)
  const auth = { client_token: 'hvs.n', accessor: 'a', policies: [], lease_duration: 60 }
  const answer = enveloped(null, { auth: { ...auth, metadata: null, renewable: true } })
  server.on('POST auth/token/create', answer)
  server.on('POST auth/token/create/ops', answer)
  t.equal((await ask('token create -field=token')).out, 'hvs.n')
  const plain = { type: 'service', renewable: true, no_parent: false, no_default_policy: false }
  t.strictSame(server.asks.at(-1)?.body, plain)
  await ask(
    'token create -role=ops -policy=a,b -policy=c -ttl=90m -period=1d -explicit-max-ttl=48h -use-limit=3 -orphan -no-default-policy -display-name=n -metadata=k=v -type=batch',
  )
  t.match(server.asks.at(-1), {
    url: '/v1/auth/token/create/ops',
    body: {
      policies: ['a', 'b', 'c'],
      ttl: '5400s',
      period: '86400s',
      explicit_max_ttl: '172800s',
      num_uses: 3,
      no_parent: true,
      no_default_policy: true,
      display_name: 'n',
      meta: { k: 'v' },
      type: 'batch',
      renewable: false,
    },
  })
  const paths: [string, string, object | string][] = [
    ['token lookup', 'GET auth/token/lookup-self', ''],
    ['token lookup -', 'POST auth/token/lookup', { token: 'hvs.in' }],
    ['token lookup -accessor acc', 'POST auth/token/lookup-accessor', { accessor: 'acc' }],
    ['token renew', 'PUT auth/token/renew-self', { increment: 0 }],
    ['token renew -i 90s -', 'PUT auth/token/renew', { token: 'hvs.in', increment: 90 }],
    [
      'token renew -increment=2m -accessor acc',
      'POST auth/token/renew-accessor',
      { accessor: 'acc', increment: 120 },
    ],
    ['token revoke -self', 'PUT auth/token/revoke-self', ''],
    ['token revoke -', 'PUT auth/token/revoke', { token: 'hvs.in' }],
    ['token revoke -accessor acc', 'POST auth/token/revoke-accessor', { accessor: 'acc' }],
    ['token revoke -mode=orphan hvs.o', 'PUT auth/token/revoke-orphan', { token: 'hvs.o' }],
    ['token revoke -mode=path auth/up', 'PUT sys/leases/revoke-prefix/auth/up', ''],
  ]
  server.taken()
  for (const [line, asked, body] of paths) {
    server.on(asked, line.includes('revoke') ? '' : enveloped({ ttl: 60 }))
    const { code, out } = await ask(line, { stdin: 'hvs.in\n' })
    t.equal(code, 0, line)
    t.match(out, line.includes('revoke') ? 'Success! Revoked token' : /ttl +1m/)
    t.strictSame(server.asks[0]?.body, body, line)
    t.same(server.taken(), [asked])
  }
})

t.test('capabilities', async t => {
  const { ask, server } = await onServer(t)
  server.on('POST sys/capabilities-self', enveloped({ capabilities: ['update', 'read'] }))
  server.on('POST sys/capabilities', enveloped({ 'secret/a': ['deny'] }))
  t.equal((await ask('token capabilities secret/a')).out, 'read, update')
  t.equal((await ask('token capabilities - secret/a', { stdin: 'hvs.in' })).out, 'deny')
  t.strictSame(server.asks.at(-1)?.body, { token: 'hvs.in', path: 'secret/a' })
  t.same(JSON.parse((await ask('token capabilities -format=json secret/a')).out), [
    'read',
    'update',
  ])
})

t.test('leases', async t => {
  const { ask, server } = await onServer(t)
  const paths: [string, string, object | string, string][] = [
    ['lease lookup a/b', 'PUT sys/leases/lookup', { lease_id: 'a/b' }, 'ttl    1m'],
    [
      'lease renew -increment=1h a/b',
      'PUT sys/leases/renew',
      { lease_id: 'a/b', increment: 3600 },
      'ttl    1m',
    ],
    [
      'lease revoke a/b',
      'PUT sys/leases/revoke',
      { lease_id: 'a/b', sync: false },
      'All revocation',
    ],
    [
      'lease revoke -sync a/b',
      'PUT sys/leases/revoke',
      { lease_id: 'a/b', sync: true },
      'Revoked lease: a/b',
    ],
    [
      'lease revoke -prefix -sync a/',
      'PUT sys/leases/revoke-prefix/a/',
      { sync: true },
      'Success! Revoked any leases with prefix: a/',
    ],
    [
      'lease revoke -force -prefix a',
      'PUT sys/leases/revoke-force/a',
      '',
      'Force revoked any leases',
    ],
  ]
  for (const [line, asked, body, text] of paths) {
    server.on(asked, line.includes('revoke') ? '' : enveloped({ ttl: 60 }))
    const { code, out } = await ask(line)
    t.equal(code, 0, line)
    t.match(out, text, line)
    t.strictSame(server.asks[0]?.body, body, line)
    t.same(server.taken(), [asked])
  }
})

t.test('namespaces', async t => {
  const { ask, server } = await onServer(t)
  const team = { id: 'abc123', path: 'team/', custom_metadata: { owner: 'ada' } }
  server.on('PUT sys/namespaces/team', enveloped(team))
  server.on('GET sys/namespaces/team', enveloped(team))
  server.on('PATCH sys/namespaces/team', enveloped(team))
  server.on('GET sys/namespaces', enveloped({ keys: ['team/'], key_info: { 'team/': team } }))
  t.equal((await ask('namespace create -custom-metadata=owner=ada -field=id team')).out, 'abc123')
  t.same(server.asks.at(-1)?.body, { custom_metadata: { owner: 'ada' } })
  t.match(
    (await ask('namespace lookup team/')).out,
    /custom_metadata +map\[owner:ada\]\nid +abc123/,
  )
  t.match(await ask('namespace lookup none'), { code: 2, error: 'Namespace not found' })
  await ask('namespace patch -custom-metadata=a=b -remove-custom-metadata=owner team')
  t.same(server.asks.at(-1)?.body, { custom_metadata: { a: 'b', owner: null } })
  t.match(await ask('namespace patch -custom-metadata=a=b none'), {
    code: 2,
    error: /^Namespace not/,
  })
  t.equal((await ask('namespace list')).out, 'Keys\n----\nteam/')
  t.match((await ask('namespace list -detailed')).out, /^Keys +custom_metadata +id +path\n/)
  const detailed = await ask('namespace list -detailed -format=json')
  t.match(JSON.parse(detailed.out), { 'team/': { id: 'abc123' } })
  server.on('DELETE sys/namespaces/team', enveloped({ status: 'in-progress' }))
  server.on('DELETE sys/namespaces/none', '', 204)
  t.equal((await ask('namespace delete team')).out, 'Success! Namespace deletion scheduled: team/')
  t.match(await ask('namespace delete none'), { code: 0, error: 'does not exist' })
})

t.test('a namespace is locked and unlocked', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT sys/namespaces/api-lock/lock/team', enveloped({ unlock_key: 'uk' }))
  server.on('PUT sys/namespaces/api-lock/unlock/team', '', 204)
  server.on('PUT sys/namespaces/api-lock/unlock', '', 204)
  t.match((await ask('namespace lock team')).out, 'Unlock Key: uk\n')
  const { out } = await ask('namespace unlock team', { typed: ['uk'] })
  t.equal(out, 'Namespace unlocked successfully!')
  t.same(server.asks.at(-1)?.body, { unlock_key: 'uk' })
  await ask('namespace unlock -non-interactive')
  t.match(server.asks.at(-1), { url: '/v1/sys/namespaces/api-lock/unlock', body: {} })
})
