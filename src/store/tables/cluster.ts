/**
 * What the cluster itself stands on: the roots of the agents' CA, whom it let in, join tokens.
 *
 * Owns rows, codecs and scopes. Keys of roots and of join tokens lie here sealed by the cluster
 * key, which is a file on each server. The rows belong to the cluster: archives leave them out,
 * and a restore leaves them as they are.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import type { AgentKind } from '../../base/rpc.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { scope } from './names.ts'

/** What a root signs for: calls between agents, or the members of a managed store. */
export const caUses = ['agents', 'store'] as const
export type CaUse = (typeof caUses)[number]

export interface CaRootRow {
  readonly use: CaUse
  /** From 1, one more with each rotation: the highest is the one that signs. */
  readonly generation: number
  /** Signed by itself, in PEM. */
  readonly certificate: string
  /** The same key signed by the root before it, in PEM; '' for none. */
  readonly cross: string
  /** Its private key in PKCS #8, sealed by the cluster key. */
  readonly sealedKey: string
  readonly createdAtMs: number
  /** From then on it is not trusted any more; 0 while it is. */
  readonly retiredAtMs: number
}

/** An agent that was let in. */
export interface AgentRow {
  readonly nodeId: string
  readonly name: string
  readonly kind: AgentKind
  /** SHA-256 of its public key (SPKI), in hexadecimal: no other key is this agent. */
  readonly keyDigest: string
  /** Of its newest certificate. */
  readonly serial: string
  /** The generation of the root that signed it. */
  readonly root: number
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** The id of the join token that it came with; '' for none. */
  readonly joinToken: string
  /** 0 while it is let in. */
  readonly revokedAtMs: number
}

export interface JoinTokenRow {
  readonly id: string
  readonly description: string
  /** What it lets in. */
  readonly kind: AgentKind
  /** What its secret is derived to, sealed by the cluster key. */
  readonly sealedKey: string
  readonly uses: number
  /** 0 is no bound. */
  readonly maxUses: number
  readonly createdAtMs: number
  /** 0 for never. */
  readonly expiresAtMs: number
  /** 0 while it is honoured. */
  readonly revokedAtMs: number
}

/** The key is the use and the generation. */
export const caRoots = defineTable<CaRootRow>({
  name: 'ca-roots',
  prefix: 'system/ca/root/',
  codec: jsonCodec(),
  ofCluster: true,
  guard: () => '',
  scopes: () => [scope.clusterTrust],
})

export const caRootKey = (use: CaUse, generation: number): Bytes =>
  fromText(`${use}/${String(generation).padStart(GENERATION_DIGITS, '0')}`)

const GENERATION_DIGITS = 8

/** The key is the node id. */
export const agents = defineTable<AgentRow>({
  name: 'ca-agents',
  prefix: 'system/ca/agent/',
  codec: jsonCodec(),
  ofCluster: true,
  indexes: {
    /** Those that are let in no more. */
    revoked: {
      guarded: false,
      fields: ['revokedAtMs'],
      values: row => (row.revokedAtMs > 0 ? [''] : []),
    },
  },
  scopes: row =>
    row.revokedAtMs > 0 ? [scope.clusterAgents, scope.clusterTrust] : [scope.clusterAgents],
})

export const agentKey = (nodeId: string): Bytes => fromText(nodeId.toLowerCase())

/** The key is the id. */
export const joinTokens = defineTable<JoinTokenRow>({
  name: 'join-tokens',
  prefix: 'system/join/',
  codec: jsonCodec(),
  ofCluster: true,
  guard: () => '',
  scopes: () => [scope.joinTokens],
})

export const joinTokenKey = (id: string): Bytes => fromText(id.toLowerCase())

export const clusterTables = [caRoots, agents, joinTokens]
