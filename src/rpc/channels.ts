/**
 * Calling other agents: whichever server of the cluster is best, or one given agent.
 *
 * Owns which server a call goes to, when it goes to another one, and the pace of trying again.
 * Never repeats a call that may have been handled unless its caller said that it may be repeated.
 */
import type { SecureContext } from 'node:tls'
import { type Clock, type Random, sleep } from '../base/clock.ts'
import {
  openRpcLink,
  RpcError,
  type RpcLink,
  type RpcListener,
  type RpcStream,
} from '../base/io/grpc.ts'
import { rpcClientContext } from '../base/io/tls.ts'
import { limits } from '../base/limits.ts'
import type { StreamMethod, UnaryMethod } from '../base/rpc.ts'
import type { TlsMaterial } from '../base/tls.ts'
import { nodeName, SERVER_NAME } from '../cluster/names.ts'

/** A server of the cluster. The id is empty where only an address is known yet. */
export interface ServerAddress {
  readonly nodeId: string
  /** `host:port` of its RPC; IPv6 in brackets. */
  readonly address: string
}

/** `host:port`, IPv6 in brackets. */
export const addressText = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

export interface CallOptions {
  /** For everything, tries on other servers included. */
  readonly timeoutMs: number
  /** Whether it does no harm if it is handled twice. */
  readonly repeatable?: boolean
}

/** Any server of the cluster. */
export interface ServerChannel {
  /**
   * Asks the least loaded server first; another one when the first surely did not handle it, or
   * when it failed and the call is `repeatable`. Rejects with RpcError.
   */
  call<Q extends object, A extends object>(
    method: UnaryMethod<Q, A>,
    request: Q,
    options: CallOptions,
  ): Promise<A>
  /**
   * A stream to one server. After `onEnd` the caller opens again, at once if he likes: another
   * server is preferred to one that failed, and one that keeps failing is given time.
   */
  open<Q extends object, A extends object>(
    method: StreamMethod<Q, A>,
    listener: RpcListener<A>,
  ): RpcStream<Q> & { readonly serverId: string }
  /** The servers that are known, in no order. */
  readonly servers: readonly ServerAddress[]
  /** A server told of the servers that there are: those that are gone are asked no more. */
  learn(servers: readonly ServerAddress[]): void
  close(): void
}

/** One given agent or server. */
export interface AgentChannel {
  /** Rejects with RpcError. The other side must have a certificate for this node id. */
  call<Q extends object, A extends object>(
    to: ServerAddress,
    method: UnaryMethod<Q, A>,
    request: Q,
    timeoutMs: number,
  ): Promise<A>
  close(): void
}

export interface ChannelWorld {
  /** What is shown and trusted, now. */
  material(): TlsMaterial
  readonly clock: Clock
  readonly random: Random
}

/** Opens the way to the servers. Connects when it is first used. */
export function openServerChannel(
  servers: readonly ServerAddress[],
  world: ChannelWorld,
): ServerChannel {
  return new Servers(servers, world)
}

/** Opens the way to single agents. */
export function openAgentChannel(world: ChannelWorld): AgentChannel {
  return new Agents(world)
}

class Servers implements ServerChannel {
  readonly #world: ChannelWorld
  #targets: readonly Target[] = []
  #isClosed = false

  constructor(servers: readonly ServerAddress[], world: ChannelWorld) {
    this.#world = world
    this.learn(servers)
  }

  get servers(): readonly ServerAddress[] {
    return this.#targets.map(target => target.to)
  }

  learn(servers: readonly ServerAddress[]): void {
    const before = this.#targets
    this.#targets = servers.map(
      to => before.find(each => each.isOf(to)) ?? new Target(to, SERVER_NAME, this.#world),
    )
    for (const target of before) if (!this.#targets.includes(target)) target.close()
  }

  close(): void {
    this.#isClosed = true
    for (const target of this.#targets) target.close()
  }

  async call<Q extends object, A extends object>(
    method: UnaryMethod<Q, A>,
    request: Q,
    { timeoutMs, repeatable = false }: CallOptions,
  ): Promise<A> {
    const { clock } = this.#world
    const endMs = clock.monotonic() + timeoutMs
    const tried = new Set<Target>()
    let pauseMs: number = limits.rpcRetryMs
    let failure = new RpcError('UNAVAILABLE', 'no server of the cluster is known', false)
    for (;;) {
      const leftMs = endMs - clock.monotonic()
      if (leftMs <= 0 || this.#isClosed) throw failure
      const target = this.#pick(tried)
      if (target === undefined) {
        tried.clear()
        await sleep(clock, Math.min(leftMs, pauseMs))
        pauseMs = Math.min(pauseMs * 2, limits.rpcRetryMaxMs)
        continue
      }
      try {
        return await target.call(method, request, leftMs)
      } catch (error) {
        if (!(error instanceof RpcError) || !isForAnother(error, repeatable)) throw error
        tried.add(target)
        failure = error
      }
    }
  }

  open<Q extends object, A extends object>(
    method: StreamMethod<Q, A>,
    listener: RpcListener<A>,
  ): RpcStream<Q> & { readonly serverId: string } {
    const target = this.#isClosed ? undefined : this.#pick(new Set())
    return new Opening(target, method, listener, this.#world.clock)
  }

  /** The server with least to do of those that have not failed lately. */
  #pick(tried: ReadonlySet<Target>): Target | undefined {
    const nowMs = this.#world.clock.monotonic()
    const left = this.#targets.filter(target => !tried.has(target))
    const rested = left.filter(target => target.notBeforeMs <= nowMs)
    if (rested.length === 0) return left.sort((a, b) => a.notBeforeMs - b.notBeforeMs)[0]
    const least = Math.min(...rested.map(target => target.load))
    const best = rested.filter(target => target.load === least)
    return best[Math.floor(this.#world.random.fraction() * best.length)]
  }
}

const isForAnother = ({ code, sent }: RpcError, repeatable: boolean): boolean =>
  code === 'UNAVAILABLE' ? repeatable || !sent : code === 'RESOURCE_EXHAUSTED' && !sent

/** One agent that is called. */
class Target {
  readonly to: ServerAddress
  readonly #name: string
  readonly #world: ChannelWorld
  /** Calls and streams under way. */
  load = 0
  /** It failed: others are preferred until then. */
  notBeforeMs = 0
  /** When it was last used. */
  usedMs = 0
  #failures = 0
  #link: Promise<RpcLink> | undefined
  #digest = ''

  constructor(to: ServerAddress, name: string, world: ChannelWorld) {
    this.to = to
    this.#name = name
    this.#world = world
  }

  isOf({ nodeId, address }: ServerAddress): boolean {
    return this.to.address === address && this.to.nodeId === nodeId
  }

  async call<Q extends object, A extends object>(
    method: UnaryMethod<Q, A>,
    request: Q,
    timeoutMs: number,
  ): Promise<A> {
    const { clock } = this.#world
    const endMs = clock.monotonic() + timeoutMs
    this.load++
    this.usedMs = clock.monotonic()
    try {
      const link = await this.#connected(timeoutMs)
      const answer = await link.call(method, request, endMs - clock.monotonic())
      this.works()
      return answer
    } catch (error) {
      if (error instanceof RpcError && error.code === 'UNAVAILABLE') this.failed()
      throw error
    } finally {
      this.load--
    }
  }

  async open<Q extends object, A extends object>(
    method: StreamMethod<Q, A>,
    listener: RpcListener<A>,
  ): Promise<RpcStream<Q>> {
    const link = await this.#connected(limits.rpcConnectTimeoutMs)
    return link.open(method, listener)
  }

  works(): void {
    this.#failures = 0
    this.notBeforeMs = 0
  }

  failed(): void {
    const { clock, random } = this.#world
    const longestMs = Math.min(limits.rpcRetryMaxMs, limits.rpcRetryMs * 2 ** this.#failures)
    this.#failures++
    this.notBeforeMs = clock.monotonic() + longestMs * (1 + random.fraction()) * 0.5
  }

  close(): void {
    this.#link?.then(link => link.close()).catch(() => {})
    this.#link = undefined
    this.#digest = ''
  }

  async #connected(timeoutMs: number): Promise<RpcLink> {
    const link = await this.#current()
    await link.ready(Math.min(timeoutMs, limits.rpcConnectTimeoutMs))
    return link
  }

  /** A new certificate means a new connection; what goes on over the old one may finish. */
  #current(): Promise<RpcLink> {
    const material = this.#world.material()
    if (this.#link !== undefined && this.#digest === material.digest) return this.#link
    this.close()
    const context = contextOf(material)
    const tls = { name: this.#name, rejectUnauthorized: true, context }
    const link = openRpcLink(this.to.address, { tls, isShared: false })
    this.#link = link
    this.#digest = material.digest
    return link
  }
}

const contexts = new WeakMap<TlsMaterial, SecureContext>()

function contextOf(material: TlsMaterial): SecureContext {
  const context = contexts.get(material) ?? rpcClientContext(material)
  contexts.set(material, context)
  return context
}

/** A stream from the wish for it to its end; what is sent before it is open waits. */
class Opening<Q extends object, A extends object> implements RpcStream<Q> {
  readonly serverId: string
  readonly #target: Target | undefined
  readonly #listener: RpcListener<A>
  #waiting: Q[] = []
  #stream: RpcStream<Q> | undefined
  #isOver = false

  constructor(
    target: Target | undefined,
    method: StreamMethod<Q, A>,
    listener: RpcListener<A>,
    clock: Clock,
  ) {
    this.serverId = target?.to.nodeId ?? ''
    this.#target = target
    this.#listener = listener
    if (target !== undefined) target.load++
    const pauseMs =
      (target?.notBeforeMs ?? clock.monotonic() + limits.rpcRetryMs) - clock.monotonic()
    const begin = (): void => {
      this.#begin(method).catch((error: unknown) => {
        this.#end(
          error instanceof RpcError ? error : new RpcError('INTERNAL', String(error), false),
        )
      })
    }
    // In a turn of its own, so that who opens has his stream before he hears of its end.
    clock.after(Math.max(0, pauseMs), begin)
  }

  send(request: Q): void {
    if (this.#isOver) return
    if (this.#stream === undefined) this.#waiting.push(request)
    else this.#stream.send(request)
  }

  cancel(): void {
    if (this.#isOver) return
    this.#leave()
    this.#stream?.cancel()
  }

  async #begin(method: StreamMethod<Q, A>): Promise<void> {
    if (this.#isOver) return
    const target = this.#target
    if (target === undefined) {
      throw new RpcError('UNAVAILABLE', 'no server of the cluster is known', false)
    }
    const stream = await target.open(method, {
      onMessage: answer => {
        target.works()
        if (!this.#isOver) this.#listener.onMessage(answer)
      },
      onEnd: error => this.#end(error),
    })
    if (this.#isOver) {
      stream.cancel()
      return
    }
    this.#stream = stream
    for (const request of this.#waiting) stream.send(request)
    this.#waiting = []
  }

  #end(error: RpcError | undefined): void {
    if (this.#isOver) return
    this.#leave()
    if (error !== undefined) this.#target?.failed()
    this.#listener.onEnd(error)
  }

  #leave(): void {
    this.#isOver = true
    this.#waiting = []
    if (this.#target !== undefined) this.#target.load--
  }
}

class Agents implements AgentChannel {
  readonly #world: ChannelWorld
  /** The one that was used longest ago first. */
  readonly #targets = new Map<string, Target>()

  constructor(world: ChannelWorld) {
    this.#world = world
  }

  call<Q extends object, A extends object>(
    to: ServerAddress,
    method: UnaryMethod<Q, A>,
    request: Q,
    timeoutMs: number,
  ): Promise<A> {
    const key = `${to.nodeId} ${to.address}`
    const target = this.#targets.get(key) ?? new Target(to, nodeName(to.nodeId), this.#world)
    this.#targets.delete(key)
    this.#targets.set(key, target)
    this.#tidy()
    return target.call(method, request, timeoutMs)
  }

  close(): void {
    for (const target of this.#targets.values()) target.close()
    this.#targets.clear()
  }

  /** Lets go of who was not asked for long, and of the oldest where there are too many. */
  #tidy(): void {
    const idleMs = this.#world.clock.monotonic() - limits.rpcAgentIdleMs
    for (const [key, target] of this.#targets) {
      if (target.load > 0) continue
      if (this.#targets.size <= limits.rpcAgentChannels && target.usedMs >= idleMs) break
      // The one that is about to be used was never used before, and is the last.
      if (target.usedMs === 0) break
      target.close()
      this.#targets.delete(key)
    }
  }
}
