/** Servers that are none of this cluster, as an archive of another one brings them along. */
import t from 'tap'
import { strangeServers } from '../../src/agent/server-duty.ts'
import { put } from '../../src/store/store.ts'
import { agents } from '../../src/store/tables/agent.ts'
import { type ServerRow, ServerState, servers } from '../../src/store/tables/server.ts'
import { NODE, startFace } from '../http/harness.ts'

const row: ServerRow = {
  ...{ nodeId: 'id', name: NODE, address: '127.0.0.1', version: '', level: 1, hasAcl: false },
  ports: { server: 8300, serfLan: 8301, serfWan: 8302 },
  ...{ meta: {}, sinceMs: 0, state: ServerState.in, stateAtMs: 0 },
}

t.test('who says to be a server and is none', async t => {
  const { client, store } = await startFace(t)
  const register = (Node: string, body: object) =>
    client.put('/v1/catalog/register', { Node, Address: '10.0.0.9', ...body })
  const serf = { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' }
  const consul = { ID: 'consul', Service: 'consul' }
  t.same(strangeServers(store.view()), [NODE], 'it is on no list yet')
  await store.write(() => ({ txn: [put(servers, row.nodeId, row)], answer: true }))
  t.same(strangeServers(store.view()), [])
  await register('old', { Service: consul, Check: serf })
  await register('external', { Service: consul })
  await register('other', { Check: serf })
  const ID = '11111111-2222-4333-8444-555555555555'
  await register('agent', { ID, Service: consul, Check: serf })
  await store.write(() => ({
    txn: [put(agents, ID, { address: '10.0.0.9:8300', failedAtMs: 0 })],
    answer: true,
  }))
  t.same(strangeServers(store.view()), ['old'])
})
