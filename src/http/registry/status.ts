/**
 * The paths of the cluster's status: `/v1/status/`, `/v1/catalog/datacenters`, `/v1/agent/version`.
 *
 * What everybody may know and what works without a leader.
 */
import { buildDate, consulVersion } from '../../base/version.ts'
import { type ClusterPort, peersOf, serverAddress } from '../../cluster/port.ts'
import { acting, anonymous, definePath, json, type PathDeclaration } from '../declare.ts'
import { flag } from '../query.ts'
import { list, object, text } from '../shape.ts'
import type { AgentIdentity } from './self.ts'

/** What everybody may know. */
export function statusPaths(identity: AgentIdentity, cluster: ClusterPort): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/status/leader',
      operations: {
        GET: acting({
          summary: 'The address of the leader, "" while there is none.',
          query: {},
          body: undefined,
          answers: { 200: { json: text, help: 'ip:port' } },
          access: anonymous,
          run() {
            const leader = cluster.leader()
            return json(leader === undefined ? '' : serverAddress(leader))
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/status/peers',
      operations: {
        GET: acting({
          summary: 'The addresses of all servers.',
          query: {},
          body: undefined,
          answers: { 200: { json: list(text), help: 'ip:port of each' } },
          access: anonymous,
          run: () => json(peersOf(cluster).map(serverAddress)),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/catalog/datacenters',
      operations: {
        GET: acting({
          summary: 'The known datacenters, nearest first.',
          query: { cached: flag('Tells in X-Cache that the answer was made anew.') },
          body: undefined,
          answers: { 200: { json: list(text), help: 'names' } },
          access: anonymous,
          run: ({ query: { cached } }) =>
            cached
              ? { ...json([identity.datacenter]), headers: { 'X-Cache': 'MISS' } }
              : json([identity.datacenter]),
        }),
      },
    }),
  ]
}

/** The version of whoever is asked. */
export const versionPath: PathDeclaration = definePath({
  where: 'agent',
  path: '/v1/agent/version',
  operations: {
    GET: acting({
      summary: 'The version of this agent, as clients of Consul read it.',
      query: {},
      body: undefined,
      answers: {
        200: {
          json: object({ SHA: text, BuildDate: text, HumanVersion: text, FIPS: text }),
          help: 'version',
        },
      },
      access: anonymous,
      run: () => json({ SHA: '', BuildDate: buildDate, HumanVersion: consulVersion, FIPS: '' }),
    }),
  },
})
