/** What certificates say of agents: read strictly. */
import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { agentUri, identityOf, nodeName, SERVER_NAME } from '../../src/cluster/names.ts'
import { type IssueOptions, makeAuthority } from '../x509/pki.ts'

const cluster = '11111111-2222-3333-4444-555555555555'
const nodeId = 'aaaaaaaa-0000-4000-8000-000000000001'
const server = { kind: 'server', nodeId } as const
const client = { kind: 'client', nodeId } as const

function read(t: Test, options: IssueOptions) {
  const { cert } = makeAuthority(t.testdir()).issue('leaf', options)
  return identityOf(new X509Certificate(cert), cluster)
}

t.test('a server and a client', async t => {
  const uris = [agentUri(cluster, server)]
  t.same(read(t, { uris, dnsNames: [nodeName(nodeId), SERVER_NAME] }), server)
  t.same(read(t, { uris: [agentUri(cluster, client)], dnsNames: [nodeName(nodeId)] }), client)
})

t.test('what is not quite one', async t => {
  const other = 'bbbbbbbb-0000-4000-8000-000000000002'
  const uri = agentUri(cluster, server)
  const names = [nodeName(nodeId), SERVER_NAME]
  const cases: Record<string, IssueOptions> = {
    'no URI': { dnsNames: names },
    'two URIs': { uris: [uri, agentUri(cluster, client)], dnsNames: names },
    'of another cluster': { uris: [agentUri(other, server)], dnsNames: names },
    'of another node than its name': { uris: [uri], dnsNames: [nodeName(other), SERVER_NAME] },
    'a server without the name of one': { uris: [uri], dnsNames: [nodeName(nodeId)] },
    'a client with the name of a server': { uris: [agentUri(cluster, client)], dnsNames: names },
    'another role': { uris: [uri.replace('server', 'king')], dnsNames: names },
    'in capitals': { uris: [uri.toUpperCase()], dnsNames: names },
    'more after it': { uris: [`${uri}/x`], dnsNames: names },
    'names that would split': { uris: [uri], dnsNames: [...names, 'a, URI:b'] },
  }
  for (const [name, options] of Object.entries(cases)) t.equal(read(t, options), undefined, name)
})
