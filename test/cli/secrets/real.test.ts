/**
 * Vault's command line on the real secrets, over HTTP: the flows that people come with.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { onSecrets } from './support.ts'

t.test('an engine is mounted, used by paths, tuned and removed', async t => {
  const { ask } = await onSecrets(t)
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  t.match(
    await done('secrets enable -path=team kv'),
    'Success! Enabled the kv secrets engine at: team/',
  )
  t.match(await done('secrets list'), /\nteam\/ +kv +kv_[0-9a-f]{8} +n\/a(\n|$)/)
  t.match(
    await done('write team/web user=ada password=-', { stdin: 's3cret' }),
    'Success! Data written',
  )
  t.equal(await done('read -field=password team/web'), 's3cret')
  t.equal(await done('list team'), 'Keys\n----\nweb')
  t.match(await done('delete team/web'), 'Success! Data deleted (if it existed) at: team/web')
  t.match(await ask('read team/web'), { code: 2, error: 'No value found at team/web' })
  t.match(await done('secrets tune -description=ours -default-lease-ttl=1h team'), 'Success! Tuned')
  t.match(await done('secrets list -detailed'), /\nteam\/ +kv +kv_\w+ +3600 .* ours /)
  await done('secrets disable team')
  t.notMatch(await done('secrets list'), 'team/')
})

t.test('a versioned engine from its mount to its end', async t => {
  const { ask } = await onSecrets(t)
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  t.equal(
    await done('secrets enable -path=team kv-v2'),
    'Success! Enabled the kv-v2 secrets engine at: team/',
  )
  t.match(await done('secrets list'), /\nteam\/ +kv +kv_[0-9a-f]{8} +n\/a(\n|$)/)
  t.match(await done('kv put team/web user=ada password=-', { stdin: 's3cret' }), /version +1$/)
  t.match(await done('kv put -mount=team -cas=1 web user=bob n=-', { stdin: '2' }), /version +2$/)
  t.match(await ask('kv put -cas=1 team/web a=b'), {
    code: 2,
    error: 'check-and-set parameter did',
  })
  t.match(await done('kv get team/web'), /^== Secret Path ==\nteam\/data\/web\n\n[\s\S]*user +bob$/)
  t.equal(await done('kv get -field=password -version=1 team/web'), 's3cret')
  t.match(await done('kv patch team/web user=eve'), /version +3$/)
  t.match(JSON.parse(await done('kv get -format=json team/web')), {
    data: { data: { user: 'eve', n: '2' }, metadata: { version: 3 } },
  })
  t.match(await done('kv rollback -version=1 team/web'), /version +4$/)
  t.match(await done('kv get team/web'), /password +s3cret\nuser +ada$/)
  await done('kv delete team/web')
  t.match(await done('kv get team/web'), /deletion_time +20/)
  await done('kv undelete -versions=4 team/web')
  t.equal(await done('kv get -field=user team/web'), 'ada')
  await done('kv destroy -versions=1,2 team/web')
  await done('kv metadata put -max-versions=5 -custom-metadata=owner=ada team/web')
  await done('kv metadata patch -custom-metadata=tier=one team/web')
  const metadata = await done('kv metadata get team/web')
  t.match(metadata, /custom_metadata +map\[owner:ada tier:one\]/)
  t.match(metadata, /max_versions +5/)
  t.match(metadata, /== Version 1 ==+\n[\s\S]*destroyed +true\n\n==+ Version 3/)
  await done('kv put team/deep/er/key a=b')
  t.equal(await done('kv list team'), 'Keys\n----\ndeep/\nweb')
  t.equal(await done('kv scan team'), 'Keys\n----\ndeep/er/key\nweb')
  t.equal(await done('kv copy team/web team/copy'), 'Success! Copied team/web to team/copy')
  t.match(await ask('kv move team/copy team/web'), { code: 2, error: 'there is a secret at web' })
  t.equal(await done('kv move -mount=team copy moved'), 'Success! Moved team/copy to team/moved')
  t.match(await ask('kv move team/moved other/x'), {
    code: 1,
    error: 'TO must be in the same mount',
  })
  t.equal(await done('kv search -custom-metadata=tier=* team'), 'Keys\n----\nmoved\nweb')
  t.equal(await done('kv search -key=KEY -mount=team'), 'Keys\n----\ndeep/er/key')
  t.match(await ask('kv search -key=none team'), {
    code: 2,
    error: 'No value found at team/search',
  })
  await done('kv metadata delete team/moved')
  t.match(await ask('kv get team/moved'), { code: 2, error: 'No value found at team/data/moved' })
  t.match(await done('secrets tune -description=ours -default-lease-ttl=1h team'), 'Success! Tuned')
  t.match(await done('secrets list -detailed'), /\nteam\/ +kv +kv_\w+ +3600 +system? ?.* ours /)
  await done('secrets disable team')
  t.notMatch(await done('secrets list'), 'team/')
})

t.test('an engine without versions', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable -path=old -version=1 kv')
  t.match(await ask('kv put old/a x=1'), { code: 0, out: 'Success! Data written to: old/a' })
  t.equal((await ask('kv get old/a')).out, '== Data ==\nKey    Value\n---    -----\nx      1')
  t.match(await ask('kv patch old/a x=2'), { code: 2, error: 'must be version 2' })
  t.equal((await ask('read -field=x old/a')).out, '1')
  t.match(await ask('write old/b @-'), { code: 1, error: 'error reading file' })
  t.match(await ask('list old'), { code: 0, out: 'Keys\n----\na' })
  t.match(await ask('delete old/a'), { code: 0, out: 'Success! Data deleted (if it existed)' })
  t.match(await ask('read old/a'), { code: 2, error: 'No value found at old/a' })
})

t.test('numbers of any size go and come whole', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable kv')
  const stdin = '{"n": 18446744073709551617, "__proto__": {"x": 1}, "list": [1, null, "€"]}'
  await ask('write kv/n -', { stdin })
  t.equal((await ask('read -field=n kv/n')).out, '18446744073709551617')
  const text = Buffer.from((await ask('read -format=json kv/n')).out, 'latin1').toString()
  t.match(text, /"__proto__": \{\n +"x": 1[\s\S]*"€"[\s\S]*"n": 18446744073709551617/)
})

t.test('namespaces', async t => {
  const { ask } = await onSecrets(t)
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  t.match(await done('namespace create -custom-metadata=owner=ada team'), /path +team\/\n/)
  t.equal(await done('namespace list'), 'Keys\n----\nteam/')
  t.match(await done('namespace patch -custom-metadata=tier=one team'), /map\[owner:ada tier:one\]/)
  await done('namespace create -ns=team web')
  t.equal(
    await done('namespace list', { environment: { VAULT_NAMESPACE: 'team' } }),
    'Keys\n----\nweb/',
  )
  await done('secrets enable -ns=team -path=secret kv-v2')
  await done('kv put -ns=team secret/a x=1')
  t.equal(await done('kv get -ns=team -field=x secret/a'), '1')
  t.match(await ask('kv get secret/a'), { code: 2 })
  t.match(await ask('list -ns=none sys/mounts'), {
    code: 2,
    error: 'namespace not found\nNo value found at sys/mounts',
  })
  const key = (await done('namespace lock team')).match(/^Unlock Key: (\S+)/)?.[1] ?? ''
  const locked = await ask('kv get -ns=team secret/a')
  t.match(locked, { code: 2, error: 'API access to this namespace has been locked' })
  await done('namespace unlock team', { typed: [key] })
  t.equal(await done('kv get -ns=team -field=x secret/a'), '1')
  t.match(await done('namespace delete -ns=team web'), 'Namespace deletion scheduled: web/')
})

t.test('a policy is looked over by the mounts of the server', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable -path=secret kv-v2')
  const stdin = 'path "secret/web" {\n  capabilities = ["read"]\n}\n'
  t.match(await ask('policy lint -', { stdin }), { code: 0, out: /^-:1: warning: .*data\// })
})

t.test('tokens and policies', async t => {
  const { ask } = await onSecrets(t)
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  const stdin = 'path "secret/data/*" {\n  capabilities = ["read", "list"]\n}\n'
  t.equal(await done('policy write web -', { stdin }), 'Success! Uploaded policy: web')
  t.equal(await done('policy read web'), stdin.trim())
  t.match(await done('policy list'), /^default\nroot\nweb$|^default\nweb\nroot$/)
  t.match(await ask('policy write web -', { stdin: 'path {' }), {
    code: 2,
    error: 'Error uploading',
  })
  const token = await done('token create -policy=web -ttl=1h -metadata=owner=ada -field=token')
  const shown = await done('token lookup -', { stdin: token })
  t.match(shown, /\ncreation_ttl +1h\n/)
  t.match(shown, /\nmeta +map\[owner:ada\]\n/)
  t.match(shown, /\npolicies +\[default web\]\n/)
  const own = { environment: { VAULT_TOKEN: token } }
  t.match(await done('token renew -increment=2h', own), /token_duration +2h\n/)
  t.equal(await done('token capabilities secret/data/a', own), 'list, read')
  t.equal(await done('token capabilities - secret/x', { stdin: token }), 'deny')
  t.match(await ask('secrets list', own), { code: 2, error: 'permission denied' })
  t.match(await ask('read secret/data/a', own), { code: 2, error: /no handler for route/ })
  t.match(await done('token revoke -', { stdin: token }), 'Success! Revoked token (if it existed)')
  t.match(await ask('token lookup', own), { code: 2, error: 'Code: 403' })
  const batch = JSON.parse(await done('token create -type=batch -policy=web -format=json'))
  t.match(batch.auth, { client_token: /^hvb\./, renewable: false })
  t.match(await done('policy delete web'), 'Success! Deleted policy: web')
  t.match(await ask('policy read web'), { code: 2, error: 'No policy named: web' })
})

t.test('logins, and the token that is kept', async t => {
  const { ask, home } = await onSecrets(t)
  const nobody = { VAULT_TOKEN: '' }
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  t.equal(
    await done('auth enable -path=people userpass'),
    'Success! Enabled userpass auth method at: people/',
  )
  await done('auth enable approle')
  t.match(await done('auth list'), /\napprole\/ +approle +auth_approle_[0-9a-f]{8} /)
  await done('write auth/people/users/ada password=- token_policies=web', { stdin: 's3cret' })
  const login = 'login -method=userpass -path=people username=ada'
  const wrong = await ask(login, { environment: nobody, typed: ['guess'] })
  t.match(wrong, { code: 2, error: /^Error authenticating: [\s\S]*invalid username or password/ })
  t.notOk(existsSync(join(home, '.vault-token')))
  const shown = await done(login, { environment: nobody, typed: ['s3cret'] })
  t.match(shown, /token_policies +\["default" "web"\]/)
  t.match(await done('token lookup', { environment: nobody }), /\ndisplay_name +people-ada\n/)

  await done('write auth/approle/role/app token_policies=web secret_id_num_uses=1')
  const role = await done('read -field=role_id auth/approle/role/app/role-id')
  const secret = await done('write -force -field=secret_id auth/approle/role/app/secret-id')
  const byRole = `login -token-only -method=approle role_id=${role} secret_id=-`
  t.match(await done(byRole, { environment: nobody, stdin: secret }), /^hvs\./)
  const again = await ask(byRole, { environment: nobody, stdin: secret })
  t.match(again, { code: 2, error: 'invalid role or secret ID' })
  t.match(await done('token revoke -self', { environment: nobody }), 'Success! Revoked token')
  t.match(await ask('token lookup', { environment: nobody }), { code: 2, error: 'Code: 403' })
  t.match(await done('auth disable people'), 'Success! Disabled the auth method')
})

t.test('an answer is put away, and unwrapped once', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable -path=secret kv-v2')
  await ask('kv put secret/a x=1')
  const { out } = await ask('kv get -wrap-ttl=1m -format=json secret/a')
  const { wrap_info: wrap } = JSON.parse(out) as { wrap_info: { token: string; ttl: number } }
  t.equal(wrap.ttl, 60)
  const unwrapped = await ask('unwrap -format=json -', { stdin: wrap.token })
  t.match(JSON.parse(unwrapped.out), { data: { data: { x: '1' } } })
  const again = await ask('unwrap -', { stdin: wrap.token })
  t.match(again, { code: 2, error: 'wrapping token is not valid or does not exist' })

  const { out: token } = await ask('write -field=wrapping_token sys/wrapping/wrap b=2')
  t.match(await ask('write sys/wrapping/lookup token=-', { stdin: token }), {
    out: /creation_ttl +5m/,
  })
  t.equal((await ask('unwrap -field=b', { environment: { VAULT_TOKEN: token } })).out, '2')
})

t.test('a cubbyhole, and a login that is wrapped', async t => {
  const { ask, home } = await onSecrets(t)
  t.match(await ask('write cubbyhole/note a=b'), { code: 0 })
  t.equal((await ask('read -field=a cubbyhole/note')).out, 'b')
  t.match(await ask('list cubbyhole'), { out: 'Keys\n----\nnote' })
  await ask('auth enable userpass')
  await ask('write auth/userpass/users/ada password=x')
  const line = 'login -wrap-ttl=1m -method=userpass username=ada password=x'
  t.match(await ask(line, { environment: { VAULT_TOKEN: '' } }), { code: 0, out: /^Success!/ })
  t.match(readFileSync(join(home, '.vault-token'), 'utf8'), /^hvs\./)
  const kept = { environment: { VAULT_TOKEN: '' } }
  t.match(await ask('token lookup', kept), { code: 0, out: /display_name +userpass-ada/ })
})

t.test('leases', async t => {
  const { ask } = await onSecrets(t)
  t.match(await ask('lease lookup none'), { code: 2, error: 'invalid lease' })
  t.match(await ask('lease renew none'), { code: 2, error: 'lease not found' })
  t.match(await ask('lease revoke -sync none'), { code: 0, out: 'Success! Revoked lease: none' })
  t.match(await ask('lease revoke none'), { code: 0, out: 'All revocation operations queued' })
  await ask('auth enable userpass')
  await ask('write auth/userpass/users/ada password=x')
  const login = 'login -token-only -method=userpass username=ada password=x'
  const token = (await ask(login)).out
  const prefix = await ask('lease revoke -prefix -sync auth/userpass')
  t.match(prefix, { code: 0, out: 'Success! Revoked any leases with prefix: auth/userpass' })
  t.match(await ask('token lookup', { environment: { VAULT_TOKEN: token } }), { code: 2 })
})

t.test('a denial says how to learn why, and that says why', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable -path=secret kv-v2')
  const stdin = 'path "secret/data/web" {\n  capabilities = ["read"]\n}\n'
  await ask('policy write web -', { stdin })
  const token = (await ask('token create -policy=web -field=token')).out
  const { code, error } = await ask('write secret/data/web data=@/dev/null', {
    environment: { VAULT_TOKEN: token },
  })
  t.equal(code, 2)
  const request = /\nWhy: vault policy explain -request=([\w-]+)$/.exec(error)?.[1]
  const explained = await ask(`policy explain -request=${request}`)
  t.match(explained, { code: 0, error: '' })
  t.match(
    explained.out,
    /^Request: {3}update secret\/data\/web\nOutcome: {3}refused\nToken: +\w+ \(token/,
  )
  t.match(explained.out, /\nPolicies: {2}default, web\n\nLacks update on "secret\/data\/web"\n/)
  t.match(explained.out, /Decided by: {3}path "secret\/data\/web" \(policy "web", line 1\)/)
  t.match(explained.out, /To allow it: {2}path "secret\/data\/web" \{/)
  const json = await ask(`policy explain -format=json -request=${request}`)
  t.match(JSON.parse(json.out), { path: 'secret/data/web', policies: ['default', 'web'] })
  t.match(await ask('policy explain -request=none'), { code: 2, error: 'knows of no such request' })
  t.match(await ask('policy explain'), { code: 1, error: 'Must specify the -request parameter' })
  const invalid = await ask('secrets list', { environment: { VAULT_TOKEN: 'nobody' } })
  t.notMatch(invalid.error, 'Why:')
  const plain = await ask(`policy explain -http-addr=127.0.0.1:1 -request=${request}`, {
    program: 'gatehouse',
  })
  t.equal(plain.out, explained.out, 'under our own name it asks both halves')
})

t.test('refusals', async t => {
  const { ask } = await onSecrets(t)
  const nobody = { environment: { VAULT_TOKEN: 'nobody' } }
  const { code, error } = await ask('secrets list', nobody)
  t.equal(code, 2)
  t.match(error, /^Error listing secrets engines: Error making API request\.\n\nURL: GET http/)
  t.match(error, /\nCode: 403\. Errors:\n\n\* [\s\S]*permission denied/)
  t.match(await ask('write nothing/here a=b'), { code: 2, error: 'no handler for route' })
})
