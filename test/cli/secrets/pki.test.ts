/** The verbs of pki on the real engine, over HTTP. */
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { enveloped } from '../../fake/secrets-server.ts'
import { onSecrets, onServer } from './support.ts'

async function withRoot(t: Test) {
  const on = await onSecrets(t)
  const done = async (line: string): Promise<string> => {
    const { code, out, error } = await on.ask(line)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  for (const mount of ['root', 'int']) await done(`secrets enable -path=${mount} pki`)
  await done('secrets tune -max-lease-ttl=87600h root')
  await done('secrets tune -max-lease-ttl=87600h int')
  const fields = 'common_name=Root key_type=ec issuer_name=top ttl=87600h'
  await done(`write root/root/generate/internal ${fields}`)
  return { ...on, done }
}

/** Where the mount is. */
const AT = `/${'root'}/`

t.test('an authority is made below another, and one more like it', async t => {
  const { done, ask } = await withRoot(t)
  const made = await done(
    'pki issue -issuer_name=middle root/issuer/top int common_name=Middle key_type=ec key_bits=384 ' +
      'ou=Dev organization=Ours ttl=8760h max_path_length=0 permitted_dns_domains=example.com',
  )
  t.match(made, /issuer_name +middle\n/)
  const read = async (path: string): Promise<X509Certificate> =>
    new X509Certificate(await done(`read -field=certificate ${path}`))
  const [top, middle] = [await read('root/issuer/top'), await read('int/issuer/middle')]
  t.ok(middle.verify(top.publicKey))
  t.match(await done('read int/issuer/middle'), /ca_chain +\[/)

  await done('pki reissue -issuer_name=next root/issuer/top int/issuer/middle int ttl=4380h')
  const next = await read('int/issuer/next')
  t.equal(next.subject, middle.subject)
  t.ok(next.verify(top.publicKey))
  t.equal(next.publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1')
  t.notOk(next.publicKey.equals(middle.publicKey))
  const lifeMs = (one: X509Certificate): number =>
    one.validToDate.getTime() - one.validFromDate.getTime()
  t.ok(lifeMs(next) < lifeMs(middle) * 0.6)
  await done('pki reissue -type=existing -issuer_name=same root/issuer/top int/issuer/middle int')
  t.ok((await read('int/issuer/same')).publicKey.equals(middle.publicKey))
  const other = 'pki reissue -issuer_name=rsa root/issuer/top int/issuer/middle int'
  await done(`${other} key_type=ed25519 common_name=Other`)
  t.equal((await read('int/issuer/rsa')).publicKey.asymmetricKeyType, 'ed25519')

  t.match(await ask('pki issue root/issuer/none int common_name=x'), { code: 1, error: 'none' })
  t.match(await ask('pki issue root int common_name=x'), {
    code: 1,
    error: 'root is not the path of an issuer',
  })
  t.match(await ask('pki issue root/issuer/top nowhere common_name=x'), {
    code: 1,
    error: 'The request failed at nowhere/intermediate/generate/internal',
  })
  const failed = await ask('pki issue root/issuer/top int common_name=x not_after=never')
  t.match(failed, {
    code: 1,
    error:
      /The signature failed at[\s\S]*Done before that:\n- a request was made on int, with the key /,
  })
})

t.test('who issued whom is told by five signs', async t => {
  const { done } = await withRoot(t)
  await done('pki issue -issuer_name=middle root/issuer/top int common_name=Middle key_type=ec')
  const table = await done('pki verify-sign root/issuer/top int/issuer/middle')
  t.match(table, /^issuer:root\/issuer\/top\nissued:int\/issuer\/middle\n\nfield +value\n/)
  for (const sign of ['key_id', 'path', 'signature', 'subject', 'trust']) {
    t.match(table, new RegExp(`\n${sign}_match +true`))
  }
  const back = JSON.parse(
    await done('pki verify-sign -format=json int/issuer/middle root/issuer/top'),
  )
  t.same(back, {
    ...{ key_id_match: false, path_match: false, signature_match: false },
    ...{ subject_match: false, trust_match: false },
  })
  await done(
    'write root/issuers/generate/root/internal common_name=Other key_type=ec issuer_name=other',
  )
  const listed = JSON.parse(
    await done('pki list-intermediates -use_names -format=json root/issuer/top'),
  )
  t.match(listed, {
    'int/issuer/middle': true,
    'root/issuer/top': true,
    'root/issuer/other': false,
  })
  const strict = await done(
    'pki list-intermediates -use_names root/issuer/other int root/issuer/other',
  )
  t.match(strict, /^intermediate +match\?\n/)
  t.match(strict, /\nroot\/issuer\/other +true/)
  t.match(strict, /\nint\/issuer\/middle +false/)
  const lax = '-subject_match=false -key_id_match=false -direct_sign=false -indirect_sign=false'
  t.match(
    await done(`pki list-intermediates ${lax} -use_names root/issuer/other int`),
    /middle +true/,
  )
})

t.test('the health of a mount, from its settings', async t => {
  const { done, ask, home } = await withRoot(t)
  t.match(
    await done('pki health-check -list'),
    /^Default health check config:\n\{\n +"ca_validity_period"/,
  )
  const config = (content: object): string => {
    const file = path.join(home, 'checks.json')
    writeFileSync(file, JSON.stringify(content))
    return file
  }
  const only = async (name: string, settings: object = {}, more = '') => {
    const file = config({ [name]: { enabled: true, ...settings } })
    const options = `-default-disabled -format=json -health-config=${file}`
    const line = `pki health-check ${options} ${more} root`
    const { code, out, error } = await ask(line)
    t.equal(error, '')
    return { code, found: JSON.parse(out)[name] }
  }
  t.match(await only('ca_validity_period'), { code: 0, found: [{ status: 'ok', status_code: 1 }] })
  t.match(await only('ca_validity_period', { root_expiry_warning: '4000d' }), {
    code: 3,
    found: [{ status: 'warning', endpoint: /^.root.issuer./, message: 'begin to replace it' }],
  })
  t.match(await only('ca_validity_period', { root_expiry_critical: '4000d' }), { code: 4 })
  const critical = '-return-indicator=critical'
  t.match(await only('ca_validity_period', { root_expiry_warning: '4000d' }, critical), { code: 0 })
  t.match(await only('hardware_backed_root'), { code: 2, found: [{ status: 'informational' }] })
  t.match(await only('enable_acme_issuance'), { code: 0, found: [{ status: 'not_applicable' }] })
  t.match(await only('allow_acme_headers'), { code: 0, found: [{ status: 'not_applicable' }] })
  t.same(await only('role_allows_localhost'), { code: 0, found: [] })
  await done('write root/roles/web allowed_domains=*.example.com allow_glob_domains=true')
  t.match(await only('role_allows_localhost'), {
    code: 3,
    found: [{ endpoint: `${AT}roles/web` }],
  })
  t.match(await only('role_allows_glob_wildcards'), { code: 3 })
  t.match(await only('role_no_store_false'), { code: 3 })
  t.match(await only('role_no_store_false', { allowed_roles: ['web'] }), { code: 0 })
  await done('write root/config/crl auto_rebuild=true')
  t.match(await only('role_no_store_false'), { code: 2 })
  t.match(await only('crl_validity_period'), { code: 0, found: [{ status: 'ok' }] })
  await done('write root/roles/web allowed_domains=a.example allow_localhost=false no_store=true')
  for (const name of [
    'role_allows_localhost',
    'role_allows_glob_wildcards',
    'role_no_store_false',
  ]) {
    t.match(await only(name), { code: 0, found: [{ status: 'ok', endpoint: `${AT}roles` }] }, name)
  }
  t.match(await only('allow_if_modified_since'), { code: 2 })
  t.match(await only('audit_visibility'), {
    code: 2,
    found: [{ message: 'csr is hashed in the audit' }],
  })
  const table = await ask('pki health-check root')
  t.ok(table.code >= 2)
  t.match(table.out, /^ca_validity_period\n-{18}\nstatus +endpoint +message\n/)
})

t.test('what a token may not read is a verdict, and what is no pki is refused', async t => {
  const { done, ask, home } = await withRoot(t)
  const rules = path.join(home, 'rules.hcl')
  writeFileSync(rules, 'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }')
  await done(`policy write few ${rules}`)
  const token = await done('token create -field=token -policy=few')
  const found = await ask('pki health-check -format=json root', {
    environment: { VAULT_TOKEN: token },
  })
  t.equal(found.code, 6)
  t.match(JSON.parse(found.out), {
    role_allows_localhost: [{ status: 'insufficient_permissions', endpoint: `${AT}roles` }],
    ca_validity_period: [{ status: 'ok' }],
  })
  await done('secrets enable kv')
  t.match(await ask('pki health-check kv'), { code: 1, error: 'on mount of type kv' })
  const mistakes: [string, string][] = [
    ['pki health-check', 'expected mount path'],
    ['pki health-check -return-indicator=x root', 'invalid value "x"'],
    ['pki health-check -health-config=/no/such root', 'Failed to read configuration file /no/such'],
  ]
  for (const [line, error] of mistakes) t.match(await ask(line), { code: 1, error })
  const file = path.join(home, 'unknown.json')
  writeFileSync(file, '{"too_many_certs": {"count": 1}}')
  const unknown = await ask(`pki health-check -health-config=${file} root`)
  t.match(unknown, { code: 1, error: 'unknown configuration option for too_many_certs: count' })
})

t.test('counts, tidying and lists, of a server that answers as told', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('GET sys/internal/ui/mounts/pki', enveloped({ type: 'pki' }))
  const only = async (name: string, settings: object = {}) => {
    const file = path.join(home, 'checks.json')
    writeFileSync(file, JSON.stringify({ [name]: { enabled: true, ...settings } }))
    const line = `pki health-check -default-disabled -format=json -health-config=${file} pki`
    const { code, out } = await ask(line)
    return { code, found: JSON.parse(out)[name] }
  }
  server.on('GET pki/certs', enveloped({ keys: Array.from({ length: 7 }, (_, at) => `0${at}`) }))
  t.match(await only('too_many_certs'), { code: 0, found: [{ message: '7 certificates' }] })
  t.match(await only('too_many_certs', { count_warning: 7 }), { code: 3 })
  t.match(await only('too_many_certs', { count_critical: '7' }), { code: 4 })
  t.match(await only('enable_auto_tidy'), { code: 2 })
  const tidy = { enabled: true, interval_duration: 43_200, pause_duration: '0s' }
  const slow = { ...tidy, interval_duration: 259_200, pause_duration: '1s' }
  for (const data of [tidy, slow]) server.on('GET pki/config/auto-tidy', enveloped(data))
  t.match(await only('enable_auto_tidy'), { code: 0, found: [{ status: 'ok' }] })
  t.match(await only('enable_auto_tidy'), {
    code: 4,
    found: [{ status: 'warning' }, { status: 'critical' }],
  })
  t.match(await only('tidy_last_run'), { code: 4, found: [{ message: 'never' }] })
  const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString()
  for (const hours of [1, 60, 200]) {
    server.on('GET pki/tidy-status', enveloped({ time_finished: ago(hours) }))
  }
  for (const code of [0, 3, 4]) t.match(await only('tidy_last_run'), { code })
  server.on('GET pki/issuers', { errors: ['1 error occurred:\n\t* unsupported path\n\n'] }, 404)
  t.match(await only('ca_validity_period'), { code: 5, found: [{ status: 'invalid_version' }] })
})
