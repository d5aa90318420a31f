/**
 * Joining a cluster by a join token: finding a server, showing that both sides know the token, and
 * taking what it gives.
 *
 * Owns the order of tries and what is said of each that failed. The token's secret is sent to
 * nobody, and nothing that a server says is believed before it has shown that it knows the secret
 * too.
 */
import { type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { openRpcLink, RpcError, type RpcLink } from '../base/io/grpc.ts'
import { digestsOf } from '../base/io/rpc-listener.ts'
import { peekCertificate, rpcClientContext } from '../base/io/tls.ts'
import { limits } from '../base/limits.ts'
import type { AgentIdentity } from '../base/rpc.ts'
import { TlsMaterial } from '../base/tls.ts'
import { isProof, type JoinToken, joinKeyOf, proofOf } from '../cluster/join-token.ts'
import { nodeName, SERVER_NAME } from '../cluster/names.ts'
import { enter } from '../rpc/join.ts'
import { makeRequest } from '../x509/csr.ts'
import { issueCertificate } from '../x509/own.ts'
import type { MembershipWorld } from './membership.ts'

/** Who wants in. */
export interface Joiner extends AgentIdentity {
  readonly name: string
  readonly key: KeyObject
  readonly publicKey: KeyObject
  readonly token: JoinToken
}

/** What a server gave. */
export type Joined = Awaited<ReturnType<typeof joinAt>>

/** A server's no: asking again, or another one, will not change it. */
export class JoinRefused extends OperatingError {
  /** Whether it is about the join token: the other side has another, or honours this no more. */
  readonly isToken: boolean

  constructor(address: string, why: string, isToken: boolean) {
    super(OperatingCode.unavailable, `the cluster at ${address} does not let this agent in: ${why}`)
    this.isToken = isToken
  }
}

const FINAL: readonly string[] = [
  ...['UNAUTHENTICATED', 'PERMISSION_DENIED', 'ALREADY_EXISTS', 'INVALID_ARGUMENT'],
  'FAILED_PRECONDITION',
]

/**
 * A connection to a server whose authorities are not known yet: to the one certificate it showed.
 */
export interface PinnedLink {
  readonly link: RpcLink
  /** Both certificates' SHA-256. */
  readonly ends: { readonly server: string; readonly client: string }
  close(): void
}

/** Connects to a server, whatever certificate it shows, showing one that signs itself. */
export async function openPinned(
  address: string,
  own: { readonly certificate: string; readonly key: KeyObject },
): Promise<PinnedLink> {
  const shown = await peekCertificate(address, limits.rpcConnectTimeoutMs)
  const server = new X509Certificate(shown)
  const material = new TlsMaterial({
    cert: Buffer.from(own.certificate),
    key: Buffer.from(own.key.export({ type: 'pkcs8', format: 'pem' })),
    ca: [Buffer.from(server.toString())],
  })
  const context = rpcClientContext(material)
  const tls = { name: SERVER_NAME, rejectUnauthorized: true, context }
  const link = await openRpcLink(address, { tls, isShared: false })
  const ends = {
    server: digestsOf(server).fingerprint,
    client: digestsOf(new X509Certificate(own.certificate)).fingerprint,
  }
  return { link, ends, close: () => link.close() }
}

/** The certificate by which an agent without one shows its key. */
export function selfSigned(
  { nodeId, key, publicKey }: Pick<Joiner, 'nodeId' | 'key' | 'publicKey'>,
  names: readonly string[],
  { clock, random }: MembershipWorld,
): string {
  const nowMs = clock.wall()
  const content = {
    subject: [['CN', nodeName(nodeId)]] as const,
    publicKey,
    serial: random.bytes(16),
    notBefore: new Date(nowMs - limits.caSkewMs),
    notAfter: new Date(nowMs + limits.caLeafMs),
    isAuthority: false,
    usages: ['digitalSignature'] as const,
    extendedUsages: ['serverAuth', 'clientAuth'] as const,
    dnsNames: names,
    addresses: [],
    uris: [],
    permittedDomains: [],
  }
  return issueCertificate(content, { certificate: undefined, key })
}

/**
 * Asks one server to be let in. Rejects with JoinRefused where it says no, or does not know the
 * token's secret; with RpcError or a system's error where it cannot be reached.
 */
export async function joinAt(address: string, joiner: Joiner, world: MembershipWorld) {
  const { kind, nodeId, name, key, token } = joiner
  const certificate = selfSigned(joiner, [nodeName(nodeId)], world)
  const { link, ends, close } = await openPinned(address, { certificate, key })
  try {
    const secret = joinKeyOf(token)
    const names = [nodeName(nodeId), ...(kind === 'server' ? [SERVER_NAME] : [])]
    const content = { subject: [], names: { dnsNames: names } }
    await link.ready(limits.rpcConnectTimeoutMs)
    const request = {
      ...{ kind, nodeId, nodeName: name, tokenId: token.id },
      csr: makeRequest(content, key),
      proof: proofOf(secret, 'client', 'enter', ends),
    }
    const answer = await link.call(enter, request, limits.joinTimeoutMs)
    if (!isProof(answer.proof, proofOf(secret, 'server', 'enter', ends))) {
      throw new JoinRefused(address, 'who answers there does not know the join token', true)
    }
    return answer
  } catch (error) {
    if (error instanceof RpcError && FINAL.includes(error.code)) {
      throw new JoinRefused(address, error.message, error.code === 'UNAUTHENTICATED')
    }
    throw error
  } finally {
    close()
  }
}

/** Asks each server in turn; what is said of those that cannot be reached is joined. */
export async function joinAny(
  addresses: readonly string[],
  joiner: Joiner,
  world: MembershipWorld,
): Promise<Joined> {
  const faults: string[] = []
  for (const address of addresses) {
    try {
      return await joinAt(address, joiner, world)
    } catch (error) {
      if (error instanceof JoinRefused) throw error
      faults.push(`${address}: ${messageOf(error)}`)
    }
  }
  throw new OperatingError(OperatingCode.unavailable, `no server to join: ${faults.join('; ')}`)
}
