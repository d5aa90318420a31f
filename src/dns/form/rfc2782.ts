/**
 * Services as RFC 2782 names them: `_web._tcp`. The second label is a protocol or a tag.
 *
 * `_tcp` never filters, as in Consul. `_udp` does where instances have that tag, since they could
 * be told apart by nothing else.
 */
import { toText } from '../../base/bytes.ts'
import { serviceInstances } from '../../registry/catalog.ts'
import { serviceInterest } from '../../store/replica/kinds.ts'
import { type Ask, defineDnsForm } from './declare.ts'
import { sayInstances } from './instances.ts'

interface Srv {
  readonly service: string
  readonly protocol: string
}

export const rfc2782Form = defineDnsForm<Srv>({
  name: 'RFC 2782',
  pattern: '_<service>._<tag or protocol>[.service][.<datacenter>[.dc]]',
  examples: [
    {
      ask: '_web._tcp.service.consul SRV',
      gives: ['SRV 1 1 8080 one.node.dc1.consul.', 'SRV 1 2 8081 0a010002.addr.dc1.consul.'],
    },
    {
      ask: '_web._udp.consul SRV',
      gives: ['SRV 1 1 8080 one.node.dc1.consul.', 'SRV 1 2 8081 0a010002.addr.dc1.consul.'],
    },
    { ask: '_web._primary.consul SRV', gives: 'SRV 1 1 8080 one.node.dc1.consul.' },
    { ask: '_web._primary.dc1.consul SRV', gives: 'SRV 1 1 8080 one.node.dc1.consul.' },
    { ask: '_web._primary.service.dc1.dc.consul SRV', gives: 'SRV 1 1 8080 one.node.dc1.consul.' },
    { ask: '_web._primary.service.consul A', gives: 'A 10.0.0.1' },
    { ask: '_names._udp.consul SRV', gives: 'SRV 1 1 53 one.node.dc1.consul.' },
    { ask: '_web._absent.consul SRV', gives: 'NXDOMAIN' },
    { ask: '_absent._tcp.consul SRV', gives: 'NXDOMAIN' },
    { ask: '_web._tcp.dc9.consul SRV', gives: 'NXDOMAIN' },
    { ask: '_web.consul SRV', gives: 'NXDOMAIN' },
  ],
  parse: ({ kind, before }) => {
    const [service, protocol, ...rest] = before
    if ((kind !== 'srv' && kind !== 'service') || rest.length > 0) return undefined
    if (!service?.startsWith('_') || !protocol?.startsWith('_')) return undefined
    return { service: toText(service.slice(1)), protocol: toText(protocol.slice(1)) }
  },
  answer: ({ service, protocol }, ask) => {
    const isTag = protocol !== 'tcp' && (protocol !== 'udp' || hasTag(service, protocol, ask))
    return sayInstances({ service, tag: isTag ? protocol : undefined }, ask)
  },
  standsOn: ({ service }) => [serviceInterest(service)],
})

function hasTag(service: string, tag: string, { who, view }: Ask): boolean {
  const [first] = serviceInstances(who, service, { tags: [tag], meta: [] }).read(view)
  return first !== undefined
}
