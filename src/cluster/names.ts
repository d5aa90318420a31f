/**
 * What the certificates of agents say of their holders.
 *
 * Owns the names in them: those that a caller checks, and the URI that says role and node. Reads a
 * certificate only after somebody found that a root of ours signed it.
 */
import type { X509Certificate } from 'node:crypto'
import type { AgentIdentity, AgentKind } from '../base/rpc.ts'

/** The name in the certificates of all servers. */
export const SERVER_NAME = 'server.gatehouse'

/** The name in the certificate of a node's agent. */
export const nodeName = (nodeId: string): string => `${nodeId}.node.gatehouse`

/** The URI in an agent's certificate. */
export const agentUri = (clusterId: string, { kind, nodeId }: AgentIdentity): string =>
  `gatehouse://${clusterId}/${kind}/${nodeId}`

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const AGENT_URI = new RegExp(`^URI:gatehouse://(${UUID})/(server|client)/(${UUID})$`)

/** Whose certificate this is; undefined where it is no agent's of this cluster. */
export function identityOf(
  certificate: X509Certificate,
  clusterId: string,
): AgentIdentity | undefined {
  const names = (certificate.subjectAltName ?? '').split(', ')
  const uris = names.filter(name => name.startsWith('URI:'))
  const [, cluster, kind, nodeId] = AGENT_URI.exec(uris[0] ?? '') ?? []
  // Names with quotes hold what would split them otherwise; ours have none.
  if (uris.length !== 1 || names.some(name => name.includes('"'))) return undefined
  if (cluster !== clusterId || nodeId === undefined || certificate.ca) return undefined
  const isServer = names.includes(`DNS:${SERVER_NAME}`)
  if (isServer !== (kind === 'server') || !names.includes(`DNS:${nodeName(nodeId)}`)) {
    return undefined
  }
  return { kind: kind as AgentKind, nodeId }
}
