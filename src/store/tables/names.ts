/**
 * Keys and scope names of the registry's tables, in one place so that writers, readers and waiters
 * mean the same.
 *
 * Names of nodes and services are compared without case, ids with case, as Consul does.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { addressFromText } from '../../wire/dns/mod.ts'
import { indexKey, indexStart } from '../table.ts'

/** The form in which names are compared. */
export const fold = (name: string): Bytes => fromText(name.toLowerCase())

/** The key of something that belongs to a node: a service instance or a check, by its id. */
export const onNode = (node: string, id: string): Bytes => indexKey(fold(node), fromText(id))

/** What the keys of everything on a node begin with: a range to read, and what guards it. */
export const underNode = (node: string): Bytes => indexStart(fold(node))

/** The first of the two values that a key joins. */
const firstValue = (key: Bytes): Bytes => key.slice(0, key.indexOf(indexStart('')))

/** The guard of the rows of one node, from the key of any of them. */
export const nodeGuard = firstValue

/** The key of a configuration entry. Names are compared without case. */
export const ofKind = (kind: string, name: string): Bytes => indexKey(fromText(kind), fold(name))

/** What the keys of all entries of a kind begin with: a range to read, and what guards it. */
export const underKind = (kind: string): Bytes => indexStart(fromText(kind))

/** The guard of the entries of one kind, from the key of any of them. */
export const kindGuard = firstValue

/** The value of an index over pairs, such as a node and an id on it. */
export const pair = (first: Bytes, second: Bytes): Bytes => indexKey(first, second)

/** What an IP address is found by, however it was written; a host name by nothing. */
export function addressValues(address: string): Bytes[] {
  const bytes = addressFromText(address)
  return bytes === undefined ? [] : [bytes]
}

/** Names of scopes: what a question can wait on. */
export const scope = {
  /** Any node, service instance or check came, went or changed. */
  catalog: 'catalog',
  /** Any node came, went or changed. */
  nodes: 'nodes',
  /** One node, or a service on it. */
  node: (node: string): string => `node/${fold(node)}`,
  /** Any service instance came, went or changed. */
  services: 'services',
  /** A service lost its last instance. */
  extinction: 'service-extinction',
  /** The instances of one service. */
  service: (name: string): string => `service/${fold(name)}`,
  /** The instances of one service with all that health says of them: their checks and nodes. */
  health: (name: string): string => `health/${fold(name)}`,
  /** Any check came, went or changed. */
  checks: 'checks',
  /** The checks of one service. */
  serviceChecks: (name: string): string => `checks/${fold(name)}`,
  /** The checks of one node, its services' included. */
  nodeChecks: (node: string): string => `node-checks/${fold(node)}`,
  /** The configuration entries of one kind; of all kinds for ''. */
  configKind: (kind: string): string => `config/${kind}`,
  /** Any coordinate came, went or changed. */
  coordinates: 'coordinates',
  coordinate: (node: string): string => `coordinate/${fold(node)}`,
  sessions: 'sessions',
  session: (id: string): string => `session/${id}`,
  /** Any event that this agent takes in; one name alone. */
  events: 'events',
  event: (name: string): string => `event/${name}`,
  /** Any prepared query came, went or changed. */
  queries: 'queries',
  /** Any condition came, went or changed. */
  conditions: 'acl-conditions',
  /** Anything of tokens, policies, roles, auth methods or binding rules. */
  acl: 'acl',
  aclPolicies: 'acl-policies',
  aclMethods: 'acl-methods',
  aclRules: 'acl-rules',
  /** What is trusted between agents: roots, and whom the cluster lets in no more. */
  clusterTrust: 'cluster-trust',
  /** Any agent was let in, renewed or revoked. */
  clusterAgents: 'cluster-agents',
  joinTokens: 'join-tokens',
  /** How the barrier is sealed, its keyring, and whether an operator sealed it. */
  seal: 'secret-seal',
  /** Anything that the barrier keeps, but what is cold. */
  secrets: 'secret-data',
  nodeSessions: (node: string): string => `node-sessions/${fold(node)}`,
} as const
