/**
 * Founding a cluster with the servers that have the same join token.
 *
 * Owns the talk: servers prove the token to each other over connections of certificates that sign
 * themselves, get to know each other, and agree to one plan. Whoever proposed it founds, and gives
 * the keys to the others. Whatever a server says is on its disk before it says it.
 */
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { sleep } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { readFileIfExists, removeFile } from '../base/io/file.ts'
import { openRpcServer, RpcError, type RpcServer } from '../base/io/grpc.ts'
import { digestsOf } from '../base/io/rpc-listener.ts'
import { limits } from '../base/limits.ts'
import { RpcFailure, type RpcPeer } from '../base/rpc.ts'
import { TlsMaterial } from '../base/tls.ts'
import {
  type Founder,
  type FoundingPlan,
  type FoundingState,
  givenUp,
  hearPlan,
  NOTHING_SAID,
  planToPropose,
} from '../cluster/founding.ts'
import { isProof, type JoinToken, joinKeyOf, proofOf } from '../cluster/join-token.ts'
import { nodeName, SERVER_NAME } from '../cluster/names.ts'
import { handleUnary } from '../rpc/define.ts'
import { agree, type EnterAnswer, enter, meet } from '../rpc/join.ts'
import type { EnterWorld } from './enter.ts'
import { type Joined, type Joiner, JoinRefused, joinAt, openPinned, selfSigned } from './join.ts'
import type { Membership } from './membership.ts'

export interface FoundingSettings {
  readonly dataDir: string
  readonly expect: number
  readonly host: string
  readonly port: number
  readonly self: Founder
  readonly joiner: Joiner
  readonly token: JoinToken
  /** Where others are, now. */
  places(): Promise<readonly string[]>
  /** Makes the cluster of a plan: once it has resolved, the cluster is founded. */
  found(plan: FoundingPlan): Promise<Membership>
  /** What a founder is given. */
  keysOf(membership: Membership): NonNullable<EnterAnswer['keys']>
  write(path: string, text: string): Promise<void>
}

/** How it ended: this server founded, or another one did and gave it the keys. */
export type Founded =
  | { readonly membership: Membership; readonly listener: RpcServer }
  | { readonly joined: Joined; readonly plan: FoundingPlan | undefined }

const STATE = 'founding.json'

/** Talks until the cluster is founded. */
export async function foundTogether(
  settings: FoundingSettings,
  world: EnterWorld,
): Promise<Founded> {
  const founding = new Founding(settings, world)
  return founding.run()
}

/** Goes on giving the keys of a cluster that this server founded to those that lack them. */
export async function giveKeys(
  settings: FoundingSettings,
  world: EnterWorld,
  membership: Membership,
): Promise<RpcServer> {
  const founding = new Founding(settings, world)
  return founding.listen(membership)
}

class Founding {
  readonly #settings: FoundingSettings
  readonly #world: EnterWorld
  readonly #key: Buffer
  readonly #certificate: string
  readonly #known = new Map<string, Founder>()
  /** Addresses of servers that have another join token, as far as they were told. */
  readonly #others = new Set<string>()
  #state: FoundingState = NOTHING_SAID
  #membership: Membership | undefined
  /** All have agreed: the cluster is founded by this server's plan, and by no other. */
  #isSettled = false
  /** One change at a time. */
  #changing: Promise<unknown> = Promise.resolve()

  constructor(settings: FoundingSettings, world: EnterWorld) {
    this.#settings = settings
    this.#world = world
    this.#key = joinKeyOf(settings.token)
    const { nodeId } = settings.self
    this.#certificate = selfSigned(settings.joiner, [nodeName(nodeId), SERVER_NAME], world)
    this.#known.set(nodeId, settings.self)
  }

  async run(): Promise<Founded> {
    const { log, waiting: clock = this.#world.clock } = this.#world
    this.#state = await this.#read()
    const listener = await this.listen(undefined)
    let told = ''
    try {
      for (;;) {
        this.#world.signal?.throwIfAborted()
        const joined = await this.#round()
        if (joined !== undefined) {
          await listener.close()
          return { joined, plan: this.#planOf(joined.clusterId) }
        }
        const plan = await this.#propose()
        if (plan !== undefined && (await this.#allAgree(plan))) {
          this.#membership = await this.#settings.found(plan)
          await this.#forget()
          return { membership: this.#membership, listener }
        }
        const found = `${this.#known.size} of ${this.#settings.expect}`
        if (found !== told) log.info('founding: servers that know each other', { found })
        told = found
        await sleep(clock, limits.foundingRetryMs)
      }
    } catch (error) {
      await listener.close()
      throw error
    }
  }

  /** The plan that was agreed to, if the cluster was founded by it. */
  #planOf(clusterId: string): FoundingPlan | undefined {
    const { agreed } = this.#state
    return agreed?.clusterId === clusterId ? agreed : undefined
  }

  /** Asks everybody: whoever is in a cluster lets this server in, others are met. */
  async #round(): Promise<Joined | undefined> {
    const { self, places } = this.#settings
    const { agreed } = this.#state
    const known = [...this.#known.values()].map(({ address }) => address)
    const maker = agreed?.founders.find(({ nodeId }) => nodeId === agreed.maker)?.address
    const all = new Set([...(maker === undefined ? [] : [maker]), ...(await places()), ...known])
    const refusals: JoinRefused[] = []
    for (const address of all) {
      if (address === self.address) continue
      try {
        return await joinAt(address, this.#settings.joiner, this.#world)
      } catch (error) {
        if (error instanceof JoinRefused) this.#refused(address, error, refusals)
        if (!isFounding(error)) continue
      }
      await this.#meet(address).then(
        () => this.#others.delete(address),
        (error: unknown) => {
          if (error instanceof JoinRefused) this.#refused(address, error, refusals)
          else this.#tell(address, error)
        },
      )
    }
    const [first] = refusals
    // Half of all or more have another token, and nobody has this one: it is this server's fault.
    const isAlone = this.#known.size === 1
    if (first !== undefined && isAlone && refusals.length >= this.#settings.expect / 2) throw first
    return undefined
  }

  /** A server with another token does not stop the others: it is named, and passed over. */
  #refused(address: string, refusal: JoinRefused, refusals: JoinRefused[]): void {
    if (!refusal.isToken) throw refusal
    refusals.push(refusal)
    this.#tellOther(address)
  }

  /** Once of each. Who asked is named by its host: its port tells nothing. */
  #tellOther(address: string): void {
    if (this.#others.has(address) || this.#others.size >= limits.foundingOthers) return
    this.#others.add(address)
    this.#world.log.warn('founding: a server has another join token', { address })
  }

  /** What another server has against this one is worth a line; that it is not there yet is not. */
  #tell(address: string, error: unknown): void {
    const isOdd = error instanceof RpcError && error.code !== 'UNAVAILABLE'
    const fields = { address, error: messageOf(error) }
    if (isOdd) this.#world.log.warn('founding', fields)
    else this.#world.log.debug('founding', fields)
  }

  async #meet(address: string): Promise<void> {
    const { self: me, expect } = this.#settings
    const answer = await this.#ask(address, 'meet', async ({ link, proof }) =>
      link.call(meet, { proof, me, expect }, limits.joinTimeoutMs),
    )
    for (const each of answer.known) this.#known.set(each.nodeId, each)
    const { agreed } = this.#state
    const maker = agreed?.founders.find(({ nodeId }) => nodeId === agreed.maker)
    if (maker?.address !== address) return
    await this.#change(state => givenUp(state, me.nodeId, answer.proposed))
  }

  async #propose(): Promise<FoundingPlan | undefined> {
    const { self, expect } = this.#settings
    const clusterId = this.#world.random.uuid()
    await this.#change(state => {
      const plan = planToPropose(state, self.nodeId, [...this.#known.values()], expect, clusterId)
      return plan === undefined ? state : { agreed: plan }
    })
    const { agreed } = this.#state
    return agreed?.maker === self.nodeId ? agreed : undefined
  }

  async #allAgree(plan: FoundingPlan): Promise<boolean> {
    const { self } = this.#settings
    for (const { nodeId, address } of plan.founders) {
      if (nodeId === self.nodeId) continue
      try {
        const answer = await this.#ask(address, 'agree', ({ link, proof }) =>
          link.call(agree, { proof, plan }, limits.joinTimeoutMs),
        )
        if (!answer.agrees) return false
      } catch (error) {
        this.#world.log.debug('founding', { address, error: messageOf(error) })
        return false
      }
    }
    // It may have been taken back while others were asked; from here on it cannot be.
    await this.#change(state => {
      this.#isSettled = state.agreed?.clusterId === plan.clusterId
      return state
    })
    return this.#isSettled
  }

  async #ask<A extends { readonly proof: Buffer }>(
    address: string,
    purpose: string,
    ask: (to: {
      link: Awaited<ReturnType<typeof openPinned>>['link']
      proof: Buffer
    }) => Promise<A>,
  ): Promise<A> {
    const { joiner } = this.#settings
    const own = { certificate: this.#certificate, key: joiner.key }
    const { link, ends, close } = await openPinned(address, own)
    try {
      const answer = await ask({ link, proof: proofOf(this.#key, 'client', purpose, ends) })
      if (isProof(answer.proof, proofOf(this.#key, 'server', purpose, ends))) return answer
      throw new JoinRefused(address, 'who answers there does not know the join token', true)
    } finally {
      close()
    }
  }

  /** Answers the others; once there is a membership, with its keys. */
  async listen(membership: Membership | undefined): Promise<RpcServer> {
    this.#membership = membership
    if (membership?.foundation !== undefined) {
      this.#isSettled = true
      this.#state = { agreed: membership.foundation }
    }
    const { joiner, host, port } = this.#settings
    const key = Buffer.from(joiner.key.export({ type: 'pkcs8', format: 'pem' }))
    const material = new TlsMaterial({ cert: Buffer.from(this.#certificate), key, ca: [] })
    const { clock, log } = this.#world
    const server = openRpcServer([this.#service()], {
      ...{ material: () => material, identify: () => undefined, isRefused: () => false },
      ...{ clock, log },
    })
    await server.listen(host, port)
    return server
  }

  #service() {
    const { self, expect } = this.#settings
    return [
      handleUnary(meet, async (request, { peer }) => {
        const proof = this.#proven(request.proof, 'meet', peer)
        if (request.expect !== expect) {
          const text = `bootstrap_expect is ${expect} on ${self.name} and ${request.expect} here`
          throw new RpcFailure('FAILED_PRECONDITION', text)
        }
        if (request.me.nodeId === self.nodeId) {
          throw new RpcFailure('ALREADY_EXISTS', `${self.name} has the same node id`)
        }
        this.#known.set(request.me.nodeId, request.me)
        const { agreed } = this.#state
        const proposed = agreed?.maker === self.nodeId ? agreed.clusterId : ''
        return { proof, known: [...this.#known.values()], proposed }
      }),
      handleUnary(agree, async (request, { peer }) => {
        const proof = this.#proven(request.proof, 'agree', peer)
        let agrees = false
        await this.#change(state => {
          // Once all have agreed nothing is agreed to any more.
          if (this.#isSettled) return state
          const heard = hearPlan(state, self.nodeId, request.plan)
          agrees = heard.agrees
          return heard.state
        })
        return { proof, agrees, maker: this.#state.agreed?.maker ?? '' }
      }),
      handleUnary(enter, async (request, { peer }) => {
        const proof = this.#proven(request.proof, 'enter', peer)
        const membership = this.#membership
        const founders = membership?.foundation?.founders ?? []
        if (membership === undefined || !founders.some(one => one.nodeId === request.nodeId)) {
          throw new RpcFailure('UNAVAILABLE', FOUNDING)
        }
        const keys = this.#settings.keysOf(membership)
        const roots = membership.rootKeys().trusted('agents')
        const { clusterId } = membership
        return { proof, clusterId, chain: '', roots, servers: [], keys }
      }),
    ]
  }

  #proven(given: Buffer, purpose: string, peer: RpcPeer): Buffer {
    const server = digestsOf(new X509Certificate(this.#certificate)).fingerprint
    const ends = { server, client: peer.fingerprint }
    if (isProof(given, proofOf(this.#key, 'client', purpose, ends))) {
      return proofOf(this.#key, 'server', purpose, ends)
    }
    this.#tellOther(peer.address.replace(/:\d+$/, ''))
    throw new RpcFailure('UNAUTHENTICATED', 'this is not the join token of the founding servers')
  }

  #change(make: (state: FoundingState) => FoundingState): Promise<void> {
    const changed = this.#changing.then(async () => {
      const next = make(this.#state)
      if (next === this.#state) return
      const { dataDir, write } = this.#settings
      await write(join(dataDir, STATE), `${JSON.stringify(next)}\n`)
      this.#state = next
    })
    this.#changing = changed.catch(() => {})
    return changed
  }

  async #read(): Promise<FoundingState> {
    const text = await readFileIfExists(join(this.#settings.dataDir, STATE))
    return text === undefined ? NOTHING_SAID : (JSON.parse(text.toString('utf8')) as FoundingState)
  }

  #forget(): Promise<void> {
    return removeFile(join(this.#settings.dataDir, STATE))
  }
}

const FOUNDING = 'the cluster is being founded'

const isFounding = (error: unknown): boolean =>
  error instanceof RpcError && error.code === 'UNAVAILABLE' && error.message === FOUNDING
