/**
 * All paths of the ACL system, and what they answer where ACLs are off.
 *
 * Owns the list, and the small ones of its own: replication, templated policies, what a token may
 * do, why a request was refused.
 */
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import {
  type Access,
  access,
  type Capability,
  capabilities,
  principalOf,
  type Resource,
  resources,
} from '../../base/who.ts'
import type { Conditions } from '../../identity/condition/room.run.ts'
import type { Explained } from '../../identity/explain.ts'
import type { Identity } from '../../identity/room.run.ts'
import { templates } from '../../identity/rules/mod.ts'
import type { View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import {
  acting,
  anonymous,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
  plain,
} from '../declare.ts'
import { bool, int, list, map, object, optional, text } from '../shape.ts'
import { authMethodPaths, bindingRulePaths, loginPath } from './acl-login.ts'
import { policyPaths, rolePaths } from './acl-policy.ts'
import { type AclFacts, tokenPaths } from './acl-token.ts'
import { policyShape, previewJson } from './acl-wire.ts'

/** What the paths of the ACL system stand on; undefined where ACLs are off. */
export interface AclRoom {
  readonly room: Identity
  readonly facts: AclFacts
  readonly view: () => View
  readonly conditions: Conditions
}

const DISABLED = new Refusal(401, 'ACL support disabled')

/** The paths; where ACLs are off each says so. */
export function aclPaths(acl: AclRoom | undefined): PathDeclaration[] {
  if (acl === undefined) return pathsOf(NO_ROOM).map(disabled)
  return pathsOf(acl)
}

function pathsOf({ room, facts, view }: AclRoom): PathDeclaration[] {
  return [
    ...tokenPaths(room, view, facts),
    ...policyPaths(room, view),
    ...rolePaths(room, view),
    ...authMethodPaths(room, view),
    ...bindingRulePaths(room, view),
    loginPath(room, view),
    replicationPath(facts),
    ...templatePaths(),
    authorizePath(),
    explainPath(room),
  ]
}

/** Declarations hold what they call, and are never run without it. */
const NO_ROOM = {} as AclRoom

/** The same paths where ACLs are off: each says so, and looks at nothing. */
export function disabled({ path, operations }: PathDeclaration): PathDeclaration {
  const refusing = (operation: Operation): Operation =>
    acting({
      summary: operation.summary,
      query: {},
      body: { raw: 'Not read.' },
      answers: { 401: { text: DISABLED.text } },
      access: anonymous,
      run: () => DISABLED,
    })
  const entries = Object.entries(operations).map(([method, each]) => [method, refusing(each)])
  return definePath({ where: 'servers', path, operations: Object.fromEntries(entries) })
}

const NEVER = '0001-01-01T00:00:00Z'

const replicationPath = (facts: AclFacts): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/replication',
    operations: {
      GET: acting({
        summary: 'How ACLs are copied from the primary datacenter: here they are not.',
        query: {},
        body: undefined,
        answers: {
          200: {
            json: object({
              Enabled: bool,
              Running: bool,
              SourceDatacenter: text,
              ReplicationType: text,
              ReplicatedIndex: int,
              ReplicatedRoleIndex: int,
              ReplicatedTokenIndex: int,
              LastSuccess: text,
              LastError: text,
              LastErrorMessage: text,
            }),
            help: 'there is one datacenter',
          },
        },
        access: anonymous,
        run: () =>
          json({
            Enabled: false,
            Running: false,
            SourceDatacenter: facts.datacenter,
            ReplicationType: '',
            ReplicatedIndex: 0,
            ReplicatedRoleIndex: 0,
            ReplicatedTokenIndex: 0,
            LastSuccess: NEVER,
            LastError: NEVER,
            LastErrorMessage: '',
          }),
      }),
    },
  })

const templateShape = object({
  TemplateName: text,
  Schema: text,
  Template: text,
  Description: text,
})

const templateJson = (name: string) => {
  const { schema, text: template, description } = templates.get(name)!
  return { TemplateName: name, Schema: schema, Template: template, Description: description }
}

function templatePaths(): PathDeclaration[] {
  const unknown = (name: string): Refusal =>
    new Refusal(400, `Invalid templated policy name: ${JSON.stringify(name.slice(0, SHOWN_CHARS))}`)
  const reads = () => [access('read', 'acl')]
  return [
    definePath({
      where: 'servers',
      path: '/v1/acl/templated-policies',
      operations: {
        GET: acting({
          summary: 'All templates that policies are made from, by name.',
          query: {},
          body: undefined,
          answers: { 200: { json: map(templateShape), help: 'templates' } },
          access: reads,
          run: ({ who }) => {
            const refusal = refuse(who, reads())
            const names = [...templates.keys()]
            return (
              refusal ?? json(Object.fromEntries(names.map(name => [name, templateJson(name)])))
            )
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/acl/templated-policy/name/{name}',
      operations: {
        GET: acting({
          summary: 'A template that policies are made from.',
          query: {},
          body: undefined,
          answers: { 200: { json: templateShape, help: 'the template' } },
          access: reads,
          run: ({ name, who }) =>
            refuse(who, reads()) ??
            (templates.has(name) ? json(templateJson(name)) : unknown(name)),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/acl/templated-policy/preview/{name}',
      operations: {
        POST: acting({
          summary: 'The policy that a template gives for these variables.',
          query: {},
          body: {
            shape: object({ Name: optional(text) }),
            failure: 'Failed to decode request body',
            optional: true,
          },
          answers: { 200: { json: policyShape, help: 'the policy' } },
          access: reads,
          run({ name, body, who }) {
            const refusal = refuse(who, reads())
            if (refusal !== undefined) return refusal
            if (!templates.has(name)) return unknown(name)
            const made = previewJson(name, body.Name)
            return isRefusal(made) ? made : json(made)
          },
        }),
      },
    }),
  ]
}

const SHOWN_CHARS = 128
const AUTHORIZED_MAX = 64

const authorizationShape = object({
  Resource: text,
  Access: text,
  Segment: optional(text),
  Allow: bool,
})

/** The words of the web interface for what it asks about. */
function wantedOf(resource: string, wanted: string, segment: string): Access | undefined {
  if (!capabilities.includes(wanted as Capability)) return undefined
  if (!RESOURCES.includes(resource as Resource)) return undefined
  return access(wanted as Capability, resource as Resource, segment)
}

/** Consul asks about keys alone, and has identities in its second version only. */
const RESOURCES: readonly Resource[] = resources.filter(
  resource => resource !== 'identity' && resource !== 'key_prefix',
)

const authorizePath = (): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/internal/acl/authorize',
    operations: {
      POST: acting({
        summary: 'Whether the token of the request may do each of these.',
        query: {},
        body: {
          shape: list(object({ Resource: text, Access: text, Segment: text })),
          failure: 'Failed to decode request body',
        },
        answers: { 200: { json: list(authorizationShape), help: 'the same, with Allow' } },
        access: () => [],
        run({ body, who }) {
          if (body.length > AUTHORIZED_MAX) {
            const text = `Refusing to process more than ${AUTHORIZED_MAX} authorizations at once`
            return new Refusal(400, text)
          }
          const answers = []
          for (const { Resource: resource, Access: wanted, Segment: segment } of body) {
            const asked = wantedOf(resource, wanted, segment)
            if (asked === undefined) return new Refusal(400, 'Invalid authorization request')
            const allow = principalOf(who).may(asked)
            const named = segment === '' ? {} : { Segment: segment }
            answers.push({ Resource: resource, Access: wanted, ...named, Allow: allow })
          }
          return json(answers)
        },
      }),
    },
  })

const explainedShape = object({
  RequestID: text,
  AccessorID: text,
  Description: text,
  AuthMethod: text,
  Policies: list(text),
  Roles: list(text),
  Operation: text,
  Name: text,
  Outcome: text,
  Count: int,
  Lacking: list(
    object({
      Resource: text,
      Access: text,
      Segment: text,
      Reason: text,
      Rule: optional(text),
      Policy: optional(text),
      PolicyID: optional(text),
      Line: optional(int),
      SmallestRule: optional(text),
    }),
  ),
  Conditions: list(object({ Name: text, Level: text, Outcome: text })),
  TurnedAway: optional(object({ Status: int, Reason: text, SourceIP: text })),
})

/** Ours: Consul has no such thing. */
const explainPath = (room: Identity): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/explain/{request}',
    operations: {
      GET: acting({
        summary:
          'Why a request was refused, or something left out of its answer, and which conditions ' +
          'did not hold.',
        query: {},
        body: undefined,
        answers: {
          200: { json: explainedShape, help: 'the rule that decided, and one that would allow it' },
          404: { text: 'The request lacked and failed nothing, or is no longer known.' },
        },
        access: () => [access('read', 'operator')],
        run({ name, who }) {
          const found = room.explain(who, name)
          if (isRefusal(found)) return found
          return found === undefined ? UNKNOWN_REQUEST : json(explainedJson(name, found))
        },
      }),
    },
  })

const UNKNOWN_REQUEST = plain('This server knows of nothing that the request lacked', 404)

const turnedAwayJson = ({ status, reason, remote }: NonNullable<Explained['turnedAway']>) => ({
  ...{ Status: status, Reason: reason, SourceIP: remote },
})

function explainedJson(id: string, found: Explained) {
  return {
    RequestID: id,
    AccessorID: found.accessor,
    Description: found.description,
    AuthMethod: found.authMethod,
    Policies: found.policies,
    Roles: found.roles,
    Operation: found.operation,
    Name: found.name,
    Outcome: found.outcome,
    Count: found.count,
    ...(found.turnedAway === undefined ? {} : { TurnedAway: turnedAwayJson(found.turnedAway) }),
    Lacking: found.lacking.map(({ wanted, verdict: { reason, rule, smallest } }) => ({
      Resource: wanted.resource,
      Access: wanted.capability,
      Segment: wanted.name,
      Reason: reason,
      ...(rule === undefined
        ? {}
        : {
            Rule: rule.text,
            Policy: rule.policyName,
            PolicyID: rule.policyId,
            Line: rule.line,
          }),
      ...(smallest === undefined ? {} : { SmallestRule: smallest }),
    })),
    Conditions: found.conditions.map(({ name, level, outcome }) => ({
      Name: name,
      Level: level,
      Outcome: outcome,
    })),
  }
}
