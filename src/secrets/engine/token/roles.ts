/**
 * Token roles: `auth/token/roles`.
 *
 * Owns their fields and how they are shown. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { bool, dur, int, list, str } from '../../field.ts'
import * as shape from '../../shape.ts'
import { NO_PARAMS, readTokenParams, showTokenParams, tokenFields } from '../../token/params.ts'
import { cleanPolicies } from '../../token/policies.ts'
import { type TokenRole, tokenRole, tokenRoleRows } from '../../token/role.ts'

const fields = {
  role_name: str('The name of the role.'),
  allowed_policies: list('Policies that its tokens may have.'),
  disallowed_policies: list('Policies that its tokens may not have.'),
  allowed_policies_glob: list('The same, with `*` for any letters.'),
  disallowed_policies_glob: list('The same, with `*` for any letters.'),
  orphan: bool('Whether its tokens are orphans.'),
  renewable: bool('Whether its tokens may be renewed.'),
  path_suffix: str('What stands behind the path that its tokens were made by.'),
  allowed_entity_aliases: list('Aliases that its tokens may name, with `*` for any letters.'),
  token_bound_cidrs: tokenFields.token_bound_cidrs,
  token_explicit_max_ttl: tokenFields.token_explicit_max_ttl,
  token_period: tokenFields.token_period,
  token_type: tokenFields.token_type,
  token_no_default_policy: tokenFields.token_no_default_policy,
  token_num_uses: tokenFields.token_num_uses,
  token_strictly_bind_ip: tokenFields.token_strictly_bind_ip,
  period: tokenFields.period,
  explicit_max_ttl: dur('Older name of `token_explicit_max_ttl`.', { isDeprecated: true }),
  bound_cidrs: tokenFields.bound_cidrs,
}

type RoleCall = Call<typeof fields>

const answer = shape.object({
  name: shape.text,
  allowed_policies: shape.texts,
  disallowed_policies: shape.texts,
  allowed_policies_glob: shape.texts,
  disallowed_policies_glob: shape.texts,
  allowed_entity_aliases: shape.texts,
  orphan: shape.bool,
  renewable: shape.bool,
  path_suffix: shape.text,
  token_bound_cidrs: shape.texts,
  token_explicit_max_ttl: shape.int,
  token_period: shape.int,
  token_type: shape.text,
  token_no_default_policy: shape.bool,
  token_num_uses: shape.int,
  token_strictly_bind_ip: shape.bool,
  explicit_max_ttl: shape.int,
  period: shape.int,
  bound_cidrs: shape.optional(shape.texts),
})

/** The paths of token roles. */
export const rolePaths = [
  path({
    pattern: 'roles',
    help: { synopsis: 'Lists token roles.', description: 'Their names, in order.' },
    fields: {
      after: str('List only what stands behind this name.'),
      limit: int('List at most so many; 0 for all.'),
    },
    access: 'authorized',
    operations: {
      list: {
        ...{ summary: 'Lists token roles.', answer: shape.keys },
        run: ({ draft, namespace, fields: { after = '', limit = 0 } }): Outcome => {
          const keys = tokenRoleRows(draft, namespace.id).list('', { after, limit })
          return keys.length === 0 ? NOTHING : { data: { keys } }
        },
      },
    },
  }),
  path({
    pattern: 'roles/{role_name}',
    help: {
      synopsis: 'Says what tokens may be made by a role.',
      description: 'Whoever may write `auth/token/create/<role>` may make tokens by it.',
    },
    fields,
    access: 'authorized',
    exists: call => tokenRole(call.draft, call.namespace.id, nameOf(call)) !== undefined,
    operations: {
      read: { summary: 'Shows a role.', answer, run: read },
      update: {
        ...{ summary: 'Writes a role.', run: write },
        examples: [{ allowed_policies: ['app'], orphan: true, token_period: '24h' }],
      },
      delete: {
        summary: 'Deletes a role; tokens made by it are not renewed any more.',
        run: call => {
          tokenRoleRows(call.draft, call.namespace.id).delete(nameOf(call))
          return NOTHING
        },
      },
    },
  }),
]

const nameOf = ({ fields: { role_name } }: RoleCall): string => (role_name ?? '').toLowerCase()

function read(call: RoleCall): Outcome {
  const name = nameOf(call)
  const role = tokenRole(call.draft, call.namespace.id, name)
  if (role === undefined) return NOTHING
  const params = showTokenParams(role.params)
  return {
    data: {
      name,
      allowed_policies: role.allowedPolicies,
      disallowed_policies: role.disallowedPolicies,
      allowed_policies_glob: role.allowedPoliciesGlob,
      disallowed_policies_glob: role.disallowedPoliciesGlob,
      allowed_entity_aliases: role.allowedEntityAliases,
      orphan: role.orphan,
      renewable: role.renewable,
      path_suffix: role.pathSuffix,
      token_bound_cidrs: params.token_bound_cidrs,
      token_explicit_max_ttl: params.token_explicit_max_ttl,
      token_period: params.token_period,
      token_type: role.params.type === 'default' ? 'default-service' : role.params.type,
      token_no_default_policy: params.token_no_default_policy,
      token_num_uses: params.token_num_uses,
      token_strictly_bind_ip: params.token_strictly_bind_ip,
      // The two older names that Vault shows always.
      explicit_max_ttl: params.token_explicit_max_ttl,
      period: params.token_period,
      ...(Object.hasOwn(params, 'bound_cidrs') ? { bound_cidrs: params.bound_cidrs } : {}),
    },
  }
}

const EMPTY: TokenRole = {
  allowedPolicies: [],
  disallowedPolicies: [],
  allowedPoliciesGlob: [],
  disallowedPoliciesGlob: [],
  orphan: false,
  renewable: true,
  pathSuffix: '',
  allowedEntityAliases: [],
  params: NO_PARAMS,
}

function write(call: RoleCall): Outcome {
  const { draft, namespace, fields: given } = call
  const name = nameOf(call)
  const before = tokenRole(draft, namespace.id, name) ?? EMPTY
  const suffix = given.path_suffix ?? before.pathSuffix
  if (suffix !== '' && !/^[\w-]+(\/[\w-]+)*$/.test(suffix)) {
    return new Refusal(400, 'given role path suffix contains invalid characters')
  }
  const params = paramsOf(call, before)
  if (params instanceof Refusal) return params
  const clean = (names: readonly string[] | undefined, known: readonly string[]) =>
    names === undefined ? known : cleanPolicies(names)
  const role: TokenRole = {
    allowedPolicies: clean(given.allowed_policies, before.allowedPolicies),
    disallowedPolicies: clean(given.disallowed_policies, before.disallowedPolicies),
    allowedPoliciesGlob: clean(given.allowed_policies_glob, before.allowedPoliciesGlob),
    disallowedPoliciesGlob: clean(given.disallowed_policies_glob, before.disallowedPoliciesGlob),
    allowedEntityAliases: clean(given.allowed_entity_aliases, before.allowedEntityAliases),
    orphan: given.orphan ?? before.orphan,
    renewable: given.renewable ?? before.renewable,
    pathSuffix: suffix,
    params,
  }
  const refused = refuseBatchRole(role)
  if (refused !== undefined) return refused
  tokenRoleRows(draft, namespace.id).put(name, role)
  return NOTHING
}

function paramsOf(call: RoleCall, before: TokenRole): TokenRole['params'] | Refusal {
  const params = readTokenParams(call as never, before.params)
  const older = call.fields.explicit_max_ttl
  if (params instanceof Refusal || older === undefined || call.given('token_explicit_max_ttl')) {
    return params
  }
  return { ...params, explicitMaxTtlMs: older }
}

/** What batch tokens cannot be, a role of them cannot ask for. */
function refuseBatchRole({ orphan, renewable, params }: TokenRole): Refusal | undefined {
  if (params.type !== 'batch') return undefined
  const wrong = [
    !orphan && "'token_type' cannot be 'batch' when role is not set to generate orphan tokens",
    renewable && "'token_type' cannot be 'batch' when role is set to generate renewable tokens",
    params.periodMs > 0 && "'token_type' cannot be 'batch' when role generates periodic tokens",
    params.explicitMaxTtlMs > 0 &&
      "'token_type' cannot be 'batch' when role has an explicit max TTL",
  ].find(text => text !== false)
  return wrong === undefined ? undefined : new Refusal(400, wrong)
}
