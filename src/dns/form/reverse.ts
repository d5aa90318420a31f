/**
 * From addresses back to names: nodes first, then services (RFC 1035 §3.5, RFC 3596 §2.5).
 *
 * Owns which names an address has. They lie in the primary domain. An address that the registry
 * does not know may be known elsewhere.
 */
import type { Bytes } from '../../base/bytes.ts'
import { holderOf } from '../../registry/catalog.ts'
import { addressInterest } from '../../store/replica/kinds.ts'
import { ClassCode, type TemplateAnswer } from '../../wire/dns/mod.ts'
import { defineDnsForm, noAnswers, wants } from './declare.ts'
import { nodeName, serviceName } from './records.ts'

export const reverseForm = defineDnsForm<Bytes>({
  name: 'reverse',
  pattern: '<address>.in-addr.arpa, <address>.ip6.arpa',
  examples: [
    { ask: '1.0.0.10.in-addr.arpa PTR', gives: 'PTR one.node.dc1.consul.' },
    { ask: '1.0.0.10.IN-ADDR.ARPA PTR', gives: 'PTR one.node.dc1.consul.' },
    { ask: '1.0.0.10.in-addr.arpa ANY', gives: 'PTR one.node.dc1.consul.' },
    { ask: '1.0.0.10.in-addr.arpa A', gives: 'NODATA' },
    { ask: '2.0.1.10.in-addr.arpa PTR', gives: 'PTR web.service.dc1.consul.' },
    { ask: `6${'.0'.repeat(29)}.d.f.ip6.arpa PTR`, gives: 'PTR Six.node.dc1.consul.' },
    { ask: '9.9.9.10.in-addr.arpa PTR', gives: 'NXDOMAIN' },
    { ask: `7${'.0'.repeat(29)}.d.f.ip6.arpa PTR`, gives: 'NXDOMAIN' },
    { ask: '0.0.10.in-addr.arpa PTR', gives: 'REFUSED' },
  ],
  parse: ({ kind, before }) => (kind === 'reverse' ? before[0] : undefined),
  answer(address, ask) {
    const holder = holderOf(ask.view, ask.who, address)
    if (holder === undefined) return 'elsewhere'
    const found = { scope: undefined, isFleeting: true }
    if (!wants(ask, 'PTR')) return { ...found, answers: noAnswers(true) }
    const { node, service } = holder
    const data =
      service === undefined ? nodeName(ask, ask.zone, node) : serviceName(ask, ask.zone, service)
    const record = { name: ask.name, class: ClassCode.IN, ttlS: 0, type: 'PTR', data } as const
    return { ...found, answers: one({ record, additionals: [] }) }
  },
  standsOn: address => [addressInterest(address)],
})

function* one(answer: TemplateAnswer): Generator<TemplateAnswer, boolean> {
  yield answer
  return true
}
