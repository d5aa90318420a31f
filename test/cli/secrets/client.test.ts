/**
 * How a server is asked: address, token, headers, retries, redirects, and the words of errors.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createPlainServer } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { proxyOf } from '../../../src/cli/secrets/client.ts'
import { testCertificate, testKey } from '../../checks/certificate.ts'
import { enveloped, secretsServer } from '../../fake/secrets-server.ts'
import { call } from '../support.ts'
import { onServer } from './support.ts'

t.test('the token of the environment goes before the kept one', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('GET sys/x', enveloped({ a: 1 }))
  writeFileSync(join(home, '.vault-token'), 'hvs.kept\n')
  await ask('read sys/x')
  await ask('read sys/x', { environment: { BAO_TOKEN: 'hvs.bao' } })
  await ask('read sys/x', { environment: { VAULT_TOKEN: '' } })
  await ask('read sys/x', { environment: { VAULT_TOKEN: '', HOME: '' } })
  const tokens = server.asks.map(({ headers }) => headers['x-vault-token'])
  t.same(tokens, ['hvs.own', 'hvs.bao', 'hvs.kept', undefined])
  t.ok(server.asks.every(({ headers }) => headers['x-vault-request'] === 'true'))
})

t.test('flags go before the environment, BAO before VAULT', async t => {
  const { ask, server } = await onServer(t)
  const other = await secretsServer(t)
  server.on('GET sys/x', enveloped({ a: 1 }))
  other.on('GET sys/x', enveloped({ a: 1 }))
  await ask(`read -address=${other.address} sys/x`)
  await ask('read sys/x', { environment: { BAO_ADDR: other.address } })
  await ask('read sys/x', { environment: { VAULT_AGENT_ADDR: other.address } })
  await ask(`read -agent-address=${other.address} -address=http://127.0.0.1:1 sys/x`)
  t.equal(other.asks.length, 4)
  t.equal(server.asks.length, 0)
})

t.test('headers', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/x', enveloped({ a: 1 }))
  const environment = {
    VAULT_NAMESPACE: '/team',
    VAULT_WRAP_TTL: '2m',
    VAULT_MFA: 'm1:123',
    VAULT_HEADERS: '{"X-A":"1"}',
  }
  await ask('read sys/x', { environment })
  await ask(
    'read -ns=crew/web -namespace=team -wrap-ttl=1h -mfa=m2 -mfa=m3:9 -header=X-A=2 -policy-override sys/x',
    { environment },
  )
  const wanted = [
    {
      'x-vault-namespace': 'team/',
      'x-vault-wrap-ttl': '120s',
      'x-vault-mfa': 'm1:123',
      'x-a': '1',
    },
    {
      'x-vault-namespace': 'crew/web/',
      'x-vault-wrap-ttl': '3600s',
      'x-vault-mfa': 'm2, m3:9',
      'x-a': '2',
      'x-vault-policy-override': 'true',
    },
  ]
  t.match(
    server.asks.map(({ headers }) => headers),
    wanted,
  )
  const own = await ask('read -header=X-Vault-Token=x sys/x')
  t.match(own, { code: 2, error: 'headers that begin with X-Vault- are ours: X-Vault-Token' })
})

t.test('a refusal in the words of Vault', async t => {
  const { ask, server } = await onServer(t)
  const denied = { errors: ['1 error occurred:\n\t* permission denied\n\n'] }
  server.on('GET secret/data/a b', denied, 403)
  server.on('GET secret/data/a%20b', denied, 403, { 'X-Vault-Namespace': 'team/' })
  const { code, error } = await ask(['read', 'secret/data/a b'])
  t.equal(code, 2)
  t.equal(
    error,
    [
      'Error reading secret/data/a b: Error making API request.',
      '',
      'Namespace: team/',
      `URL: GET ${server.address}/v1/secret/data/a%20b`,
      'Code: 403. Errors:',
      '',
      '* 1 error occurred:\n\t* permission denied\n\n',
    ].join('\n'),
  )
  server.on('PUT sys/x', 'busy\n', 503)
  const raw = await ask('write -force sys/x')
  t.match(raw.error, `URL: PUT ${server.address}/v1/sys/x\nCode: 503. Raw Message:\n\nbusy`)
  server.on('PUT sys/y', { errors: ['one', 'two'] }, 400)
  t.match((await ask('write -force sys/y')).error, '\n\n* one\n* two')
})

t.test('nobody there, in the words of Go', async t => {
  const environment = { VAULT_ADDR: 'http://127.0.0.1:1' }
  const { code, error } = await call('status', { environment, program: 'vault' })
  t.equal(code, 1)
  const dial = 'dial tcp 127.0.0.1:1: connect: connection refused'
  t.equal(error, `Error checking seal status: Get "http://127.0.0.1:1/v1/sys/seal-status": ${dial}`)
  const { server } = await onServer(t)
  const https = { VAULT_ADDR: server.address.replace('http', 'https') }
  const plain = await call('read x', { environment: https, program: 'vault' })
  t.match(plain, { code: 2, error: /http: server gave HTTP response to HTTPS client$/ })
})

t.test('where a server is unless told otherwise', async t => {
  const curl = async (program: string, line: string) =>
    (await call(line, { program, environment: {} })).out
  t.match(await curl('vault', 'read -output-curl-string a'), 'https://127.0.0.1:8200/v1/a')
  t.match(await curl('bao', 'read -output-curl-string a'), 'https://127.0.0.1:8200/v1/a')
  t.match(await curl('gatehouse', 'read -output-curl-string a'), ' http://127.0.0.1:8200/v1/a')
})

t.test('answers that are tried again, as often as it is said', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/x', { errors: ['busy'] }, 429, { 'Retry-After': '1' })
  server.on('GET sys/x', { errors: ['behind'] }, 412)
  server.on('GET sys/x', enveloped({ a: 1 }))
  const environment = { VAULT_MAX_RETRIES: '2' }
  t.match(await ask('read -field=a sys/x', { environment }), { code: 0, out: '1' })
  t.equal(server.taken().length, 3)
  server.on('GET sys/y', { errors: ['busy'] }, 503)
  t.match(await ask('read sys/y'), { code: 2 })
  t.equal(server.taken().length, 1, 'none unless told so')
  server.on('GET sys/z', { errors: [] }, 501)
  await ask('read sys/z', { environment })
  t.equal(server.taken().length, 1, 'a 501 is final')
  t.match(await ask('read x', { environment: { VAULT_MAX_RETRIES: 'x' } }), { code: 1 })
})

t.test('one redirect is followed, with the token and the body', async t => {
  const { ask, server } = await onServer(t)
  const active = await secretsServer(t)
  const to = { Location: `${active.address}/v1/sys/x?a=1` }
  server.on('PUT sys/x', '', 307, to)
  active.on('PUT sys/x', enveloped({ a: 1 }))
  t.match(await ask('write -field=a sys/x b=c'), { code: 0, out: '1' })
  t.match(active.asks, [
    { url: '/v1/sys/x?a=1', headers: { 'x-vault-token': 'hvs.own' }, body: { b: 'c' } },
  ])
  active.taken()
  await ask('write -disable-redirects sys/x b=c')
  t.same(active.taken(), [], 'unless told not to')
})

t.test('an answer that does not come', async t => {
  const { ask, server } = await onServer(t)
  t.match(await ask('read x', { environment: { VAULT_CLIENT_TIMEOUT: 'x' } }), { code: 1 })
  const silent = createTcpServer().listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const environment = { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_CLIENT_TIMEOUT: '1' }
  t.match(await ask('read x', { environment }), { code: 2, error: /deadline exceeded$/ })
  t.same(server.taken(), [])
})

t.test('the curl command has no token in it', async t => {
  const { ask, server } = await onServer(t)
  const { code, out } = await ask(['write', '-output-curl-string', 'sys/x', "a=it's", 'b=2'])
  t.equal(code, 0)
  t.equal(
    out,
    [
      'curl -X PUT -H "Content-Type: application/json" -H "X-Vault-Request: true"',
      '-H "X-Vault-Token: $(vault print token)"',
      `-d '{"a":"it'"'"'s","b":"2"}' ${server.address}/v1/sys/x`,
    ].join(' '),
  )
  const list = await ask('list -output-curl-string secret/metadata')
  t.match(list.out, `"${server.address}/v1/secret/metadata?list=true"`)
  t.notMatch(out + list.out, 'hvs.own')
  t.match(await ask('print token'), { code: 0, out: 'hvs.own' })
  const none = { environment: { VAULT_TOKEN: '' } }
  t.match(await ask('print token', none), { code: 1, error: 'There is no token' })
  t.same(server.taken(), [])
})

t.test('the policy that a request needs', async t => {
  const { ask, server } = await onServer(t)
  const policies: Record<string, string> = {
    'read -output-policy secret/data/a': 'path "secret/data/a" {\n  capabilities = ["read"]\n}',
    'list -output-policy secret/metadata': '["list"]',
    'scan -output-policy secret/metadata': '["scan"]',
    'delete -output-policy secret/a': '["delete"]',
    'patch -output-policy secret/a b=c': '["patch"]',
    'write -output-policy secret/a b=c': '["create", "update"]',
    'secrets list -output-policy': 'path "sys/mounts" {\n  capabilities = ["read"]\n}',
    'auth enable -output-policy userpass': '["create", "update", "sudo"]',
    'operator seal -output-policy': '["create", "update", "sudo"]',
    'audit list -output-policy': '["read", "sudo"]',
  }
  for (const [line, text] of Object.entries(policies)) {
    const { code, out } = await ask(line)
    t.equal(code, 0, line)
    t.match(out, text, line)
  }
  t.same(server.taken(), [])
})

t.test('a server behind TLS: its certificate is checked, ours is shown', async t => {
  const certificates: boolean[] = []
  const tls = { key: testKey, cert: testCertificate, requestCert: true, rejectUnauthorized: false }
  const server = createServer(tls, (request, response) => {
    certificates.push((request.socket as TLSSocket).getPeerCertificate().raw !== undefined)
    response.end(JSON.stringify(enveloped({ a: 1 })))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const folder = t.testdir({ ca: testCertificate, key: testKey, folder: { ca: testCertificate } })
  const ask = (flags: string, environment: Record<string, string> = {}) =>
    call(`read -address=https://127.0.0.1:${port} ${flags} x`, { environment, program: 'vault' })
  const named = '-tls-server-name=web.example'
  t.match(await ask(named), { code: 2, error: 'self-signed certificate' })
  t.equal((await ask(`${named} -ca-cert=${folder}/ca`)).code, 0)
  t.equal((await ask(`${named} -ca-path=${folder}/folder`)).code, 0)
  t.equal((await ask(named, { VAULT_CACERT: `${folder}/ca` })).code, 0)
  t.equal((await ask(named, { BAO_CACERT_BYTES: testCertificate })).code, 0)
  t.match(await ask(`-ca-cert=${folder}/ca`), { code: 2, error: /127\.0\.0\.1|altnames/i })
  t.equal((await ask('-tls-skip-verify')).code, 0)
  t.equal((await ask('', { VAULT_SKIP_VERIFY: 'true' })).code, 0)
  t.match(await ask('', { VAULT_SKIP_VERIFY: 'perhaps' }), {
    code: 1,
    error: 'must be true or false',
  })
  t.match(await ask('-tls-skip-verify=false', { VAULT_SKIP_VERIFY: '1' }), { code: 2 })
  t.notOk(certificates.some(Boolean))
  await ask(`-tls-skip-verify -client-cert=${folder}/ca -client-key=${folder}/key`)
  t.equal(certificates.at(-1), true)
  t.match(await ask(`-client-cert=${folder}/ca`), { code: 2, error: 'come together' })
  t.match(await ask('-ca-cert=/none'), { code: 2, error: 'cannot read the CA file /none' })
})

t.test('a server on a socket file', async t => {
  const socket = join(t.testdir({}), 'vault.sock')
  const server = createPlainServer((_, response) => {
    response.end(JSON.stringify(enveloped({ a: 1 })))
  })
  server.listen(socket)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const environment = { VAULT_ADDR: `unix://${socket}` }
  t.equal((await call('read -field=a x', { environment, program: 'vault' })).out, '1')
})

t.test('a proxy is asked where one is named', async t => {
  const { server, environment } = await onServer(t)
  const asked: string[] = []
  const proxy = createPlainServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end(JSON.stringify(enveloped({ a: 'by proxy' })))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const ask = (more: Record<string, string>) =>
    call('read -field=a x', { environment: { ...environment, ...more }, program: 'vault' })
  t.equal((await ask({ VAULT_PROXY_ADDR: address })).out, 'by proxy')
  t.equal((await ask({ VAULT_HTTP_PROXY: address })).out, 'by proxy')
  t.same(asked.splice(0), [`GET ${server.address}/v1/x`, `GET ${server.address}/v1/x`])
  server.on('GET x', enveloped({ a: 'direct' }))
  t.equal((await ask({ HTTP_PROXY: address })).out, 'direct', 'what is here needs none')
  const away = { VAULT_ADDR: 'http://vault.example.com:8200', http_proxy: address }
  t.equal((await ask(away)).out, 'by proxy')
  t.same(asked.splice(0), ['GET http://vault.example.com:8200/v1/x'])
})

t.test('hosts that are asked without the proxy of all programs', async t => {
  const environment = { HTTP_PROXY: 'http://p', https_proxy: 'http://q' }
  const [http, https] = [
    { isTls: false, host: 'vault.example.com' },
    { isTls: true, host: 'vault.example.com' },
  ]
  t.equal(proxyOf({ environment }, http), 'http://p')
  t.equal(proxyOf({ environment }, https), 'http://q')
  t.equal(
    proxyOf({ environment: { ...environment, BAO_PROXY_ADDR: 'http://o' } }, https),
    'http://o',
  )
  const excluded = ['*', 'example.com', '.example.com', '*.example.com', 'a, vault.example.com:80']
  for (const NO_PROXY of excluded) {
    t.equal(proxyOf({ environment: { ...environment, NO_PROXY } }, http), undefined, NO_PROXY)
  }
  for (const no_proxy of ['', 'ample.com', 'other.example.com', 'com.example']) {
    t.equal(proxyOf({ environment: { ...environment, no_proxy } }, http), 'http://p', no_proxy)
  }
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1']) {
    t.equal(proxyOf({ environment }, { isTls: false, host }), undefined, host)
  }
})
