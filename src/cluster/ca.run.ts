/**
 * The agents' CA on a running server: lets agents in, renews and revokes them, rotates roots.
 *
 * Owns joining the rules of ca.ts and join-token.ts with the store and with what this server holds
 * on its disk. Roots and revocations of the store hold on every server as soon as its view shows
 * them.
 */

import { NONCE_SIZE_BYTES } from '../base/aead.ts'
import type { Clock, Random } from '../base/clock.ts'
import { refuse } from '../base/denied.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { keyDigestOf } from '../base/io/rpc-listener.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { AgentIdentity, AgentKind, RpcPeer } from '../base/rpc.ts'
import { isUuid } from '../base/uuid.ts'
import { access, nothingUnmet, type Who } from '../base/who.ts'
import type { JournalEntry } from '../store/journal.ts'
import { isRefusal, type Store } from '../store/store.ts'
import {
  type AgentRow,
  agentKey,
  agents,
  type CaRootRow,
  type CaUse,
  caUses,
  type JoinTokenRow,
  joinTokenKey,
  joinTokens,
} from '../store/tables/cluster.ts'
import { scope } from '../store/tables/names.ts'
import { untilChanged } from '../store/until-changed.ts'
import type { Reader } from '../store/view.ts'
import type { Writer } from '../store/writer.ts'
import {
  addRoots,
  admissibleRequest,
  bringRoots,
  enterAgent,
  overdueRoots,
  refusedProblem,
  renewAgent,
  retireRoots,
  revokeAgent,
  rootsOf,
  takenProblem,
  wasLetIn,
} from './ca.ts'
import type { ClusterKey } from './cluster-key.ts'
import {
  createJoinToken,
  type Ends,
  isProof,
  JOIN_SECRET_SIZE_BYTES,
  type JoinToken,
  type JoinTokenWish,
  joinKeyOf,
  joinTokenPlace,
  joinTokenProblem,
  proofOf,
  revokeJoinToken,
  rotateJoinToken,
} from './join-token.ts'
import { RootKeys } from './root-keys.ts'

/** What this server holds on its disk. */
export interface OwnMembership {
  readonly clusterId: string
  readonly nodeId: string
  readonly clusterKey: ClusterKey
  roots(): readonly CaRootRow[]
  rootKeys(): RootKeys
  takeRoots(roots: readonly CaRootRow[]): Promise<void>
  renewOwn(): Promise<void>
  keyDigest(): string
  leaf(): { readonly serial: string; readonly expiresAtMs: number }
}

export interface AgentsCaPorts {
  readonly store: Store
  readonly writer: Writer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly own: OwnMembership
  readonly nodeName: string
  /** The join token that this server was started with: one that founds keeps it. */
  readonly joinToken: JoinToken | undefined
  readonly audit?: CaAudit | undefined
  /** Why this server may give no certificates, as a refusal; undefined where it may. */
  readonly refuseIssuing?: (() => Refusal | undefined) | undefined
}

/** Records of who is let in and renewed, and who is not: the audit room's. */
export interface CaAudit {
  /** What makes the record of a write; undefined where none is wanted. */
  recordOf(who: Who): JournalEntry | undefined
  /** What an answer has to wait for: its record, where no write made one. */
  answered(
    who: Who,
    answered: { readonly status: number; readonly reason?: string },
  ): Promise<void> | undefined
}

/** Who asks to be let in, by his own words. */
export interface EnterRequest {
  readonly kind: string
  readonly nodeId: string
  readonly tokenId: string
  readonly proof: Uint8Array
  /** In DER. */
  readonly csr: Buffer
  readonly name: string
}

/** A leaf, and whom to trust. */
export interface Granted {
  readonly chain: string
  readonly trust: readonly string[]
}

export interface Entered extends Granted {
  /** Shows that this server knows the token's secret. */
  readonly proof: Buffer
}

/** What every agent of the cluster is told. */
export interface Trust {
  readonly roots: readonly string[]
  /** The generation of the root that signs. */
  readonly generation: number
  readonly revoked: readonly { readonly nodeId: string; readonly keyDigest: string }[]
}

/** Who asks, and from where. */
export type CaPeer = Pick<RpcPeer, 'keyDigest' | 'address'>

/** What is asked for: `joinToken` by whom is let in, undefined for who is in. */
interface Wish extends AgentIdentity {
  readonly name: string
  readonly csr: Buffer
  readonly joinToken: string | undefined
}

const isKind = (kind: string): kind is AgentKind => kind === 'server' || kind === 'client'
const isName = (name: string): boolean => /^[^\p{C}]{1,255}$/u.test(name)

const JOIN_SERVICE = 'gatehouse.agent.v1.Join'
const GRANTED = { status: 200, text: '' } as const

export class AgentsCa {
  readonly #ports: AgentsCaPorts
  readonly #stopping = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(ports: AgentsCaPorts) {
    this.#ports = ports
  }

  /**
   * Brings this server's roots into a store that has none, takes over those of one that has, and
   * notes this server among the agents. Rejects with OperatingError where the store's roots cannot
   * be opened by this server's cluster key.
   */
  async start(): Promise<void> {
    const { store, own, joinToken } = this.#ports
    await store.readIndex()
    if (rootsOf(store.view(), 'agents').length === 0) {
      await store.write(view => bringRoots(view, own.roots()))
      if (joinToken !== undefined) await this.#keepToken(joinToken)
    }
    await this.#takeRoots()
    await this.#noteOwn()
    this.#following = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
  }

  /** Whether a peer with a valid certificate is let in no more. */
  isRefused({ nodeId, keyDigest }: Pick<RpcPeer, 'nodeId' | 'keyDigest'>): boolean {
    return refusedProblem(this.#ports.store.view(), { nodeId, keyDigest }) !== undefined
  }

  /** Lets an agent in that shows it knows a join token. `ends` are those of its connection. */
  async enter(request: EnterRequest, ends: Ends, peer: CaPeer): Promise<Entered | Refusal> {
    const { nodeId, kind, name } = request
    const query = `kind=${encodeURIComponent(kind)}&node=${encodeURIComponent(name)}`
    const by = this.#caller('Enter', { nodeId, query, accessor: request.tokenId }, peer)
    return this.#recorded(by, () => this.#enter(by, request, ends, peer))
  }

  async #enter(
    by: Who,
    request: EnterRequest,
    ends: Ends,
    peer: CaPeer,
  ): Promise<Entered | Refusal> {
    const { store, clock, own } = this.#ports
    const { tokenId, kind, name } = request
    if (!isUuid(request.nodeId)) return new Refusal(400, 'the node id is no UUID')
    if (!isName(name)) return new Refusal(400, 'the node has no proper name')
    if (!isKind(kind)) return new Refusal(400, 'neither a server nor a client')
    const nodeId = request.nodeId.toLowerCase()
    await store.readIndex()
    const row = store.view().get(joinTokens, joinTokenKey(tokenId))?.row
    const key = row && own.clusterKey.open(row.sealedKey, joinTokenPlace(row.id))
    if (row === undefined || key === undefined) return new Refusal(401, NOT_KNOWN)
    const proof = proofOf(key, 'server', 'enter', ends)
    if (!isProof(request.proof, proofOf(key, 'client', 'enter', ends))) {
      return new Refusal(401, "this join token's secret is not the right one")
    }
    const asked = { nodeId, keyDigest: peer.keyDigest }
    const isAgain = wasLetIn(store.view(), asked, row.id)
    const problem = joinTokenProblem(row, { kind, isAgain }, clock.wall())
    if (problem !== undefined) return new Refusal(401, problem)
    const taken = takenProblem(store.view(), asked, clock.wall())
    if (taken !== undefined) return new Refusal(409, taken)
    const wish = { kind, nodeId, name, joinToken: row.id, csr: request.csr }
    const granted = await this.#grant(by, wish, peer.keyDigest)
    return isRefusal(granted) ? granted : { ...granted, proof }
  }

  /**
   * Renews an agent that shows its key: with its certificate, or, once that has ended, with one
   * that it signed itself.
   */
  async renew(
    { nodeId, csr }: { readonly nodeId: string; readonly csr: Buffer },
    peer: CaPeer,
  ): Promise<Granted | Refusal> {
    const { store } = this.#ports
    await store.readIndex()
    const row = store.view().get(agents, agentKey(nodeId))?.row
    const { kind = '', name = '', joinToken: accessor = '' } = row ?? {}
    const query = `kind=${kind}&node=${encodeURIComponent(name)}`
    const by = this.#caller('Renew', { nodeId, query, accessor }, peer)
    return this.#recorded(by, async () => {
      if (row === undefined) {
        return new Refusal(403, 'this agent is not known here: it must join anew')
      }
      const wish = { kind: row.kind, nodeId: row.nodeId, name, joinToken: undefined, csr }
      return this.#grant(by, wish, peer.keyDigest)
    })
  }

  /** An agent as it calls, for its record: by which token, from where, about which node. */
  #caller(
    method: string,
    about: { readonly nodeId: string; readonly query: string; readonly accessor: string },
    { address }: CaPeer,
  ): Who {
    const { nodeId: name, query, accessor } = about
    return {
      accessor: isUuid(accessor) ? accessor : '',
      rights: '',
      may: () => false,
      request: {
        ...{ id: this.#ports.random.uuid(), operation: `RPC /${JOIN_SERVICE}/${method}/{node}` },
        ...{ name, query, remote: address.replace(/:\d+$/, ''), body: undefined },
        ...{ bodySizeBytes: 0, overrides: false, isRenewal: false, recorded: false },
        ...nothingUnmet,
      },
    }
  }

  /** Answers once the record of the answer is kept, whatever it is. */
  async #recorded<A>(by: Who, work: () => Promise<A | Refusal>): Promise<A | Refusal> {
    const { audit, refuseIssuing } = this.#ports
    const working = refuseIssuing?.() ?? work()
    const answer = await Promise.resolve(working).catch(async (error: unknown) => {
      await audit?.answered(by, { status: 500, reason: 'it failed' })
      throw error
    })
    const { status, text: reason } = isRefusal(answer) ? answer : GRANTED
    await audit?.answered(by, { status, reason })
    return answer
  }

  async #grant(by: Who, wish: Wish, keyDigest: string): Promise<Granted | Refusal> {
    const { store, clock, random, own, audit } = this.#ports
    const { clusterId } = own
    const { kind, nodeId, name, csr, joinToken } = wish
    const request = admissibleRequest(csr, { kind, nodeId, clusterId })
    if (isRefusal(request)) return request
    if (keyDigestOf(request.publicKey) !== keyDigest) {
      return new Refusal(403, 'the signing request is for another key than the one that was shown')
    }
    const keys = own.rootKeys()
    const subject = { clusterId, kind, nodeId, hosts: { addresses: [], names: [] } }
    const now = clock.wall()
    const leaf = keys.issue('agents', subject, request.publicKey, { now, random })
    const { serial, expiresAtMs } = leaf
    const root = keys.generationOf('agents')
    const issued = { kind, nodeId, name, keyDigest, serial, root, expiresAtMs }
    const written = await store.write(
      (view, at) =>
        joinToken === undefined
          ? renewAgent(view, at, issued)
          : enterAgent(view, at, issued, joinToken),
      audit?.recordOf(by),
    )
    if (isRefusal(written)) return written
    return { chain: leaf.chain, trust: keys.trusted('agents') }
  }

  /** What agents are told; it is another one when the scope of trust changed. */
  trust(): Trust {
    const { store, own } = this.#ports
    const keys = own.rootKeys()
    const revoked = store
      .view()
      .find(agents, 'revoked', '')
      .map(({ row: { nodeId, keyDigest } }) => ({ nodeId, keyDigest }))
    return { roots: keys.trusted('agents'), generation: keys.generationOf('agents'), revoked }
  }

  /** Calls `changed` once what agents are told may have changed. Gives what ends that. */
  onTrust(changed: () => void): () => void {
    const waiter = this.#ports.store.scopes.wait({ scope: scope.clusterTrust }, changed)
    return () => waiter.cancel()
  }

  /** Every agent that was let in, by its id. */
  listAgents(who: Who): Promise<readonly AgentRow[] | Refusal> {
    return this.#read(who, view => view.prefix(agents, '').map(({ row }) => row))
  }

  /** The roots of all uses, the newest of each first. */
  listRoots(who: Who): Promise<readonly CaRootRow[] | Refusal> {
    return this.#read(who, view => caUses.flatMap(use => rootsOf(view, use)))
  }

  listTokens(who: Who): Promise<readonly JoinTokenRow[] | Refusal> {
    return this.#read(who, view => view.prefix(joinTokens, '').map(({ row }) => row))
  }

  readToken(who: Who, id: string): Promise<JoinTokenRow | Refusal> {
    const none = new Refusal(404, 'there is no such join token')
    return this.#read(who, view => view.get(joinTokens, joinTokenKey(id))?.row ?? none)
  }

  async #read<T>(who: Who, read: (view: Reader) => T): Promise<T | Refusal> {
    const refusal = refuse(who, [access('read', 'operator')])
    if (refusal !== undefined) return refusal
    await this.#ports.store.readIndex()
    return read(this.#ports.store.view())
  }

  async revoke(who: Who, nodeId: string): Promise<true | Refusal> {
    if (nodeId.toLowerCase() === this.#ports.own.nodeId) {
      return new Refusal(400, 'this is the server that was asked: ask another one')
    }
    const written = await this.#ports.writer.write(who, (view, by, now) =>
      revokeAgent(view, by, now, nodeId),
    )
    return isRefusal(written) ? written : true
  }

  /** Puts new roots behind those of all uses; they sign from now on. */
  async rotate(who: Who): Promise<true | Refusal> {
    const { writer, own, clock, random, store, refuseIssuing } = this.#ports
    const refusal = refuseIssuing?.()
    if (refusal !== undefined) return refusal
    await store.readIndex()
    await this.#takeRoots()
    const keys = own.rootKeys()
    const now = clock.wall()
    const rows = caUses.map(use => keys.next(use, own.clusterId, now, random))
    const written = await writer.write(who, (view, by) => addRoots(view, by, rows))
    if (isRefusal(written)) return written
    await this.#takeRoots()
    await this.#noteOwn()
    return true
  }

  /** Renews this server's own leaves. */
  async renewOwn(): Promise<void> {
    await this.#ports.own.renewOwn()
    await this.#noteOwn()
  }

  /** Makes a join token; the secret is in the answer and nowhere else. */
  async createToken(
    who: Who,
    wish: JoinTokenWish,
  ): Promise<{ readonly row: JoinTokenRow; readonly secret: string } | Refusal> {
    const { random, writer } = this.#ports
    const token = { id: random.uuid(), secret: this.#newSecret() }
    const made = { id: token.id, sealedKey: this.#sealToken(token) }
    const written = await writer.write(who, (view, by, now) =>
      createJoinToken(view, by, now, wish, made),
    )
    return isRefusal(written) ? written : { row: written.answer, secret: token.secret }
  }

  async rotateToken(
    who: Who,
    id: string,
  ): Promise<{ readonly row: JoinTokenRow; readonly secret: string } | Refusal> {
    const token = { id: id.toLowerCase(), secret: this.#newSecret() }
    const sealedKey = this.#sealToken(token)
    const written = await this.#ports.writer.write(who, (view, by) =>
      rotateJoinToken(view, by, token.id, sealedKey),
    )
    return isRefusal(written) ? written : { row: written.answer, secret: token.secret }
  }

  async revokeToken(who: Who, id: string): Promise<true | Refusal> {
    const written = await this.#ports.writer.write(who, (view, by, now) =>
      revokeJoinToken(view, by, now, id),
    )
    return isRefusal(written) ? written : true
  }

  #newSecret(): string {
    return this.#ports.random.bytes(JOIN_SECRET_SIZE_BYTES).toString('base64url')
  }

  #sealToken(token: JoinToken): string {
    const { own, random } = this.#ports
    const nonce = random.bytes(NONCE_SIZE_BYTES)
    return own.clusterKey.seal(joinKeyOf(token), joinTokenPlace(token.id), nonce)
  }

  /** The token of the founders lets further servers in. */
  async #keepToken(token: JoinToken): Promise<void> {
    const sealedKey = this.#sealToken(token)
    const row = { id: token.id, sealedKey, kind: 'server', uses: 0, maxUses: 0 } as const
    await this.#ports.store.write((view, now) => {
      const isThere = view.get(joinTokens, joinTokenKey(token.id)) !== undefined
      const times = { createdAtMs: now, expiresAtMs: 0, revokedAtMs: 0 }
      const made = { ...row, ...times, description: 'the one that the cluster was founded with' }
      const txn = isThere
        ? []
        : [{ table: joinTokens, key: joinTokenKey(token.id), row: made, lease: '' }]
      return { txn, answer: true }
    })
  }

  async #takeRoots(): Promise<void> {
    const { store, own } = this.#ports
    const rows = caUses.flatMap((use: CaUse) => rootsOf(store.view(), use))
    if (!new RootKeys(own.clusterKey, rows).isOpen)
      throw new OperatingError(OperatingCode.damaged, OTHER_KEY)
    await own.takeRoots(rows)
  }

  /** Notes this server's leaf, unless it is noted already. */
  async #noteOwn(): Promise<void> {
    const { store, own, nodeName: name } = this.#ports
    const { nodeId } = own
    const { serial, expiresAtMs } = own.leaf()
    const keyDigest = own.keyDigest()
    const row: AgentRow | undefined = store.view().get(agents, agentKey(nodeId))?.row
    if (row?.serial === serial && row.keyDigest === keyDigest && row.name === name) return
    const root = own.rootKeys().generationOf('agents')
    const issued = { kind: 'server', nodeId, name, keyDigest, serial, root, expiresAtMs } as const
    const written = await store.write((view, now) => renewAgent(view, now, issued))
    if (isRefusal(written)) throw new Error(`this server is let in no more: ${written.text}`)
  }

  /** Follows roots that other servers made, and ends trust that has had its time. */
  async #follow(): Promise<void> {
    const { store, log, clock } = this.#ports
    const { signal } = this.#stopping
    const waits = { scopes: store.scopes, clock }
    const trust = [{ scope: scope.clusterTrust }]
    while (!signal.aborted) {
      try {
        await untilChanged(waits, trust, limits.caTidyIntervalMs, signal)
        if (signal.aborted) return
        await this.#takeRoots()
        await this.#noteOwn()
        const overdue = overdueRoots(store.view(), this.#ports.clock.wall())
        if (overdue.length === 0) continue
        await store.write((view, now) => retireRoots(view, overdue, now))
        const roots = overdue.map(({ use, generation }) => `${use}/${generation}`).join(' ')
        log.info('old roots are trusted no more', { roots })
        await this.#takeRoots()
      } catch (error) {
        if (!signal.aborted) log.warn("the agents' CA", { error: messageOf(error) })
      }
    }
  }
}

const OTHER_KEY =
  "this store has an agents' CA that this server's cluster.key does not open: have the server join " +
  'by retry_join and a join token, or give it the cluster.key of another server'
const NOT_KNOWN = 'this join token is not known here: it is of another cluster, or was removed'
