/**
 * The endpoints of Consul's community edition that are known here and come in a later step.
 *
 * Owns the one list of them. They answer 501 and name themselves, so that nobody takes a gap for a
 * fault. Endpoints that only the
 * enterprise edition has are not in the list: as everywhere else, they are not found.
 */
import { notServed, type Refusal } from '../../base/errors.ts'
import {
  acting,
  anonymous,
  definePath,
  type Method,
  type Operation,
  type PathDeclaration,
} from '../declare.ts'

const LATER = `
POST /v1/agent/connect/authorize
GET /v1/agent/connect/ca/roots
GET /v1/agent/connect/ca/leaf/{service}
GET /v1/catalog/connect/{service}
GET /v1/catalog/gateway-services/{gateway}
GET /v1/health/connect/{service}
GET /v1/health/ingress/{service}
GET /v1/connect/ca/roots
GET PUT /v1/connect/ca/configuration
GET POST /v1/discovery-chain/{service}
GET /v1/exported-services
GET /v1/imported-services
POST /v1/peering/token
POST /v1/peering/establish
GET DELETE /v1/peering/{name}
GET /v1/peerings
GET /v1/internal/federation-states
GET /v1/internal/federation-states/mesh-gateways
GET /v1/internal/federation-state/{datacenter}
GET /v1/internal/ui/service-topology/{service}
GET /v1/internal/ui/metrics-proxy/{path}
PUT /v1/internal/service-virtual-ip
`

/** Paths of a later step. */
export const laterPaths: readonly PathDeclaration[] = pathsOf(LATER, (method, path) =>
  notServed(`${method} ${path}`),
)

function pathsOf(
  lines: string,
  refuse: (method: Method, path: string) => Refusal,
): PathDeclaration[] {
  return lines
    .trim()
    .split('\n')
    .map(line => {
      const words = line.split(' ')
      const path = words.at(-1)!
      const methods = words.slice(0, -1) as Method[]
      const operations = methods.map(method => [method, refusing(refuse(method, path))])
      return definePath({ where: 'servers', path, operations: Object.fromEntries(operations) })
    })
}

function refusing(refusal: Refusal): Operation {
  return acting({
    summary: refusal.text,
    query: {},
    body: { raw: 'Not read.' },
    answers: { [refusal.status]: { text: refusal.text } },
    access: anonymous,
    run: () => refusal,
  })
}
