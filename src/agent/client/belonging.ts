/**
 * Keeps an agent that is no server in its cluster: a certificate that never runs out, whom to
 * trust and whom no more, where servers are.
 *
 * Owns when servers are asked for that. They tell of changes as they come; what they told last is
 * on the disk, so that a start needs nobody. Must never log a key.
 */
import type { Clock, Random } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { RpcStream } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { RpcPeer } from '../../base/rpc.ts'
import { nodeName } from '../../cluster/names.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import { followTrust, renewLeaf, type TrustNews } from '../../rpc/join.ts'
import { makeRequest } from '../../x509/csr.ts'
import type { Membership, Revoked } from '../membership.ts'

export interface BelongingPorts {
  readonly membership: Membership
  readonly channel: Pick<ServerChannel, 'call' | 'open' | 'learn'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export class Belonging {
  readonly #ports: BelongingPorts
  /** Node ids with keys. */
  #revoked: ReadonlySet<string>
  #following: RpcStream<object> | undefined
  #renewing: Promise<void> | undefined
  #isStopped = false

  constructor(ports: BelongingPorts) {
    this.#ports = ports
    this.#revoked = new Set(ports.membership.revoked.map(nameOf))
  }

  /** Follows what servers say, as soon as one is there, and renews the certificate at half. */
  start(): void {
    const { membership, log } = this.#ports
    this.#follow()
    membership.keepRenewed(
      () => this.#renew(),
      error => log.warn('the own certificate was not renewed', { error: messageOf(error) }),
    )
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#following?.cancel()
    await this.#ports.membership.stop()
  }

  /** Whether an agent with a valid certificate is let in no more. */
  isRefused(peer: Pick<RpcPeer, 'nodeId' | 'keyDigest'>): boolean {
    return this.#revoked.has(nameOf(peer))
  }

  /** One at a time: who wishes it meanwhile waits for the one that is under way. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#renewNow().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #renewNow(): Promise<void> {
    const { membership, channel } = this.#ports
    const { nodeId, key } = membership
    const names = [nodeName(nodeId)]
    const csr = makeRequest({ subject: [], names: { dnsNames: names } }, key)
    const options = { timeoutMs: limits.joinTimeoutMs, repeatable: true }
    const { chain, roots, servers } = await channel.call(renewLeaf, { nodeId, csr }, options)
    // Nothing is written to the folder of an agent that has stopped.
    if (this.#isStopped) return
    await membership.takeTrust(chain, roots)
    if (this.#isStopped) return
    await membership.learnServers(servers)
    channel.learn(membership.servers)
  }

  #follow(): void {
    if (this.#isStopped) return
    const { channel, clock, random } = this.#ports
    const stream = channel.open(followTrust, {
      onMessage: news => this.#take(news),
      onEnd: () => {
        if (stream !== this.#following) return
        // An agent whose certificate ran out while it was off gets no stream before a new one.
        if (this.#ports.membership.isDue()) void this.#renew().catch(() => {})
        clock.after(limits.syncRetryMs * (1 + random.fraction()), () => this.#follow())
      },
    })
    this.#following = stream
  }

  #take({ roots, revoked, servers }: TrustNews): void {
    if (this.#isStopped) return
    const { membership, channel, log } = this.#ports
    this.#revoked = new Set(revoked.map(nameOf))
    const taken = async (): Promise<void> => {
      await membership.takeRevoked(revoked)
      if (roots.length > 0 && !this.#isStopped) await membership.takeTrust(undefined, roots)
      if (this.#isStopped) return
      await membership.learnServers(servers)
      channel.learn(membership.servers)
    }
    taken().catch((error: unknown) =>
      log.warn('what servers say of the cluster was not kept', { error: messageOf(error) }),
    )
  }
}

const nameOf = ({ nodeId, keyDigest }: Revoked): string => `${nodeId} ${keyDigest}`
