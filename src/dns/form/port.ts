/**
 * One of a service's named ports.
 *
 * Instances without a port of that name are left out, for addresses as well as for SRV.
 */
import { toText } from '../../base/bytes.ts'
import { serviceInterest } from '../../store/replica/kinds.ts'
import { defineDnsForm } from './declare.ts'
import { sayInstances, type Wanted } from './instances.ts'

export const portForm = defineDnsForm<Wanted>({
  name: 'port',
  pattern: '<port>.port.<service>.service[.<datacenter>[.dc]]',
  examples: [
    { ask: 'admin.port.many.service.consul SRV', gives: 'SRV 1 1 9000 one.node.dc1.consul.' },
    { ask: 'admin.port.many.service.consul A', gives: 'A 10.0.0.1' },
    { ask: 'many.service.consul SRV', gives: 'SRV 1 1 8000 one.node.dc1.consul.' },
    { ask: 'absent.port.many.service.consul SRV', gives: 'NXDOMAIN' },
    { ask: 'admin.port.web.service.consul SRV', gives: 'NXDOMAIN' },
  ],
  parse: ({ kind, before }) => {
    const [port, word, service, ...rest] = before
    if (kind !== 'service' || word !== 'port' || rest.length > 0) return undefined
    return service === undefined ? undefined : { service: toText(service), port }
  },
  answer: sayInstances,
  standsOn: ({ service }) => [serviceInterest(service)],
})
