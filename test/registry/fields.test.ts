/** The selectors of filters: those that Consul declares, under its names, and what they select. */
import t from 'tap'
import { everybody } from '../../src/base/who.ts'
import { type Filter, filterOf } from '../../src/filter/filter.ts'
import { serviceInstances } from '../../src/registry/catalog.ts'
import { registryFields } from '../../src/registry/fields.ts'
import { serviceHealth } from '../../src/registry/health.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { putCheck, putNode, putService, viewOf } from './rules.ts'

const fields = registryFields('dc1')
const words = (text: string) => text.split(' ')

/** As Consul's pages on filtering list them, and what newer versions add. */
const selectors = {
  node: words('ID Node Address Datacenter TaggedAddresses Meta PeerName'),
  service: words(
    'Kind ID Service Tags Address TaggedAddresses Meta Port Ports SocketPath Weights ' +
      'EnableTagOverride Proxy Connect PeerName',
  ),
  instance: words(
    'ID Node Address Datacenter TaggedAddresses NodeMeta ServiceKind ServiceID ServiceName ' +
      'ServiceTags ServiceAddress ServiceTaggedAddresses ServiceMeta ServicePort ServicePorts ' +
      'ServiceSocketPath ServiceWeights ServiceEnableTagOverride ServiceProxy ServiceConnect ' +
      'PeerName',
  ),
  check: words(
    'Node CheckID Name Status Notes Output ServiceID ServiceName ServiceTags Type Interval ' +
      'Timeout ExposedPort PeerName',
  ),
  health: words('Node Service Checks'),
  nodeInfo: words('ID Node Address Datacenter TaggedAddresses Meta PeerName Services Checks'),
}

t.test('each kind of item has its selectors', async t => {
  for (const [kind, names] of Object.entries(selectors)) {
    const declared = Object.keys(fields[kind as keyof typeof selectors])
    t.strictSame(declared.toSorted(), names.toSorted(), kind)
  }
})

const view = viewOf(
  putNode('n1', { meta: { zone: 'a' }, address: '10.0.0.1' }),
  putService('n1', 'w1', { name: 'web', tags: ['x'], port: 80, meta: { v: '1' } }),
  putCheck('n1', 'c1', { serviceId: 'w1', serviceName: 'web', name: 'probe' }),
)

t.test('they select what answers show under these names', async t => {
  const wanted = { tags: [], meta: [], passing: false }
  const [instance] = serviceInstances(everybody, 'web', wanted).read(view)
  const [health] = serviceHealth(everybody, 'web', wanted).read(view)
  const node = view.get(nodes, 'n1')
  const onNode = ['Node == n1 and Address == "10.0.0.1"', 'Meta.zone == a and Datacenter == dc1']
  for (const text of onNode) t.ok((filterOf(text, fields.node) as Filter<unknown>).keeps(node))
  const onInstance = [
    'Node == n1 and NodeMeta.zone == a and ServicePort == 80',
    'ServiceID == w1 and ServiceName == web and ServiceMeta.v == 1 and x in ServiceTags',
    'ServiceKind == "" and ServiceProxy.MeshGateway.Mode == "" and PeerName == ""',
  ]
  for (const text of onInstance) {
    t.ok((filterOf(text, fields.instance) as Filter<unknown>).keeps(instance), text)
  }
  const onHealth = [
    'Node.Node == n1 and Service.Service == web and Service.Connect.Native == false',
    'Checks.CheckID == c1 and Checks.Name == probe and Service.Proxy.Expose.Paths is empty',
  ]
  for (const text of onHealth) {
    t.ok((filterOf(text, fields.health) as Filter<unknown>).keeps(health), text)
  }
})
