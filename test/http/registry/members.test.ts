/** A server as a member: what its tags tell of its ports. */
import t from 'tap'
import { serverMember } from '../../../src/http/registry/members.ts'

const facts = {
  name: 'a',
  nodeId: 'id',
  address: '10.0.0.1',
  hasAcl: false,
  status: 'alive',
} as const
const ports = { server: 8300, serfLan: 8301, serfWan: 8302 }

t.test('the ports of gRPC are told where it is served', async t => {
  const tagsOf = (more: object) =>
    serverMember({ ...facts, ports: { ...ports, ...more } }, 'dc1', false).Tags
  t.match(tagsOf({ grpc: 8502, grpcTls: 8503 }), { grpc_port: '8502', grpc_tls_port: '8503' })
  const off = tagsOf({ grpc: -1 })
  t.notOk('grpc_port' in off || 'grpc_tls_port' in off)
  t.equal(off.port, '8300')
})
