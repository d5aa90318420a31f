/**
 * The domain itself, and the names between it and what it holds (`service`, `dc1`).
 *
 * The domain has an SOA and name servers and, as in Consul, does not exist for who asks for other
 * things. Those in between have no records but exist: resolvers that ask label by label (RFC
 * 9156) must not be told that nothing is below them (RFC 8020).
 */

import type { Bytes } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import { serviceHealth } from '../../registry/health.ts'
import { serviceInterest } from '../../store/replica/kinds.ts'
import { ClassCode, type DnsRecord } from '../../wire/dns/mod.ts'
import { nodeTtlS } from '../config.ts'
import { Place, placeOf } from '../name.ts'
import { type Answer, type Ask, defineDnsForm, noAnswers, wants } from './declare.ts'
import { scopeOf } from './instances.ts'
import { addressRecord, nodeName, soaRecord } from './records.ts'

/** The service that every server is an instance of. */
const SERVERS = 'consul'

export const domainForm = defineDnsForm<'apex' | 'between'>({
  name: 'domain',
  pattern: '',
  examples: [
    { ask: 'consul NS', gives: 'NS one.node.dc1.consul.' },
    { ask: 'consul A', gives: 'NXDOMAIN' },
    { ask: 'consul MX', gives: 'NXDOMAIN' },
    { ask: 'service.consul A', gives: 'NODATA' },
    { ask: 'service.dc1.consul NS', gives: 'NODATA' },
    { ask: 'dc1.consul A', gives: 'NODATA' },
    { ask: 'dc1.dc.consul SOA', gives: 'NODATA' },
    { ask: 'dc.consul A', gives: 'NODATA' },
    { ask: '_tcp.service.consul A', gives: 'NODATA' },
    { ask: '_udp.consul A', gives: 'NODATA' },
    { ask: 'dc9.consul A', gives: 'NXDOMAIN' },
    { ask: 'ns.consul A', gives: 'NXDOMAIN' },
    { ask: 'absent.consul A', gives: 'NXDOMAIN' },
  ],
  parse: ({ kind, before }, { datacenter }) => {
    if (kind === '' && before.length === 0) return 'apex'
    if (kind !== '') return before.length === 0 || isProtocol(before) ? 'between' : undefined
    const isBetween =
      placeOf(before, datacenter) === Place.here || (before.length === 1 && before[0] === 'dc')
    return isBetween ? 'between' : undefined
  },
  answer: (what, ask) =>
    what === 'apex'
      ? { scope: scopeOf(SERVERS, ask), answers: apexAnswers(ask) }
      : { scope: undefined, answers: noAnswers(true) },
  standsOn: what => (what === 'apex' ? [serviceInterest(SERVERS)] : []),
})

/** What stands between `_web._tcp` and the domain: there may be services below it. */
const isProtocol = (before: readonly Bytes[]): boolean =>
  before.length === 1 && (before[0] === '_tcp' || before[0] === '_udp')

function* apexAnswers(ask: Ask): Generator<Answer, boolean> {
  const isKnown = wants(ask, 'SOA') || wants(ask, 'NS')
  if (wants(ask, 'SOA')) {
    yield { record: soaRecord(ask.zone, ask.config, ask.nowS), additionals: [] }
  }
  if (!isKnown) return false
  for (const { record, glue } of nameServers(ask)) {
    if (wants(ask, 'NS')) yield { record, additionals: glue }
    else yield { authority: record, loose: glue }
  }
  return true
}

/** The servers that can answer for the domain, and their addresses. */
function* nameServers(ask: Ask): Generator<{ record: DnsRecord; glue: DnsRecord[] }> {
  const ttlS = nodeTtlS(ask.config)
  const passing = { tags: [], meta: [], passing: true }
  let count = 0
  for (const { node } of serviceHealth(ask.who, SERVERS, passing).read(ask.view)) {
    if (!/^[A-Za-z0-9-]+$/.test(node.row.node)) continue
    if (count++ === limits.dnsNameServers) return
    const target = nodeName(ask, ask.zone, node.row.node.toLowerCase())
    const glue = addressRecord(target, node.row.address, ttlS)
    const record: DnsRecord = {
      name: ask.name,
      class: ClassCode.IN,
      ttlS,
      type: 'NS',
      data: target,
    }
    yield { record, glue: glue === undefined ? [] : [glue] }
  }
}
