/**
 * An agent's membership of its cluster: its key and certificates, whom it trusts, and on servers
 * what they are renewed with; kept on disk so that a start needs nobody.
 *
 * Owns the files: the node's key, the cluster key, and one file for all the rest, which is written
 * last and whole. Every one is 0600 and replaced as a whole. Must never log a key.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Clock, Random, Timer } from '../base/clock.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { ensurePrivateFolder, readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import { keyDigestOf } from '../base/io/rpc-listener.ts'
import { limits } from '../base/limits.ts'
import type { AgentIdentity, AgentKind } from '../base/rpc.ts'
import { TlsMaterial } from '../base/tls.ts'
import { type LeafSubject, renewalMs } from '../cluster/ca.ts'
import { CLUSTER_KEY_SIZE_BYTES, ClusterKey } from '../cluster/cluster-key.ts'
import type { FoundingPlan } from '../cluster/founding.ts'
import { RootKeys } from '../cluster/root-keys.ts'
import type { ServerAddress } from '../rpc/channels.ts'
import type { CaRootRow, CaUse } from '../store/tables/cluster.ts'

/** Everything of a membership but keys, as its file holds it. */
export interface MembershipState extends AgentIdentity {
  readonly format: 1
  readonly clusterId: string
  /** Chains in PEM; of the store on servers alone. */
  readonly leaves: { readonly agents: string; readonly store?: string }
  /** Authorities in PEM. */
  readonly trust: { readonly agents: readonly string[]; readonly store: readonly string[] }
  /** Where servers are. */
  readonly servers: readonly ServerAddress[]
  /** On servers: the roots, sealed by the cluster key. */
  readonly roots: readonly CaRootRow[]
  /** On clients: who is let in no more, as servers told it last. */
  readonly revoked?: readonly Revoked[]
  /** Whom the cluster was founded with; undefined on who joined later. */
  readonly foundation?: FoundingPlan
}

/** An agent that was revoked, with the key that it had. */
export interface Revoked {
  readonly nodeId: string
  readonly keyDigest: string
}

/** Names and addresses that the leaves of the store have. */
export type HostNames = LeafSubject['hosts']

export interface MembershipWorld {
  readonly clock: Clock
  readonly random: Random
}

/** Writes a file so that it is the old or the new one, whatever happens. */
type WriteFile = (path: string, text: string) => Promise<void>

const NODE_KEY = 'node-key.pem'
const CLUSTER_KEY = 'cluster.key'
const STATE = 'cluster.json'

/** The node's key: what is there, or a new one, which is kept. */
export async function settleNodeKey(dataDir: string | undefined): Promise<KeyObject> {
  if (dataDir === undefined) return newKey()
  const path = join(dataDir, NODE_KEY)
  await ensurePrivateFolder(dataDir)
  const kept = await readFileIfExists(path)
  if (kept !== undefined) return readKey(path, kept)
  const made = newKey()
  await writeFileAtomic(path, made.export({ type: 'pkcs8', format: 'pem' }))
  return made
}

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

function readKey(path: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ec') return key
  } catch {
    // Said below; what OpenSSL has against it may quote the file.
  }
  const text = `${path} holds no private key: restore it, or remove it and join anew`
  throw new OperatingError(OperatingCode.damaged, text)
}

/** Keeps the cluster key of a server. */
export async function keepClusterKey(
  dataDir: string | undefined,
  key: ClusterKey,
  write: WriteFile = writeFileAtomic,
): Promise<void> {
  if (dataDir === undefined) return
  await write(join(dataDir, CLUSTER_KEY), `${key.bytes().toString('hex')}\n`)
}

/** The cluster key that is kept; undefined where there is none. */
export async function readClusterKey(dataDir: string): Promise<ClusterKey | undefined> {
  const path = join(dataDir, CLUSTER_KEY)
  const text = (await readFileIfExists(path))?.toString('latin1').trim()
  if (text === undefined) return undefined
  const bytes = Buffer.from(text, 'hex')
  if (bytes.length === CLUSTER_KEY_SIZE_BYTES) return new ClusterKey(bytes)
  const fault = `${path} holds no cluster key: restore it from this server or another`
  throw new OperatingError(OperatingCode.damaged, fault)
}

/** What is kept of a membership; undefined where this agent was in no cluster yet. */
export async function readMembership(dataDir: string): Promise<MembershipState | undefined> {
  const path = join(dataDir, STATE)
  const text = (await readFileIfExists(path))?.toString('utf8')
  if (text === undefined) return undefined
  try {
    const state = JSON.parse(text) as MembershipState
    if (state.format === 1 && typeof state.leaves.agents === 'string') return state
  } catch {
    // Said below.
  }
  const fault = `${path} is damaged: restore it, or remove it and join anew`
  throw new OperatingError(OperatingCode.damaged, fault)
}

export class Membership {
  readonly key: KeyObject
  /** On servers. */
  readonly clusterKey: ClusterKey | undefined
  readonly #dataDir: string | undefined
  readonly #world: MembershipWorld
  readonly #hosts: HostNames
  readonly #write: WriteFile
  readonly #listeners = new Set<() => void>()
  #state: MembershipState
  #materials: Partial<Record<CaUse, TlsMaterial>> = {}
  #writing: Promise<void> = Promise.resolve()
  #timer: Timer | undefined

  constructor(
    state: MembershipState,
    keys: { readonly node: KeyObject; readonly cluster: ClusterKey | undefined },
    place: {
      readonly dataDir: string | undefined
      readonly hosts: HostNames
      readonly write?: WriteFile | undefined
    },
    world: MembershipWorld,
  ) {
    this.key = keys.node
    this.clusterKey = keys.cluster
    this.#dataDir = place.dataDir
    this.#hosts = place.hosts
    this.#write = place.write ?? writeFileAtomic
    this.#world = world
    this.#state = state
  }

  get clusterId(): string {
    return this.#state.clusterId
  }

  get nodeId(): string {
    return this.#state.nodeId
  }

  get kind(): AgentKind {
    return this.#state.kind
  }

  /** The plan that this server founded its cluster by; undefined where it joined one. */
  get foundation(): FoundingPlan | undefined {
    return this.#state.foundation
  }

  /** Servers that are known, to call them. */
  get servers(): readonly ServerAddress[] {
    return this.#state.servers
  }

  /** On clients: who is let in no more. */
  get revoked(): readonly Revoked[] {
    return this.#state.revoked ?? []
  }

  get roots(): readonly CaRootRow[] {
    return this.#state.roots
  }

  /** What signs, on servers. */
  rootKeys(): RootKeys {
    assert(this.clusterKey !== undefined, 'servers have the cluster key')
    return new RootKeys(this.clusterKey, this.#state.roots)
  }

  /** What is shown to other agents, or to members of the store, and who is trusted; now. */
  material(use: CaUse): TlsMaterial {
    const made = this.#materials[use]
    if (made !== undefined) return made
    const chain = this.#state.leaves[use]
    const ca = this.#state.trust[use].map(pem => Buffer.from(pem))
    const key = Buffer.from(this.key.export({ type: 'pkcs8', format: 'pem' }))
    const shown = chain === undefined ? {} : { cert: Buffer.from(chain), key }
    const material = new TlsMaterial({ ...shown, ca })
    this.#materials[use] = material
    return material
  }

  /** Calls `changed` whenever a material is another one. Gives what ends that. */
  follow(changed: () => void): () => void {
    this.#listeners.add(changed)
    return () => this.#listeners.delete(changed)
  }

  /** The leaf that is shown to agents. */
  leaf(): { readonly serial: string; readonly issuedAtMs: number; readonly expiresAtMs: number } {
    const leaf = new X509Certificate(this.#state.leaves.agents)
    return {
      serial: leaf.serialNumber.toLowerCase(),
      issuedAtMs: leaf.validFromDate.getTime() + limits.caSkewMs,
      expiresAtMs: leaf.validToDate.getTime(),
    }
  }

  keyDigest(): string {
    return keyDigestOf(createPublicKey(this.key))
  }

  /** Takes over where servers are. */
  async learnServers(servers: readonly ServerAddress[]): Promise<void> {
    if (servers.length === 0 || JSON.stringify(servers) === JSON.stringify(this.servers)) return
    await this.#become({ ...this.#state, servers })
  }

  /** On servers: takes over the roots as the store has them, and shows leaves of the newest. */
  async takeRoots(roots: readonly CaRootRow[]): Promise<void> {
    if (JSON.stringify(roots) === JSON.stringify(this.roots)) return
    const before = this.rootKeys()
    this.#state = { ...this.#state, roots }
    const after = this.rootKeys()
    const isNew = (['agents', 'store'] as const).some(
      use => before.generationOf(use) !== after.generationOf(use),
    )
    await (isNew ? this.renewOwn() : this.#become({ ...this.#state, trust: trustOf(after) }))
  }

  /** On servers: issues new leaves to itself. */
  async renewOwn(): Promise<void> {
    const keys = this.rootKeys()
    const leaves = ownLeaves(keys, this.#state, this.key, this.#hosts, this.#world)
    await this.#become({ ...this.#state, leaves, trust: trustOf(keys) })
  }

  /** On clients: takes over what a server issued, or whom it trusts. */
  async takeTrust(leaf: string | undefined, trust: readonly string[]): Promise<void> {
    const { leaves, trust: before } = this.#state
    const agents = leaf ?? leaves.agents
    if (agents === leaves.agents && trust.join() === before.agents.join()) return
    await this.#become({
      ...this.#state,
      leaves: { ...leaves, agents },
      trust: { ...before, agents: trust },
    })
  }

  /** On clients: takes over who is let in no more. It counts at once, and is kept then. */
  async takeRevoked(revoked: readonly Revoked[]): Promise<void> {
    if (JSON.stringify(revoked) === JSON.stringify(this.revoked)) return
    await this.#become({ ...this.#state, revoked })
  }

  /** Whether the leaf is due, or says what is no longer so. */
  isDue(): boolean {
    const { issuedAtMs, expiresAtMs } = this.leaf()
    const nowMs = this.#world.clock.wall()
    if (nowMs >= renewalMs(issuedAtMs, expiresAtMs, 0) || nowMs < issuedAtMs - limits.caSkewMs) {
      return true
    }
    return this.kind === 'server' && !namesAll(this.#state.leaves.store, this.#hosts)
  }

  /** Has leaves renewed from now on, each at half of its time; `renew` is tried until it works. */
  keepRenewed(renew: () => Promise<void>, onFailure: (error: unknown) => void): void {
    const { clock, random } = this.#world
    let failures = 0
    const wait = (): void => {
      const { issuedAtMs, expiresAtMs } = this.leaf()
      const dueMs = renewalMs(issuedAtMs, expiresAtMs, random.fraction()) - clock.wall()
      const againMs = limits.caRetryMs * Math.min(2 ** failures, limits.caRetryFactor)
      const delayMs = failures === 0 ? Math.max(0, dueMs) : againMs * (0.5 + random.fraction())
      // A clock that was set is noticed within this.
      this.#timer = clock.after(Math.min(delayMs, limits.caLookMs), () => {
        if (delayMs > limits.caLookMs) wait()
        else void attempt()
      })
    }
    const attempt = async (): Promise<void> => {
      try {
        await renew()
        failures = 0
      } catch (error) {
        failures++
        onFailure(error)
      }
      if (this.#timer !== undefined) wait()
    }
    wait()
  }

  stop(): Promise<void> {
    this.#timer?.clear()
    this.#timer = undefined
    return this.#writing
  }

  /** Writes what is held; the membership counts from then on. */
  save(): Promise<void> {
    return this.#become(this.#state)
  }

  async #become(state: MembershipState): Promise<void> {
    this.#state = state
    this.#materials = {}
    const dataDir = this.#dataDir
    if (dataDir !== undefined) {
      const text = `${JSON.stringify(state, undefined, 2)}\n`
      const before = this.#writing.catch(() => {})
      this.#writing = before.then(() => this.#write(join(dataDir, STATE), text))
      await this.#writing
    }
    for (const changed of [...this.#listeners]) changed()
  }
}

export const trustOf = (keys: RootKeys): MembershipState['trust'] => ({
  agents: keys.trusted('agents'),
  store: keys.trusted('store'),
})

/** The leaves that a server issues to itself. */
export function ownLeaves(
  keys: RootKeys,
  { clusterId, nodeId }: Pick<MembershipState, 'clusterId' | 'nodeId'>,
  nodeKey: KeyObject,
  hosts: HostNames,
  { clock, random }: MembershipWorld,
): MembershipState['leaves'] {
  const subject: LeafSubject = { clusterId, nodeId, kind: 'server', hosts }
  const world = { now: clock.wall(), random }
  return {
    agents: keys.issue('agents', subject, createPublicKey(nodeKey), world).chain,
    store: keys.issue('store', subject, createPublicKey(nodeKey), world).chain,
  }
}

function namesAll(chain: string | undefined, { addresses, names }: HostNames): boolean {
  if (chain === undefined) return false
  const leaf = new X509Certificate(chain)
  return (
    addresses.every(address => leaf.checkIP(address) !== undefined) &&
    names.every(name => leaf.checkHost(name) !== undefined)
  )
}
