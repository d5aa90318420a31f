/**
 * Tokens, policies and roles as clients write and read them (Consul's API, /v1/acl/).
 *
 * Owns field names and shapes both ways. Secrets are handed in by whoever may show them.
 */
import { createHash } from 'node:crypto'
import { Refusal } from '../../base/errors.ts'
import type { GivenGrants, Link } from '../../identity/grants.ts'
import type { PolicyRequest } from '../../identity/policy.ts'
import type { RoleRequest } from '../../identity/role.ts'
import type { Stored } from '../../identity/room.run.ts'
import { fillTemplate, RulesProblem, templates } from '../../identity/rules/mod.ts'
import type { TokenRequest } from '../../identity/token.ts'
import {
  type Grants,
  type PolicyRow,
  policies,
  type RoleRow,
  roles,
  type TokenRow,
} from '../../store/tables/acl.ts'
import type { Reader } from '../../store/view.ts'
import {
  anything,
  bool,
  duration,
  enterprise,
  int,
  list,
  nullable,
  type Of,
  object,
  optional,
  text,
} from '../shape.ts'

// --- what clients write

/** Fields of the enterprise edition that every object has. */
export const namespaces = {
  Namespace: optional(enterprise('Namespaces')),
  Partition: optional(enterprise('Partitions')),
}

const linkShape = list(object({ ID: text, Name: text }, { goName: 'ACLLink' }))
const datacentersShape = list(text)

const grantFields = {
  Policies: linkShape,
  ServiceIdentities: list(object({ ServiceName: text, Datacenters: datacentersShape })),
  NodeIdentities: list(object({ NodeName: text, Datacenter: text })),
  TemplatedPolicies: list(
    object({
      TemplateID: text,
      TemplateName: text,
      TemplateVariables: nullable(object({ Name: text })),
      Datacenters: datacentersShape,
    }),
  ),
}

/** What an object that was read may be sent back with: it is ignored. */
export const echoed = { Hash: anything, CreateIndex: anything, ModifyIndex: anything }

export const tokenBody = object(
  {
    AccessorID: text,
    SecretID: text,
    Description: text,
    ...grantFields,
    Roles: linkShape,
    Local: bool,
    AuthMethod: text,
    ExpirationTTL: duration,
    ExpirationTime: optional(text),
    CreateTime: anything,
    Legacy: anything,
    AuthMethodNamespace: anything,
    ...echoed,
    ...namespaces,
  },
  { goName: 'ACLToken' },
)

export const policyBody = object(
  {
    ID: text,
    Name: text,
    Description: text,
    Rules: text,
    Datacenters: datacentersShape,
    ...echoed,
    ...namespaces,
  },
  { goName: 'ACLPolicy' },
)

export const roleBody = object(
  { ID: text, Name: text, Description: text, ...grantFields, ...echoed, ...namespaces },
  { goName: 'ACLRole' },
)

const linksOf = (given: readonly { readonly ID: string; readonly Name: string }[]): Link[] =>
  given.map(({ ID, Name }) => ({ id: ID.toLowerCase(), name: Name }))

type GivenBody = Pick<Of<typeof roleBody>, keyof typeof grantFields>

const grantsGiven = (body: GivenBody): GivenGrants => ({
  policies: linksOf(body.Policies),
  serviceIdentities: body.ServiceIdentities.map(each => ({
    service: each.ServiceName,
    datacenters: each.Datacenters,
  })),
  nodeIdentities: body.NodeIdentities.map(each => ({
    node: each.NodeName,
    datacenter: each.Datacenter,
  })),
  templatedPolicies: body.TemplatedPolicies.map(each => ({
    template: each.TemplateName,
    name: each.TemplateVariables?.Name ?? '',
    datacenters: each.Datacenters,
  })),
})

/** A token's body as the room takes it. */
export function tokenGiven(body: Of<typeof tokenBody>): TokenRequest | Refusal {
  const time = body.ExpirationTime ?? ''
  const expiresAtMs = time === '' || time.startsWith('0001-') ? 0 : Date.parse(time)
  if (Number.isNaN(expiresAtMs)) {
    return new Refusal(400, 'Token decoding failed: ExpirationTime is no time of RFC 3339')
  }
  return {
    description: body.Description,
    ...grantsGiven(body),
    roles: linksOf(body.Roles),
    local: body.Local,
    ttlMs: body.ExpirationTTL,
    expiresAtMs,
  }
}

export const policyGiven = (body: Of<typeof policyBody>): PolicyRequest => ({
  name: body.Name,
  description: body.Description,
  rules: body.Rules,
  datacenters: body.Datacenters,
})

export const roleGiven = (body: Of<typeof roleBody>): RoleRequest => ({
  name: body.Name,
  description: body.Description,
  ...grantsGiven(body),
})

// --- what clients read

const indexes = { Hash: text, CreateIndex: int, ModifyIndex: int }
const shownLinks = optional(list(object({ ID: text, Name: text })))

const shownGrants = {
  Policies: shownLinks,
  ServiceIdentities: optional(
    list(object({ ServiceName: text, Datacenters: optional(list(text)) })),
  ),
  NodeIdentities: optional(list(object({ NodeName: text, Datacenter: text }))),
  TemplatedPolicies: optional(
    list(
      object({
        TemplateID: text,
        TemplateName: text,
        TemplateVariables: optional(object({ Name: text })),
        Datacenters: optional(list(text)),
      }),
    ),
  ),
}

const tokenFields = {
  AccessorID: text,
  SecretID: text,
  Description: text,
  ...shownGrants,
  Roles: shownLinks,
  Local: bool,
  AuthMethod: optional(text),
  ExpirationTime: optional(text),
  CreateTime: text,
  ...indexes,
}

export const tokenShape = object(tokenFields)
export const tokenStubShape = object({ ...tokenFields, Legacy: bool })
export const bootstrapShape = object({ ID: text, ...tokenFields })

const policyFields = {
  ID: text,
  Name: text,
  Description: text,
  Datacenters: optional(list(text)),
  ...indexes,
}
export const policyShape = object({ ...policyFields, Rules: text })
export const policyStubShape = object(policyFields)

export const roleShape = object({
  ID: text,
  Name: text,
  Description: text,
  ...shownGrants,
  ...indexes,
})

export const expandedShape = object({
  ...tokenFields,
  ExpandedPolicies: list(policyShape),
  ExpandedRoles: list(roleShape),
  NamespaceDefaultPolicyIDs: nullable(list(text)),
  NamespaceDefaultRoleIDs: nullable(list(text)),
  AgentACLDefaultPolicy: text,
  AgentACLDownPolicy: text,
  ResolvedByAgent: text,
})

/** A list, left out where it is empty. */
const some = <K extends string, T>(name: K, items: readonly T[]): { [key in K]?: readonly T[] } =>
  items.length === 0 ? {} : ({ [name]: items } as { [key in K]: readonly T[] })

/** What a client may compare to see whether an object changed: a digest of what it says. */
const hashOf = (content: unknown): string =>
  createHash('sha256').update(JSON.stringify(content)).digest('base64')

const indexesOf = ({ createIndex, modifyIndex }: Stored<unknown>, content: unknown) => ({
  Hash: hashOf(content),
  CreateIndex: createIndex,
  ModifyIndex: modifyIndex,
})

/** Links with the names of now; those whose end is gone are left out. */
function policyLinks(view: Reader, ids: readonly string[]) {
  return ids.flatMap(id => {
    const row = view.get(policies, id)?.row
    return row === undefined ? [] : [{ ID: row.id, Name: row.name }]
  })
}

function roleLinks(view: Reader, ids: readonly string[]) {
  return ids.flatMap(id => {
    const row = view.get(roles, id)?.row
    return row === undefined ? [] : [{ ID: row.id, Name: row.name }]
  })
}

function grantsJson(view: Reader, grants: Grants) {
  return {
    ...some('Policies', policyLinks(view, grants.policies)),
    ...some(
      'ServiceIdentities',
      grants.serviceIdentities.map(({ service, datacenters }) => ({
        ServiceName: service,
        ...some('Datacenters', datacenters),
      })),
    ),
    ...some(
      'NodeIdentities',
      grants.nodeIdentities.map(({ node, datacenter }) => ({
        NodeName: node,
        Datacenter: datacenter,
      })),
    ),
    ...some(
      'TemplatedPolicies',
      grants.templatedPolicies.map(({ template, name, datacenters }) => ({
        TemplateID: templates.get(template)?.id ?? '',
        TemplateName: template,
        ...(name === '' ? {} : { TemplateVariables: { Name: name } }),
        ...some('Datacenters', datacenters),
      })),
    ),
  }
}

/** What stands in place of a secret that is not to be seen. */
export const HIDDEN = '<hidden>'

/** A token; `secret` is HIDDEN where it is not to be seen. */
export function tokenJson(view: Reader, stored: Stored<TokenRow>, secret: string) {
  const { row } = stored
  const { sealedSecret: _sealed, ...content } = row
  return {
    AccessorID: row.accessor,
    SecretID: secret,
    Description: row.description,
    ...some('Roles', roleLinks(view, row.roles)),
    ...grantsJson(view, row),
    Local: row.local,
    ...(row.authMethod === '' ? {} : { AuthMethod: row.authMethod }),
    // Nothing of the TTL: clients take it for a number, and Consul tells only when it ends.
    ...(row.expiresAtMs === 0 ? {} : { ExpirationTime: new Date(row.expiresAtMs).toISOString() }),
    CreateTime: new Date(row.createdAtMs).toISOString(),
    ...indexesOf(stored, content),
  }
}

/** A policy with its rules. */
export function policyJson(stored: Stored<PolicyRow>) {
  const { row } = stored
  return {
    ID: row.id,
    Name: row.name,
    Description: row.description,
    Rules: row.rules,
    ...some('Datacenters', row.datacenters),
    ...indexesOf(stored, row),
  }
}

/** A policy without its rules, as lists tell it. */
export function policyStub(stored: Stored<PolicyRow>) {
  const { Rules: _rules, ...rest } = policyJson(stored)
  return rest
}

/** A role with the names of what it links to. */
export function roleJson(view: Reader, stored: Stored<RoleRow>) {
  const { row } = stored
  return {
    ID: row.id,
    Name: row.name,
    Description: row.description,
    ...grantsJson(view, row),
    ...indexesOf(stored, row),
  }
}

/** A policy that stands for an identity or a templated policy. */
export const syntheticJson = (made: {
  policyId: string
  policyName: string
  description: string
  text: string
}) => ({
  ID: made.policyId,
  Name: made.policyName,
  Description: made.description,
  Rules: made.text,
  Hash: hashOf(made.text),
  CreateIndex: 0,
  ModifyIndex: 0,
})

/** The policy that a template gives for these variables. */
export function previewJson(template: string, name: string | undefined) {
  const made = fillTemplate(template, name === undefined ? undefined : { name })
  return made instanceof RulesProblem ? new Refusal(400, made.text) : syntheticJson(made)
}
