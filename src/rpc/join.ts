/**
 * The service that lets agents into the cluster: the only one for those without a certificate.
 *
 * Owns its methods. The secret of a join token never goes over the wire: each side shows that it
 * knows it.
 */
import { defineUnary } from './define.ts'

const PROTO = 'gatehouse/agent/v1/join.proto'

/** Asks a server to show that it knows the secret of a join token. */
export const prove = defineUnary<ProveRequest, ProveAnswer>(
  PROTO,
  'gatehouse.agent.v1.Join/Prove',
  'anybody',
)

interface ProveRequest {
  readonly tokenId: string
  readonly nonce: Buffer
}

interface ProveAnswer {
  readonly nonce: Buffer
  readonly proof: Buffer
}
