/**
 * The servers of a store, which of them are alive, and what all of them can read.
 *
 * Owns rows, codecs and keys. A server's row outlives it, so that it can be told that it failed or
 * left; only the row that says it is alive hangs on a lease. Archives leave both out. The former
 * stay as they are through a restore: the level must not rise while a server is not back yet. The
 * feature level belongs to what was written, and goes with it.
 */
import { defineTable, jsonCodec, type ScopeReader } from '../table.ts'

/** What a server has said of itself, or what was found out about it. */
export const ServerState = {
  /** It takes part: alive or failed, which the other row tells. */
  in: 'in',
  /** It takes no new work, and will end. */
  draining: 'draining',
  /** It was found dead: its node says so too. */
  failed: 'failed',
  /** It left, or was made to. */
  left: 'left',
} as const
export type ServerState = (typeof ServerState)[keyof typeof ServerState]

export interface ServerRow {
  readonly nodeId: string
  /** The name of its node. */
  readonly name: string
  /** The IP address that others reach it by, and its ports. */
  readonly address: string
  readonly ports: {
    readonly server: number
    readonly serfLan: number
    readonly serfWan: number
    /** Of gRPC, in clear and with TLS; absent where it is off, and of older servers. */
    readonly grpc?: number
    readonly grpcTls?: number
  }
  /** The URL of its secrets; absent where it serves none, and of older servers. */
  readonly secretsUrl?: string
  /** Of our program, for people; clients are told another (base/version.ts). */
  readonly version: string
  /** The highest feature level that it speaks. */
  readonly level: number
  readonly hasAcl: boolean
  readonly meta: Readonly<Record<string, string>>
  /** By its own wall clock: when the process began. */
  readonly sinceMs: number
  readonly state: ServerState
  /** By the wall clock of whoever wrote it: since when that is so. */
  readonly stateAtMs: number
}

/** The key is the id of the server's node. One guard stands for all: rules read them together. */
export const servers = defineTable<ServerRow>({
  name: 'servers',
  prefix: 'system/server/',
  codec: jsonCodec(),
  guard: () => '',
  need: () => 'upkeep',
  // Whoever is away while a store is restored is still counted.
  ofCluster: true,
})

interface AliveRow {
  /** Another one after each start, so that a start is told from a renewal. */
  readonly run: string
}

/** The servers that are alive: hangs on the lease of each. The key is the id of its node. */
export const aliveServers = defineTable<AliveRow>({
  name: 'alive-servers',
  prefix: 'system/alive/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  internal: true,
})

export interface FeatureRow {
  /** The lowest level that every server speaks: what rows may be written in. */
  readonly level: number
}

/** One row. */
export const features = defineTable<FeatureRow>({
  name: 'features',
  prefix: 'system/feature/',
  codec: jsonCodec(),
})

export const FEATURE_KEY = 'level'

/** What held before anybody wrote a level. */
export const FIRST_LEVEL = 1

/** The level that rows are written in: rules that know a newer format ask before they use it. */
export const activeLevel = (view: Pick<ScopeReader, 'get'>): number =>
  view.get(features, FEATURE_KEY)?.row.level ?? FIRST_LEVEL

export const serverTables = [servers, aliveServers, features] as const
