/**
 * The change feed on the wire: topics, what their items are made of, and frames.
 *
 * Owns the translation from messages to frames, and the types of values by topic.
 */
import { limits } from '../base/limits.ts'
import {
  type Duration,
  durationOf,
  type WireInstance,
  type WireKvEntry,
  type WireNode,
} from './api.ts'
import { Follower, type FollowerWorld, type OpenFeed } from './follower.ts'
import { type KvEntry, kvEntryOf } from './kv.ts'
import type { ApiMethod } from './link.ts'
import { type Instance, instanceReader } from './lookup.ts'
import type { Servers } from './servers.ts'
import type { Frame, Item } from './view.ts'

/** A node of the catalog. */
export interface Node {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly datacenter: string
  readonly meta: Readonly<Record<string, string>>
}

/** The name of a service, with the tags of its instances. */
export interface ServiceTags {
  readonly name: string
  readonly tags: readonly string[]
}

/** What can be followed, and what the items of each topic are. */
export interface TopicValues {
  /** The instances of the service that is the subject, with their health. */
  health: Instance
  /** The names of all services. */
  services: ServiceTags
  nodes: Node
  /** Entries whose keys begin with the subject. */
  kv: KvEntry
  /** Configuration entries of the kind that is the subject, as the HTTP API has them. */
  config: Readonly<Record<string, unknown>>
  intentions: Readonly<Record<string, unknown>>
  /** Of the secrets: the authorities' roots, certificates as they end, leases. */
  roots: Readonly<Record<string, unknown>>
  certificates: Readonly<Record<string, unknown>>
  leases: Readonly<Record<string, unknown>>
}

/** The name of a topic. */
export type TopicName = keyof TopicValues

/** What of a topic is followed. */
export interface Followed {
  readonly topic: TopicName
  readonly subject: string
  readonly filter: string
}

interface WireItem {
  readonly key: string
  readonly revision: number
  readonly instance?: WireInstance
  readonly node?: WireNode
  readonly service?: ServiceTags
  readonly kv?: WireKvEntry
  readonly json?: Buffer
}

interface FollowRequest extends Followed {
  readonly resume: string
  readonly heartbeat: Duration
}

/** One of these is set. */
interface FollowResponse {
  readonly snapshot?: {
    readonly revision: number
    readonly resume: string
    readonly items: readonly WireItem[]
  }
  readonly delta?: {
    readonly revision: number
    readonly resume: string
    readonly upserts: readonly WireItem[]
    readonly deletes: readonly string[]
  }
  readonly heartbeat?: { readonly revision: number; readonly resume: string }
  readonly resync?: { readonly reason: string }
}

const follow: ApiMethod<FollowRequest, FollowResponse> = {
  protoFile: 'gatehouse/v1/feed.proto',
  path: 'gatehouse.v1.Feed/Follow',
}

/** Follows a topic; `read` makes of an item what is kept, or leaves it out. */
export function followTopic<V>(
  servers: Servers,
  followed: Followed,
  read: (wire: WireItem) => V | undefined,
  world: FollowerWorld,
): Follower<WireItem, V> {
  const heartbeat = durationOf(limits.clientHeartbeatMs)
  const open: OpenFeed<WireItem> = (resume, { onFrame, onEnd }, signal) =>
    servers.listen(
      follow,
      { ...followed, resume, heartbeat },
      {
        onMessage(message) {
          const frame = frameOf(message)
          if (frame !== undefined) onFrame(frame)
        },
        onEnd,
      },
      signal,
    )
  return new Follower(open, read, world)
}

/** Undefined for a frame of a later version, which says nothing of the state. */
function frameOf({
  snapshot,
  delta,
  heartbeat,
  resync,
}: FollowResponse): Frame<WireItem> | undefined {
  if (snapshot) return { kind: 'snapshot', ...snapshot, items: snapshot.items.map(itemOf) }
  if (delta) {
    const { revision, resume, deletes } = delta
    return {
      kind: 'delta',
      since: undefined,
      revision,
      resume,
      deletes,
      items: delta.upserts.map(itemOf),
    }
  }
  if (heartbeat) return { kind: 'heartbeat', ...heartbeat }
  return resync ? { kind: 'resync', reason: resync.reason } : undefined
}

const itemOf = (wire: WireItem): Item<WireItem> => ({
  key: wire.key,
  revision: wire.revision,
  value: wire,
})

/** Instances, where they are wanted. */
export const instanceOfItem =
  (wanted: ReturnType<typeof instanceReader>) =>
  ({ instance }: WireItem): Instance | undefined =>
    instance ? wanted(instance) : undefined

const jsonOf = ({ json }: WireItem): Readonly<Record<string, unknown>> =>
  json === undefined || json.length === 0 ? {} : JSON.parse(json.toString())

type Readers = { readonly [T in TopicName]: (wire: WireItem) => TopicValues[T] | undefined }

/** What is kept of the items of each topic. */
export const readers: Readers = {
  health: instanceOfItem(instanceReader({ passing: false })),
  services: ({ service }) => (service ? { name: service.name, tags: service.tags } : undefined),
  nodes: ({ node }) => (node ? nodeOf(node) : undefined),
  kv: ({ kv }) => (kv ? kvEntryOf(kv) : undefined),
  config: jsonOf,
  intentions: jsonOf,
  roots: jsonOf,
  certificates: jsonOf,
  leases: jsonOf,
}

const nodeOf = ({ id, name, address, datacenter, meta = {} }: WireNode): Node => {
  return { id, name, address, datacenter, meta }
}
