/**
 * Who asks, and what for: the words in which rights are asked about everywhere.
 *
 * Owns the types and the principal that may do everything. What a principal may do is decided by
 * the identity room; the rules of other rooms only ask.
 */

export type Capability = 'read' | 'list' | 'write'

export type Resource =
  | 'acl'
  | 'agent'
  | 'event'
  | 'intention'
  | 'key'
  | 'key_prefix'
  | 'keyring'
  | 'mesh'
  | 'node'
  | 'operator'
  | 'query'
  | 'service'
  | 'session'

/** One right: a capability on a resource; `name` is '' for resources that have none. */
export interface Access {
  readonly capability: Capability
  readonly resource: Resource
  readonly name: string
}

export const access = (capability: Capability, resource: Resource, name = ''): Access => ({
  capability,
  resource,
  name,
})

export interface Who {
  /** The accessor of the token, for logs and refusals; never its secret. */
  readonly accessor: string
  /** Equal for principals with equal rights: answers are shared among them. */
  readonly rights: string
  may(wanted: Access): boolean
}

/** The principal of a server whose ACLs are off: it may do everything. */
export const everybody: Who = { accessor: 'anonymous', rights: 'all', may: () => true }
