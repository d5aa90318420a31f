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
