/**
 * Services with several ports on every path that shows them: all of their ports, and the default
 * one where older clients look for one.
 */
import t from 'tap'
import type { Client } from '../client.ts'
import { NODE, startFace } from '../harness.ts'

const Ports = [
  { Name: 'admin', Port: 8081, Default: false },
  { Name: 'http', Port: 8080, Default: true },
]

const SERVICE = 'many'

/** Every path that shows a service of the catalog or of the agent. */
const READS = [
  `/v1/catalog/service/${SERVICE}`,
  `/v1/catalog/node/${NODE}`,
  `/v1/catalog/node-services/${NODE}`,
  `/v1/health/service/${SERVICE}`,
  '/v1/agent/services',
  `/v1/agent/service/${SERVICE}`,
  `/v1/agent/health/service/id/${SERVICE}`,
  `/v1/agent/health/service/name/${SERVICE}`,
  '/v1/internal/ui/nodes',
  `/v1/internal/ui/node/${NODE}`,
]

interface Shown {
  readonly port: unknown
  readonly ports: unknown
}

/** What an answer says of the service's ports, wherever it says it. */
function shownIn(answer: unknown): Shown[] {
  if (typeof answer !== 'object' || answer === null) return []
  const fields = answer as Readonly<Record<string, unknown>>
  const own: Shown[] = []
  if (fields.Service === SERVICE) own.push({ port: fields.Port, ports: fields.Ports })
  if (fields.ServiceName === SERVICE && 'ServicePort' in fields) {
    own.push({ port: fields.ServicePort, ports: fields.ServicePorts })
  }
  return [...own, ...Object.values(fields).flatMap(shownIn)]
}

const expectShown = async (client: Client, path: string, t: { strictSame: typeof tSame }) =>
  t.strictSame(shownIn((await client.get(path)).json), [{ port: 8080, ports: Ports }], path)
const tSame = t.strictSame.bind(t)

t.test('what an agent registered', async t => {
  const { client } = await startFace(t)
  const Check = { TTL: '1h', Status: 'passing' }
  await client.put('/v1/agent/service/register', { Name: SERVICE, Ports, Check })
  for (const path of READS) await expectShown(client, path, t)
  const snake = [{ name: 'a', port: 1, default: true }]
  await client.put('/v1/agent/service/register', { name: 'snake', ports: snake })
  t.match((await client.get('/v1/catalog/service/snake')).json, [
    { ServicePort: 1, ServicePorts: [{ Name: 'a', Port: 1, Default: true }] },
  ])
})

t.test('what was registered in the catalog, or in a transaction', async t => {
  const { client } = await startFace(t)
  const Service = { Service: SERVICE, Ports }
  await client.put('/v1/catalog/register', { Node: 'n', Address: '10.0.0.1', Service })
  await expectShown(client, `/v1/catalog/service/${SERVICE}`, t)
  await expectShown(client, '/v1/catalog/node/n', t)
  await client.put('/v1/catalog/deregister', { Node: 'n', ServiceID: SERVICE })
  const set = { Service: { Verb: 'set', Node: 'n', Service } }
  const { json } = await client.put('/v1/txn', [set])
  t.strictSame(shownIn(json), [{ port: 8080, ports: Ports }])
  await expectShown(client, `/v1/health/service/${SERVICE}`, t)
})

t.test('what was read can be written back', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/agent/service/register', { Name: SERVICE, Ports })
  const { Node, Services } = (await client.get(`/v1/catalog/node/${NODE}`)).json
  const Service = Services[SERVICE]
  const body = { Node: NODE, Address: Node.Address, SkipNodeUpdate: true, Service }
  t.equal((await client.put('/v1/catalog/register', body)).status, 200)
  await expectShown(client, `/v1/catalog/service/${SERVICE}`, t)
  const other = { ...body, Service: { ...Service, Port: 1 } }
  t.equal((await client.put('/v1/catalog/register', other)).status, 500, 'but not another port')
})

t.test('without a default entry the first one is it', async t => {
  const { client } = await startFace(t)
  const two = [
    { Name: 'a', Port: 1 },
    { Name: 'b', Port: 2 },
  ]
  await client.put('/v1/agent/service/register', { Name: SERVICE, Ports: two })
  const [instance] = (await client.get(`/v1/catalog/service/${SERVICE}`)).json
  t.equal(instance.ServicePort, 1)
})
