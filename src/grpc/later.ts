/**
 * Services and methods that clients of Consul may call and that are not served yet.
 *
 * Owns the list, and what whoever calls one is told. A service of which nothing is served has no
 * contract here; it is known by its name.
 */

/** By `package.Service` or `package.Service/Method`: what it comes with. */
export const laterServices: Readonly<Record<string, string>> = {
  'envoy.service.discovery.v3.AggregatedDiscoveryService': 'the service mesh',
  'hashicorp.consul.connectca.ConnectCAService': 'the service mesh',
  'hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams': 'the service mesh',
  'hashicorp.consul.internal.peerstream.PeerStreamService': 'federation',
}

/** What is said of a method that nobody declared, by its `/package.Service/Method`. */
export function undeclaredText(path: string): string {
  const method = path.slice(1)
  const service = method.slice(0, method.indexOf('/'))
  const name = [method, service].find(one => Object.hasOwn(laterServices, one))
  if (name === undefined) return `there is no method ${method}`
  return `not served yet: ${name}, which comes with ${laterServices[name]}`
}
