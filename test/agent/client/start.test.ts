/**
 * A server and the agent of another node, each by the program's own start: joining by a token, what
 * is kept of that, and what becomes of an agent whose certificate is revoked.
 */
import t from 'tap'
import { until } from '../../http/harness.ts'
import { clientHcl, has, serverHcl, start, tokenOf } from './joined.ts'

t.test('joins once, then starts from its disk, and leaves', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  const client = await start(t, clientHcl(folder, server, await tokenOf(server)))
  await client.ask('PUT', '/v1/agent/service/register', { Name: 'web' })
  await until(() => has(server, 'web'))
  t.equal((await client.ask('PUT', '/v1/kv/a', 'x')).text, 'true')
  const members = JSON.parse((await server.ask('GET', '/v1/agent/members')).text)
  t.strictSame(
    members.map(
      ({ Name, Tags }: { Name: string; Tags: { role: string } }) => `${Name} ${Tags.role}`,
    ),
    ['srv consul', 'edge node'],
  )
  await client.agent.stop()
  t.ok(await has(server, 'web'), 'a stop is no leaving')
  const again = await start(t, clientHcl(folder, server, ''))
  t.ok('web' in JSON.parse((await again.ask('GET', '/v1/agent/services')).text))
  await until(async () => (await again.ask('GET', '/v1/kv/a')).status === 200)
  await again.agent.stop(true)
  t.notOk(await has(server, 'web'))
})

t.test('without a token, and with a wrong one, it does not start', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  await t.rejects(start(t, clientHcl(folder, server, '')), { message: /takes a join token/ })
  const wrong = (await tokenOf(server)).replace(/.....$/, 'wrong')
  await t.rejects(start(t, clientHcl(folder, server, wrong)), { message: /join token/ })
})

t.test('an agent that was revoked is told nothing any more', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  const client = await start(t, clientHcl(folder, server, await tokenOf(server)))
  await until(async () => (await client.ask('GET', '/v1/status/leader')).status === 200)
  const self = JSON.parse((await client.ask('GET', '/v1/agent/self')).text)
  await server.ask('PUT', `/v1/operator/ca/revoke/${self.Config.NodeID}`)
  await until(async () => (await client.ask('GET', '/v1/status/leader')).status === 500)
  await client.ask('PUT', '/v1/agent/service/register', { Name: 'late' })
  t.notOk(await has(server, 'late'))
})

t.test('access control: rights of clients here, and of each definition on the servers', async t => {
  const folder = t.testdir()
  const root = 'b1d90d3c-1111-4222-8333-444455556666'
  const acl = (tokens: string): string =>
    `acl { enabled = true, default_policy = "deny", tokens { ${tokens} } }\n`
  const server = await start(t, serverHcl(folder) + acl(`initial_management = "${root}"`))
  const made = await server.ask('PUT', `/v1/operator/join-token?token=${root}`, { Kind: 'client' })
  const joining = clientHcl(folder, server, JSON.parse(made.text).Token)
  const client = await start(t, joining + acl(`agent = "${root}"`))
  const rules = 'service "web" { policy = "write" } node_prefix "" { policy = "read" }'
  await server.ask('PUT', `/v1/acl/policy?token=${root}`, { Name: 'web', Rules: rules })
  const token = JSON.parse(
    (await server.ask('PUT', `/v1/acl/token?token=${root}`, { Policies: [{ Name: 'web' }] })).text,
  )
  const register = (name: string, shown: string) =>
    client.ask('PUT', `/v1/agent/service/register?token=${shown}`, { Name: name })
  t.equal((await register('web', '')).status, 403)
  t.equal((await register('db', token.SecretID)).status, 403)
  t.equal((await register('web', token.SecretID)).status, 200)
  const found = async (): Promise<boolean> =>
    'web' in JSON.parse((await server.ask('GET', `/v1/catalog/services?token=${root}`)).text)
  await until(found)
  await server.ask('DELETE', `/v1/acl/token/${token.AccessorID}?token=${root}`)
  await until(async () => (await register('web', token.SecretID)).status === 403)
  const denied = await client.ask('GET', '/v1/kv/a')
  t.equal(denied.status, 403, 'a server takes nothing for its own token')
  t.match(denied.text, /anonymous token/)
})
