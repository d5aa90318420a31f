/**
 * Where the command line finds the agent, with which token, and the words for its faults.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { testCertificate, testKey } from '../checks/certificate.ts'
import { call, fakeAgent } from './support.ts'

t.test('the address: flag, environment, schemes, path prefix, socket file', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer(['dc1'])
  const environment = { CONSUL_HTTP_ADDR: '127.0.0.1:1' }
  const ask = (address: string) =>
    call(`catalog datacenters -http-addr=${address}`, { environment })
  for (const address of [agent.address, `http://${agent.address}`, `http://${agent.address}/`]) {
    t.same(await ask(address), { code: 0, out: 'dc1', error: '' })
    t.equal(agent.asked.at(-1)?.url, '/v1/catalog/datacenters')
  }
  await ask(`http://${agent.address}/behind/proxy/`)
  t.equal(agent.asked.at(-1)?.url, '/behind/proxy/v1/catalog/datacenters')

  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'agent.sock')
  const onSocket = await fakeAgent(path)
  t.teardown(onSocket.close)
  onSocket.answer(['dc2'])
  t.equal((await ask(`unix://${path}`)).out, 'dc2')
  t.match(await ask('ftp://x'), { code: 1, error: 'the address of the agent must be' })
})

t.test('the token: flags before the environment, files before tokens, never printed', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer([])
  const folder = t.testdir({ flag: 'flag-file\n', environment: 'environment-file' })
  const tokenOf = async (flags: string, environment: Record<string, string> = {}) => {
    await call(`catalog datacenters -http-addr=${agent.address} ${flags}`, { environment })
    return agent.asked.at(-1)?.token
  }
  const all = {
    CONSUL_HTTP_TOKEN: 'environment',
    CONSUL_HTTP_TOKEN_FILE: join(folder, 'environment'),
  }
  t.equal(await tokenOf(''), undefined)
  t.equal(await tokenOf('', { CONSUL_HTTP_TOKEN: 'environment' }), 'environment')
  t.equal(await tokenOf('', all), 'environment-file')
  t.equal(await tokenOf('-token=flag', all), 'flag')
  t.equal(await tokenOf(`-token=flag -token-file=${folder}/flag`, all), 'flag-file')
  const missing = await call('catalog datacenters -token-file=/none -token=s3cret')
  t.match(missing, { code: 1, error: 'cannot read the token file /none' })
  t.notMatch(missing.error, 's3cret')
})

t.test('faults are worded as Go words them', async t => {
  t.match(await call('kv get -http-addr=127.0.0.1:1 x'), {
    code: 1,
    error:
      'Error querying Consul agent: Get "http://127.0.0.1:1/v1/kv/x": ' +
      'dial tcp 127.0.0.1:1: connect: connection refused',
  })
  const { error } = await call('kv put x y', {
    environment: { CONSUL_HTTP_ADDR: '[::1]:1', CONSUL_HTTP_SSL: 'true' },
  })
  t.match(error, 'Put "https://[::1]:1/v1/kv/x": ')
})

t.test('a login for whoever stands before the agent, a namespace, a partition', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer([])
  const ask = (environment: Record<string, string>, flags = '') =>
    call(`catalog datacenters -http-addr=${agent.address} ${flags}`, { environment })
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  await ask({ CONSUL_HTTP_AUTH: 'user:pass:word' })
  t.equal(agent.asked.at(-1)?.headers.authorization, basic('user:pass:word'))
  await ask({ CONSUL_HTTP_AUTH: 'user' })
  t.equal(agent.asked.at(-1)?.headers.authorization, basic('user:'))
  await ask({})
  t.equal(agent.asked.at(-1)?.headers.authorization, undefined)
  await ask({ CONSUL_NAMESPACE: 'n', CONSUL_PARTITION: 'p' }, '-namespace=default')
  t.equal(agent.asked.at(-1)?.url, '/v1/catalog/datacenters?ns=default&partition=p')
  agent.answer('no', 500)
  const failed = await ask({ CONSUL_HTTP_AUTH: 'user:s3cret' })
  t.equal(failed.code, 1)
  t.notMatch(failed.error, 's3cret')
})

t.test('an agent behind TLS: its certificate is checked, ours is shown', async t => {
  const seen: (string | undefined)[] = []
  const server = createServer(
    {
      key: testKey,
      cert: testCertificate,
      ca: testCertificate,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket
      seen.push(socket.authorized ? socket.getPeerCertificate().subject.CN?.toString() : undefined)
      response.end('["dc1"]')
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const folder = t.testdir({ cas: { 'a.pem': testCertificate }, key: testKey })
  const [ca, key] = [join(folder, 'cas', 'a.pem'), join(folder, 'key')]
  const ask = (flags: string, environment: Record<string, string> = {}) =>
    call(`catalog datacenters -http-addr=https://127.0.0.1:${port} ${flags}`, { environment })
  const named = '-tls-server-name=web.example'

  t.match(await ask(named), { code: 1, error: 'self-signed certificate' })
  t.match(await ask(`-ca-file=${ca}`), { code: 1, error: /does not match|altnames/ })
  t.equal((await ask(`${named} -ca-file=${ca}`)).out, 'dc1')
  t.equal((await ask(`${named} -ca-path=${folder}/cas`)).out, 'dc1')
  t.equal((await ask('', { CONSUL_HTTP_SSL_VERIFY: 'false' })).out, 'dc1')
  t.same(seen, [undefined, undefined, undefined])
  const inClear = `catalog datacenters -http-addr=http://127.0.0.1:${port} ${named} -ca-file=${ca}`
  const wanted = await call(inClear, { environment: { CONSUL_HTTP_SSL: '1' } })
  t.equal(wanted.out, 'dc1', 'an address does not take back that TLS is wanted')
  for (const name of ['CONSUL_HTTP_SSL', 'CONSUL_HTTP_SSL_VERIFY']) {
    for (const odd of ['yes', 'on', 'no', ' true', 'falsch']) {
      const { code, error } = await ask(`${named} -ca-file=${ca}`, { [name]: odd })
      t.match({ code, error }, { code: 1, error: `${name} must be true or false` }, odd)
    }
  }
  t.same(seen, [undefined, undefined, undefined, undefined], 'nothing was sent on a guess')
  const environment = {
    CONSUL_CACERT: ca,
    CONSUL_TLS_SERVER_NAME: 'web.example',
    CONSUL_CLIENT_CERT: ca,
    CONSUL_CLIENT_KEY: key,
  }
  t.equal((await ask('', environment)).out, 'dc1')
  t.equal(seen.at(-1), 'web.example')
  t.equal((await ask(`${named} -ca-file=${ca} -client-cert=${ca} -client-key=${key}`)).code, 0)
  t.equal(seen.at(-1), 'web.example')
  t.match(await ask(`-client-cert=${ca}`), { code: 1, error: 'come together' })
  t.match(await ask('-ca-file=/none'), { code: 1, error: 'cannot read the CA file /none' })
  t.match(await ask('-ca-path=/none'), { code: 1, error: 'cannot read the CA folder /none' })
})

t.test('a denial says how to learn why, where the server named the request', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const errorOf = async (body: string, status: number, id: string): Promise<string> => {
    agent.answer(body, status, id === '' ? {} : { 'X-Request-Id': id })
    return (await call(`kv get -http-addr=${agent.address} a`)).error
  }
  const said = 'Error querying Consul agent: Unexpected response code: 403 (x lacks permission y)'
  const why = '\nWhy: policy explain -request=104b78db-9261-42'
  t.equal(await errorOf('x lacks permission y', 403, '104b78db-9261-42'), said + why)
  t.equal(await errorOf('x lacks permission y', 403, ''), said)
  t.equal(await errorOf('x lacks permission y', 403, 'not one; of ours'), said)
  const unmet = 'Permission denied: condition "c" (advisory) does not hold'
  t.match(await errorOf(unmet, 403, '104b78db-9261-42'), why)
  t.notMatch(await errorOf(unmet, 403, ''), 'Why:')
  t.notMatch(await errorOf('Permission denied: x', 403, '104b78db-9261-42'), 'Why:')
  t.notMatch(await errorOf('x lacks permission y', 500, '104b78db-9261-42'), 'Why:')
})
