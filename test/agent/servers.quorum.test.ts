/**
 * Without a quorum: what goes on does, with its age; what needs one fails in words that clients
 * know; and who is not known is not let in.
 */
import { Resolver } from 'node:dns/promises'
import t, { type Test } from 'tap'
import { tempFolder } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'
import { eventually, type OneServer, startServer } from './several.ts'

const MANAGEMENT = '11111111-2222-3333-4444-555555555555'

interface Staleness {
  readonly status: number
  readonly known: string
  readonly ageMs: number
}

async function stalenessOf(server: OneServer, url: string): Promise<Staleness> {
  const { status, headers } = await server.ask('GET', url)
  return {
    status,
    known: String(headers['x-consul-knownleader']),
    ageMs: Number(headers['x-consul-lastcontact']),
  }
}

const webOf = (server: OneServer) => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  resolver.setServers([`127.0.0.1:${server.dnsPort}`])
  return resolver.resolve4('web.service.consul')
}

async function registerWeb(t: Test, server: OneServer, token = ''): Promise<void> {
  const body = { Name: 'web', Port: 80, Address: '10.1.2.3' }
  const { status } = await server.ask('PUT', `/v1/agent/service/register?token=${token}`, body)
  t.equal(status, 200)
}

t.test('reads that may be old go on, with their age', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const options = { endpoints: [member.endpoint], folder: tempFolder(t) }
  const server = await startServer(t, 'one', options)
  await registerWeb(t, server)
  t.equal((await server.ask('PUT', '/v1/kv/a', 'x')).text, 'true')
  await eventually('it leads', async () => (await server.read('/v1/status/leader')) !== '')
  const health = '/v1/health/service/web'
  t.match(await stalenessOf(server, health), { status: 200, known: 'true', ageMs: 0 })
  const fresh = await stalenessOf(server, `${health}?stale`)
  t.match(fresh, { status: 200, known: 'true' })
  t.ok(fresh.ageMs < 1_000, `${fresh.ageMs}`)
  t.strictSame(await webOf(server), ['10.1.2.3'])
  const before = (await server.ask('GET', '/v1/kv/a')).headers['x-consul-index']
  const blocked = server.ask('GET', `/v1/kv/a?stale&index=${before}&wait=20s`)

  member.pause()
  await eventually('its view grows old', async () => {
    return (await stalenessOf(server, `${health}?stale`)).known === 'false'
  })
  const old = await stalenessOf(server, `${health}?stale`)
  t.equal(old.status, 200)
  t.ok(old.ageMs > 1_000, `${old.ageMs}`)
  t.strictSame(await webOf(server), ['10.1.2.3'], 'DNS goes on')
  t.equal(await server.read('/v1/status/leader'), '', 'nobody is known to lead')
  const { status } = await server.ask('GET', '/v1/operator/autopilot/health')
  t.equal(status, 429)
  const failing: [string, string, string?][] = [
    ['GET', health],
    ['GET', `${health}?consistent`],
    ['GET', `${health}?stale&max_stale=1s`],
    ['PUT', '/v1/kv/a', 'y'],
    ['PUT', '/v1/session/create', '{}'],
  ]
  const failed = await Promise.all(failing.map(each => server.ask(...each)))
  for (const [at, answer] of failed.entries()) {
    t.match(
      [answer.status, answer.text],
      [500, /^No cluster leader|^leadership lost while committing log/],
      failing[at]!.join(),
    )
  }

  member.resume()
  await eventually('it is well again', async () => {
    const { known, ageMs } = await stalenessOf(server, `${health}?stale`)
    return known === 'true' && ageMs < 1_000
  })
  t.equal((await server.ask('PUT', '/v1/kv/a', 'z')).text, 'true')
  t.match((await blocked).text, '"a"', 'who waited was answered')
})

t.test('who was known is let in, who was not is not', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const acl = (policy: string): string =>
    `acl { enabled = true, default_policy = "deny", down_policy = "${policy}"\n` +
    `tokens { initial_management = "${MANAGEMENT}", agent = "${MANAGEMENT}" } }`
  const start = (name: string, policy: string): Promise<OneServer> => {
    const endpoints = [member.endpoint]
    const folder = tempFolder(t)
    return startServer(t, name, { endpoints, folder, prefix: name, hcl: acl(policy) })
  }
  const extending = await start('extending', 'extend-cache')
  const denying = await start('denying', 'deny')
  const allowing = await start('allowing', 'allow')
  const all = [extending, denying, allowing]
  for (const server of all) await registerWeb(t, server, MANAGEMENT)
  const made = await extending.ask('PUT', `/v1/acl/token?token=${MANAGEMENT}`, {
    Policies: [{ Name: 'global-management' }],
  })
  const { SecretID: unused } = JSON.parse(made.text)
  const ask = async (server: OneServer, token: string): Promise<number> => {
    const url = `/v1/catalog/node-services/${server.name}?stale&token=${token}`
    return (await server.ask('GET', url)).status
  }
  for (const server of all) t.equal(await ask(server, MANAGEMENT), 200, server.name)
  member.pause()
  for (const server of all) {
    await eventually('its view grows old', async () => {
      return (await server.read('/v1/status/leader')) === ''
    })
  }
  t.equal(await ask(extending, MANAGEMENT), 200)
  t.equal(await ask(extending, unused), 500, 'nobody has shown it here yet')
  const services = (server: OneServer, token: string): Promise<string> =>
    server.ask('GET', `/v1/catalog/services?stale&token=${token}`).then(({ text }) => text.trim())
  t.match(await services(extending, MANAGEMENT), '"web"')
  t.notMatch(await services(denying, MANAGEMENT), '"web"')
  t.match(await services(allowing, unused), '"web"')
  t.equal((await allowing.ask('GET', `/v1/acl/tokens?token=${unused}`)).status, 403)
  member.resume()
  await eventually('it is well again', async () => (await ask(extending, unused)) === 200)
})
