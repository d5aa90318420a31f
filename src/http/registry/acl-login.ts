/**
 * Auth methods, binding rules and logins: `/v1/acl/auth-method/`, `/v1/acl/binding-rule/` and
 * `/v1/acl/login` (Consul's API).
 *
 * Owns their field names and shapes both ways, and which function of the identity room each path
 * calls. A bearer's proof goes into the room and nowhere else.
 */
import { formatDuration } from '../../base/duration.ts'
import { notServed, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import {
  type AuthMethodRequest,
  allAuthMethods,
  authMethodByName,
} from '../../identity/auth-method.ts'
import {
  allBindingRules,
  type BindingRuleRequest,
  bindingRuleById,
} from '../../identity/binding-rule.ts'
import type { Identity, Stored } from '../../identity/room.run.ts'
import type { View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { AuthMethodRow, BindingRuleRow } from '../../store/tables/acl.ts'
import { acting, anonymous, definePath, json, type PathDeclaration } from '../declare.ts'
import {
  anything,
  duration,
  int,
  isZero,
  map,
  nullable,
  type Of,
  object,
  optional,
  text,
} from '../shape.ts'
import { objectPaths } from './acl-object.ts'
import { echoed, namespaces, tokenJson, tokenShape } from './acl-wire.ts'

const methodBody = object(
  {
    Name: text,
    Type: text,
    DisplayName: text,
    Description: text,
    MaxTokenTTL: duration,
    TokenLocality: text,
    TokenNameFormat: text,
    Config: map(anything),
    NamespaceRules: anything,
    ...echoed,
    ...namespaces,
  },
  { goName: 'ACLAuthMethod' },
)

const stubFields = {
  Name: text,
  Type: text,
  DisplayName: optional(text),
  Description: text,
  MaxTokenTTL: optional(text),
  TokenLocality: optional(text),
  CreateIndex: int,
  ModifyIndex: int,
}

type MethodBody = Of<typeof methodBody>

function methodGiven(name: string, body: MethodBody): AuthMethodRequest | Refusal {
  if (!isZero(body.NamespaceRules)) {
    const why = 'Invalid ACLAuthMethod.NamespaceRules: Namespaces is a Consul Enterprise feature'
    return new Refusal(400, `AuthMethod decoding failed: ${why}`)
  }
  if (body.TokenNameFormat !== '') return notServed('TokenNameFormat of auth methods')
  return {
    name,
    type: body.Type,
    displayName: body.DisplayName,
    description: body.Description,
    maxTokenTtlMs: body.MaxTokenTTL,
    tokenLocality: body.TokenLocality,
    config: body.Config,
  }
}

const methodStub = ({ row, createIndex, modifyIndex }: Stored<AuthMethodRow>) => ({
  Name: row.name,
  Type: row.type,
  ...(row.displayName === '' ? {} : { DisplayName: row.displayName }),
  Description: row.description,
  ...(row.maxTokenTtlMs === 0 ? {} : { MaxTokenTTL: formatDuration(row.maxTokenTtlMs) }),
  ...(row.locality === '' ? {} : { TokenLocality: row.locality }),
  CreateIndex: createIndex,
  ModifyIndex: modifyIndex,
})

/** The paths of auth methods. */
export function authMethodPaths(room: Identity, view: () => View): PathDeclaration[] {
  const write = (
    ...[who, name, body]: [Parameters<Identity['putAuthMethod']>[0], string, MethodBody]
  ) => {
    const request = methodGiven(name, body)
    return isRefusal(request) ? Promise.resolve(request) : room.putAuthMethod(who, request)
  }
  return objectPaths<AuthMethodRow, MethodBody>(
    {
      what: 'auth method',
      idName: 'name',
      path: '/v1/acl/auth-method',
      listPath: '/v1/acl/auth-methods',
      body: methodBody,
      failure: 'AuthMethod decoding failed',
      shape: object({ ...stubFields, Config: map(anything) }),
      stub: { shape: object(stubFields), json: (_view, cell) => methodStub(cell) },
      json: (_view, stored) => ({ ...methodStub(stored), Config: stored.row.config }),
      idOf: ({ Name }) => Name,
      // As it is written: it is compared without case where it is looked up.
      fold: name => name,
      refuseNew: () => undefined,
      mismatch: 'AuthMethod Name in URL and payload do not match',
      all: allAuthMethods,
      byId: authMethodByName,
      create: (who, body) => write(who, body.Name, body),
      update: (who, name, body) => write(who, name, body),
      remove: (who, name) => room.deleteAuthMethod(who, name),
    },
    view,
  )
}

const ruleBody = object(
  {
    ID: text,
    Description: text,
    AuthMethod: text,
    Selector: text,
    BindType: text,
    BindName: text,
    BindVars: nullable(object({ Name: text })),
    ...echoed,
    ...namespaces,
  },
  { goName: 'ACLBindingRule' },
)

const ruleShape = object({
  ID: text,
  Description: text,
  AuthMethod: text,
  Selector: text,
  BindType: text,
  BindName: text,
  BindVars: optional(object({ Name: text })),
  CreateIndex: int,
  ModifyIndex: int,
})

const ruleGiven = (body: Of<typeof ruleBody>): BindingRuleRequest => ({
  description: body.Description,
  authMethod: body.AuthMethod,
  selector: body.Selector,
  bindType: body.BindType,
  bindName: body.BindName,
  bindVars: { name: body.BindVars?.Name ?? '' },
})

const ruleJson = ({ row, createIndex, modifyIndex }: Stored<BindingRuleRow>) => ({
  ID: row.id,
  Description: row.description,
  AuthMethod: row.authMethod,
  Selector: row.selector,
  BindType: row.bindType,
  BindName: row.bindName,
  ...(row.bindVars.name === '' ? {} : { BindVars: { Name: row.bindVars.name } }),
  CreateIndex: createIndex,
  ModifyIndex: modifyIndex,
})

const RULE_MISMATCH = 'BindingRule ID in URL and payload do not match'
const lower = (id: string): string => id.toLowerCase()

/** The paths of binding rules. */
export const bindingRulePaths = (room: Identity, view: () => View): PathDeclaration[] =>
  objectPaths<BindingRuleRow, Of<typeof ruleBody>>(
    {
      what: 'binding rule',
      path: '/v1/acl/binding-rule',
      listPath: '/v1/acl/binding-rules',
      narrowedBy: { parameter: 'authmethod', help: 'Only those of this auth method.' },
      body: ruleBody,
      failure: 'BindingRule decoding failed',
      shape: ruleShape,
      json: (_view, stored) => ruleJson(stored),
      idOf: ({ ID }) => lower(ID),
      fold: lower,
      refuseNew: ({ ID }) => (ID === '' ? undefined : new Refusal(400, RULE_MISMATCH)),
      mismatch: RULE_MISMATCH,
      all: allBindingRules,
      byId: bindingRuleById,
      create: (who, body) => room.createBindingRule(who, ruleGiven(body)),
      update: (who, id, body) => room.updateBindingRule(who, id, ruleGiven(body)),
      remove: (who, id) => room.deleteBindingRule(who, id),
    },
    view,
  )

const loginBody = object(
  {
    AuthMethod: text,
    BearerToken: text,
    Meta: map(text),
    ...namespaces,
  },
  { goName: 'ACLLoginParams' },
)

/** Whoever proves who he is gets a token: no other is needed, and none is looked at. */
export const loginPath = (room: Identity, view: () => View): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/login',
    operations: {
      POST: acting({
        summary: 'Makes a token for whoever proves by an auth method who he is.',
        query: {},
        body: { shape: loginBody, failure: 'Failed to decode request body' },
        bodySizeBytes: limits.loginBodySizeBytes,
        answers: {
          200: { json: tokenShape, help: 'the token with its secret' },
          503: { text: "This server's clock is wrong: ask another one." },
        },
        access: anonymous,
        async run({ body: { AuthMethod, BearerToken, Meta }, who }) {
          const made = await room.login(who, { authMethod: AuthMethod, meta: Meta }, BearerToken)
          return isRefusal(made) ? made : json(tokenJson(view(), made, room.secretOf(made.row)))
        },
      }),
    },
  })
