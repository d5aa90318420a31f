/** An agent without a store, joined as the program does: DNS and stale reads without servers. */
import t from 'tap'
import { askUdp, queryOf, textOf } from '../../dns/support.ts'
import { until } from '../../http/harness.ts'
import { parsed } from '../../wire/dns/arbitraries.ts'
import { startEdge, startServer } from './world.ts'

t.test('what was asked for is told on while every server is away, and follows again', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  const { port } = edge.agent.addresses.find(({ face }) => face === 'dns')!
  const resolve = async (question: string): Promise<string[]> =>
    textOf(parsed(await askUdp(port, queryOf(question)))).sort()
  const register = (node: string, address: string) =>
    server.face.client.put('/v1/catalog/register', {
      ...{ Node: node, Address: address, Service: { Service: 'web', Port: 80 } },
    })
  await register('one', '10.0.0.1')
  t.same(await resolve('web.service.consul A'), ['A 10.0.0.1'])
  t.same(await resolve('1.0.0.10.in-addr.arpa PTR'), ['PTR one.node.dc1.consul.'])
  await register('two', '10.0.0.2')
  await until(async () => (await resolve('web.service.consul A')).length === 2)
  const path = '/v1/health/service/web?stale'
  t.equal((await edge.client.get(path)).json.length, 2)
  await server.cut()
  await until(async () => {
    const { headers } = await edge.client.raw('GET', path)
    return headers['x-consul-knownleader'] === 'false'
  })
  t.equal((await resolve('web.service.consul A')).length, 2)
  t.same(await resolve('1.0.0.10.in-addr.arpa PTR'), ['PTR one.node.dc1.consul.'])
  t.equal((await edge.client.raw('GET', path)).json.length, 2)
  const fresh = await edge.client.raw('GET', '/v1/health/service/web')
  t.equal(fresh.status, 500, 'what must not be old is not told')
  await register('three', '10.0.0.3')
  edge.channel.learn([{ nodeId: 'server-1', address: await server.serve() }])
  await until(async () => (await resolve('web.service.consul A')).length === 3)
  t.equal((await edge.client.get('/v1/health/service/web')).json.length, 3)
})
