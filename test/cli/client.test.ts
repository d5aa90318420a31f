/**
 * Where the command line finds the agent, with which token, and the words for its faults.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
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
