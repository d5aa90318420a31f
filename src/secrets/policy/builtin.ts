/**
 * The policies that every namespace has from its start.
 *
 * Owns their texts. `default` may be edited by operators and is written once; `response-wrapping`
 * is what a wrapping token has, and nobody is told of it. There is no text for `root`.
 */

/** What every token may do unless it is made without: look after itself and its own entity. */
export const defaultPolicy = `# The token itself: what it is, to live on, to end.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What it may do.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Its own entity, by id and by name.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Leases that it holds; whoever knows a lease's id may renew it. The first path is the older one.
path "sys/renew" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# A place of its own, which ends with it.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Answers that are kept for one reader.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Hashes of whatever it sends.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# Logins elsewhere through this server's identities.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
`

/** What a wrapping token may do: read the one answer that is kept for it. */
export const responseWrappingPolicy = `path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`
