/**
 * Nodes by their name.
 *
 * Owns which records a node has. Follows Consul's node lookups: dots in the name are part of it.
 */
import { toText } from '../../base/bytes.ts'
import { nodeServices } from '../../registry/catalog.ts'
import { nodeInterest } from '../../store/replica/kinds.ts'
import { scope } from '../../store/tables/names.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import { TypeCode } from '../../wire/dns/mod.ts'
import { nodeTtlS } from '../config.ts'
import { type Answer, type Ask, defineDnsForm, joined, noAnswers, wants } from './declare.ts'
import { addressRecord, cnameRecord, hostName, metaRecords, wantsHost } from './records.ts'

export const nodeForm = defineDnsForm({
  name: 'node',
  pattern: '<node>.node[.<datacenter>[.dc]]',
  examples: [
    { ask: 'one.node.consul A', gives: 'A 10.0.0.1' },
    { ask: 'one.node.dc1.consul A', gives: 'A 10.0.0.1' },
    { ask: 'one.node.dc1.dc.consul A', gives: 'A 10.0.0.1' },
    { ask: 'ONE.Node.consul A', gives: 'A 10.0.0.1' },
    { ask: 'one.node.dc9.consul A', gives: 'NXDOMAIN' },
    { ask: 'one.node.dc1.ap.consul A', gives: 'NXDOMAIN' },
    { ask: 'one.node.dc1.peer.consul A', gives: 'NOTIMP' },
    { ask: 'one.node.consul AAAA', gives: 'NODATA' },
    { ask: 'one.node.consul SRV', gives: 'NODATA' },
    { ask: 'one.node.consul TXT', gives: ['TXT "zone=a"', 'TXT "bare"'] },
    { ask: 'one.node.consul ANY', gives: ['A 10.0.0.1', 'TXT "zone=a"', 'TXT "bare"'] },
    { ask: 'six.node.consul AAAA', gives: 'AAAA fd00::6' },
    { ask: 'six.node.consul A', gives: 'NODATA' },
    { ask: 'named.node.consul A', gives: 'CNAME outside.example.' },
    { ask: 'named.node.consul CNAME', gives: 'CNAME outside.example.' },
    { ask: 'with.dots.node.consul A', gives: 'A 10.0.0.9' },
    { ask: 'nobody.node.consul A', gives: 'NXDOMAIN' },
  ],
  parse: ({ kind, before }) =>
    kind === 'node' && before.length > 0 ? toText(joined(before)) : undefined,
  answer(node, ask) {
    const found = nodeServices(ask.who, node).read(ask.view)?.node
    if (found === undefined) return { scope: scope.nodes, answers: noAnswers(false) }
    return { scope: scope.node(node), answers: nodeAnswers(found.row, ask) }
  },
  standsOn: node => [nodeInterest(node)],
})

function* nodeAnswers(node: NodeRow, ask: Ask): Generator<Answer, boolean> {
  const ttlS = nodeTtlS(ask.config)
  const meta = metaRecords(ask.name, node, ttlS)
  const isAddress = ask.typeCode === TypeCode.A || ask.typeCode === TypeCode.AAAA
  const additionals = ask.config.dns.nodeMetaTxt && !wants(ask, 'TXT') ? meta : []
  const address = addressRecord(ask.name, node.address, ttlS)
  const host = hostName(node.address)
  if (address !== undefined && wants(ask, address.type)) yield { record: address, additionals }
  else if (host !== undefined && wantsHost(ask)) {
    yield { record: cnameRecord(ask.name, host, ttlS), additionals, host }
  } else if (isAddress) yield { loose: additionals }
  if (wants(ask, 'TXT')) for (const record of meta) yield { record, additionals: [] }
  return true
}
