/**
 * Tokens, policies, roles, auth methods and binding rules: who may do what.
 *
 * Owns rows, codecs, indexes and scopes. A token's key is a keyed hash of its secret, which itself
 * is kept sealed: whoever reads the rows can neither show a token nor find one by guessing.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { fold, scope } from './names.ts'

/** Everything that a service needs to register itself and find others. */
export interface ServiceIdentity {
  readonly service: string
  /** Where it holds; everywhere when empty. */
  readonly datacenters: readonly string[]
}

/** Everything that an agent needs to keep its node registered. */
export interface NodeIdentity {
  readonly node: string
  readonly datacenter: string
}

/** A policy made from a template that is known by name. */
export interface TemplatedPolicy {
  readonly template: string
  /** What the template's variable Name stands for; '' where it has none. */
  readonly name: string
  readonly datacenters: readonly string[]
}

/** What gives rights: to a token, or to all tokens of a role. */
export interface Grants {
  /** Ids. */
  readonly policies: readonly string[]
  readonly serviceIdentities: readonly ServiceIdentity[]
  readonly nodeIdentities: readonly NodeIdentity[]
  readonly templatedPolicies: readonly TemplatedPolicy[]
}

export interface TokenRow extends Grants {
  readonly accessor: string
  /** The secret, sealed by the registry key. */
  readonly sealedSecret: string
  readonly description: string
  /** Ids. */
  readonly roles: readonly string[]
  readonly local: boolean
  /** The auth method that it was got by, '' for none. */
  readonly authMethod: string
  /** What the login told of who logged in, by the names of its mappings; conditions may ask. */
  readonly metadata: Readonly<Record<string, string | readonly string[]>>
  /** As it was asked for; 0 for none. */
  readonly ttlMs: number
  /** From then on it is refused; 0 for never. */
  readonly expiresAtMs: number
  readonly createdAtMs: number
}

export interface PolicyRow {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly rules: string
  readonly datacenters: readonly string[]
}

export interface RoleRow extends Grants {
  readonly id: string
  readonly name: string
  readonly description: string
}

export interface AuthMethodRow {
  readonly name: string
  readonly type: string
  readonly displayName: string
  readonly description: string
  /** How long a token that it gives lives; 0 for ever. */
  readonly maxTokenTtlMs: number
  /** '' means `local`. */
  readonly locality: '' | 'local' | 'global'
  /** As it was given; what it may say is its type's. */
  readonly config: Readonly<Record<string, unknown>>
}

const bindTypes = ['service', 'node', 'role', 'policy', 'templated-policy'] as const
export type BindType = (typeof bindTypes)[number]

export interface BindingRuleRow {
  readonly id: string
  readonly description: string
  readonly authMethod: string
  readonly selector: string
  readonly bindType: BindType
  readonly bindName: string
  readonly bindVars: { readonly name: string }
}

/** What there is one of: that the first token was made. */
export interface AclStateRow {
  /** Raised with each bootstrap: who resets it shows that he knows it. */
  readonly bootstraps: number
}

export const ACL_STATE = 'state'

const touched = [scope.acl]
const ids = (list: readonly string[]): Bytes[] => list.map(fromText)

/** The key is the keyed hash of the secret. */
export const tokens = defineTable<TokenRow>({
  name: 'acl-tokens',
  // A login is refused first, a renewal last.
  need: ({ authMethod }, before) => {
    if (before !== undefined) return 'upkeep'
    return authMethod === '' ? 'data' : 'extra'
  },
  prefix: 'acl/token/',
  codec: jsonCodec(),
  indexes: {
    accessor: { guarded: true, values: row => [fromText(row.accessor)] },
    policy: { guarded: false, values: row => ids(row.policies) },
    role: { guarded: false, values: row => ids(row.roles) },
    method: {
      guarded: true,
      values: row => (row.authMethod === '' ? [] : [fold(row.authMethod)]),
    },
  },
  scopes: () => touched,
})

/** The key is the id. */
export const policies = defineTable<PolicyRow>({
  name: 'acl-policies',
  prefix: 'acl/policy/',
  codec: jsonCodec(),
  indexes: { name: { guarded: true, values: row => [fold(row.name)] } },
  scopes: () => [scope.acl, scope.aclPolicies],
})

/** The key is the id. */
export const roles = defineTable<RoleRow>({
  name: 'acl-roles',
  prefix: 'acl/role/',
  codec: jsonCodec(),
  indexes: {
    name: { guarded: true, values: row => [fold(row.name)] },
    policy: { guarded: false, values: row => ids(row.policies) },
  },
  scopes: () => touched,
})

/** The key is the folded name. */
export const authMethods = defineTable<AuthMethodRow>({
  name: 'acl-auth-methods',
  prefix: 'acl/auth-method/',
  codec: jsonCodec(),
  indexes: { type: { guarded: true, values: row => [fold(row.type)] } },
  scopes: () => [scope.acl, scope.aclMethods],
})

/** The key is the id. */
export const bindingRules = defineTable<BindingRuleRow>({
  name: 'acl-binding-rules',
  prefix: 'acl/binding-rule/',
  codec: jsonCodec(),
  indexes: { method: { guarded: true, values: row => [fold(row.authMethod)] } },
  scopes: () => [scope.acl, scope.aclRules],
})

/** The key is `ACL_STATE`. */
export const aclState = defineTable<AclStateRow>({
  name: 'acl-state',
  prefix: 'acl/state/',
  codec: jsonCodec(),
  scopes: () => touched,
})

/**
 * Proof that a server's registry key is the one that the rows were sealed with: a known text,
 * sealed. The key is `ACL_STATE`.
 */
export const keyProof = defineTable<{ readonly sealed: string }>({
  name: 'acl-key-proof',
  prefix: 'acl/key-proof/',
  codec: jsonCodec(),
})

export const aclTables = [
  tokens,
  policies,
  roles,
  authMethods,
  bindingRules,
  aclState,
  keyProof,
] as const
