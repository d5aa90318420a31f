/**
 * A server and the agent of another node, each by the program's own start: joining by a token, what
 * is kept of that, and what becomes of an agent whose certificate is revoked.
 */
import t, { type Test } from 'tap'
import { startAgent as startClientAgent } from '../../../src/agent/client/start.ts'
import { loadConfig, settleNodeId } from '../../../src/agent/config-load.ts'
import { startAgent as startServerAgent } from '../../../src/agent/lifecycle.ts'
import type { RunningAgent } from '../../../src/agent/running.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { askPort } from '../../clients/daemon.ts'
import { until } from '../../http/harness.ts'

interface Started {
  readonly agent: RunningAgent
  port(face: string): number
  ask(method: string, url: string, body?: string | object): ReturnType<typeof askPort>
}

async function start(t: Test, hcl: string): Promise<Started> {
  const load = () => loadConfig([{ name: 'hcl', value: hcl }])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const by = config.isServer ? startServerAgent : startClientAgent
  const agent = await by(config, { log: silentLog, load, leave: () => {} })
  let stopped: Promise<void> | undefined
  const stop = (isLeaving?: boolean): Promise<void> => {
    stopped ??= agent.stop(isLeaving)
    return stopped
  }
  t.teardown(() => stop())
  const port = (face: string): number => agent.addresses.find(one => one.face === face)!.port
  return {
    agent: { ...agent, stop },
    port,
    ask: (method, url, body) => askPort(port('http'), method, url, body),
  }
}

const common = (folder: string, name: string, ports = ''): string =>
  `node_name = "${name}"\ndata_dir = "${folder}/${name}"\ndisable_host_node_id = true\n` +
  `ports { http = 0, dns = -1, server = 0 ${ports} }\n`

const serverHcl = (folder: string): string => common(folder, 'srv')

async function tokenOf(server: Started): Promise<string> {
  const { text } = await server.ask('PUT', '/v1/operator/join-token', { Kind: 'client' })
  return JSON.parse(text).Token
}

const clientHcl = (folder: string, server: Started, token: string): string =>
  `server = false\n${common(folder, 'edge')}` +
  `retry_join = ["127.0.0.1:${server.port('rpc')}"]\n${token === '' ? '' : `join_token = "${token}"`}`

const has = async (server: Started, service: string): Promise<boolean> =>
  service in JSON.parse((await server.ask('GET', '/v1/catalog/services')).text)

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
