/**
 * Services by their name, with or without a tag.
 *
 * Follows Consul's standard lookup: dots in front of the service's name are part of the tag.
 */
import { toText } from '../../base/bytes.ts'
import { serviceInterest } from '../../store/replica/kinds.ts'
import { defineDnsForm, joined } from './declare.ts'
import { sayInstances, type Wanted } from './instances.ts'

export const serviceForm = defineDnsForm<Wanted>({
  name: 'service',
  pattern: '[<tag>.]<service>.service[.<datacenter>[.dc]]',
  examples: [
    { ask: 'web.service.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'web.service.dc1.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'web.service.dc1.dc.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'web.service.consul ANY', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    {
      ask: 'web.service.consul SRV',
      gives: ['SRV 1 1 8080 one.node.dc1.consul.', 'SRV 1 2 8081 0a010002.addr.dc1.consul.'],
    },
    { ask: 'web.service.consul AAAA', gives: 'NODATA' },
    { ask: 'web.service.consul TXT', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'web.service.consul MX', gives: 'NODATA' },
    { ask: 'primary.web.service.consul A', gives: 'A 10.0.0.1' },
    { ask: 'v1.2.web.service.consul A', gives: 'A 10.1.0.2' },
    { ask: 'absent.web.service.consul A', gives: 'NXDOMAIN' },
    { ask: 'six.service.consul AAAA', gives: 'AAAA fd00::6' },
    { ask: 'six.service.consul SRV', gives: 'SRV 1 1 6666 Six.node.dc1.consul.' },
    { ask: 'six.service.consul A', gives: 'NODATA' },
    { ask: 'six.service.consul TXT', gives: 'AAAA fd00::6' },
    { ask: 'external.service.consul A', gives: 'CNAME outside.example.' },
    { ask: 'external.service.consul SRV', gives: 'SRV 1 1 443 outside.example.' },
    { ask: 'down.service.consul A', gives: 'NXDOMAIN' },
    { ask: 'down.service.consul MX', gives: 'NXDOMAIN' },
    { ask: 'absent.service.consul A', gives: 'NXDOMAIN' },
    { ask: 'web.service.dc9.consul A', gives: 'NXDOMAIN' },
    { ask: 'web.service.dc1.peer.consul A', gives: 'NOTIMP' },
    { ask: 'web.service.group.sg.consul A', gives: 'NOTIMP' },
  ],
  parse: ({ kind, before }) => {
    const service = before.at(-1)
    if (kind !== 'service' || service === undefined) return undefined
    const tag = before.length > 1 ? toText(joined(before.slice(0, -1))) : undefined
    return { service: toText(service), tag }
  },
  answer: sayInstances,
  standsOn: ({ service }) => [serviceInterest(service)],
})
