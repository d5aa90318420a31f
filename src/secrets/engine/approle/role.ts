/**
 * The paths of roles: `role/<name>`, and one below it for each field.
 *
 * Owns their declarations and what is wrong about a role. Pure. Follows api-docs/auth/approle of
 * Vault's docs.
 */

import { formatDuration } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { bool, dur, type Fields, int, list, str, toSeconds } from '../../field.ts'
import { ttlsOf } from '../../mount/ttl.ts'
import { UNSUPPORTED_PATH } from '../../refusals.ts'
import * as shape from '../../shape.ts'
import {
  NO_PARAMS,
  readTokenParams,
  refuseCidrs,
  showTokenParams,
  tokenFields,
  tokenParamShapes,
} from '../../token/params.ts'
import { endSomeSecretIds } from './cleanup.ts'
import { deleteRole, holderOf, putRole, ROLES, type RoleRow, roleAt, roleNameOf } from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const NAME = { role_name: str('The name of the role; one in any spelling is the same.') }
const OLD = { isDeprecated: true }

const fields = {
  ...tokenFields,
  ...NAME,
  bind_secret_id: bool('Whether a login needs a secret id.'),
  secret_id_bound_cidrs: list('Addresses that logins may come from.'),
  bound_cidr_list: list('Older name of `secret_id_bound_cidrs`.', OLD),
  secret_id_num_uses: int('How often a secret id may be used; 0 for no bound.'),
  secret_id_ttl: dur('How long a secret id lives; 0 for ever.'),
  local_secret_ids: bool('Taken and shown; only said as the role is made.'),
  role_id: str('What logins name the role by; drawn where it is not said.'),
}
type RoleCall = Call<typeof fields>

const roleShape = shape.object({
  ...tokenParamShapes,
  bind_secret_id: shape.bool,
  secret_id_bound_cidrs: shape.texts,
  secret_id_num_uses: shape.int,
  secret_id_ttl: shape.int,
  local_secret_ids: shape.bool,
})

const UNBOUND = bad('at least one constraint should be enabled on the role')

type AnyCall = Pick<Call, 'draft' | 'storage' | 'mount' | 'fields'>
const nameIn = (call: AnyCall): string => (call.fields as { role_name?: string }).role_name ?? ''

/** The role that a path names. */
export const roleOf = (call: AnyCall): RoleRow | undefined => roleAt(call.storage, nameIn(call))

/** The refusal of a role as it would be; undefined where it is fit. */
function refuseRole({ draft, storage, mount }: AnyCall, role: RoleRow): Refusal | undefined {
  const { bindSecretId, secretIdCidrs, secretIdNumUses, token, roleId } = role
  const isBound = bindSecretId || secretIdCidrs.length > 0 || token.boundCidrs.length > 0
  if (!isBound) return UNBOUND
  if (secretIdNumUses < 0) return bad('secret_id_num_uses cannot be negative')
  if (roleId === '') return bad('invalid role_id supplied, or failed to generate a role_id')
  const holder = holderOf(draft, storage, roleId)
  if (holder !== undefined && holder !== role.name) return bad('role_id already in use')
  const { maxMs } = ttlsOf(draft, mount)
  if (token.periodMs > maxMs) {
    const [period, max] = [token.periodMs, maxMs].map(formatDuration)
    return bad(`period of "${period}" is greater than the backend's maximum lease TTL of "${max}"`)
  }
  return refuseCidrs('secret_id_bound_cidrs', secretIdCidrs)
}

/** Puts a role, unless it would be unfit. */
function save(call: AnyCall, role: RoleRow, before: RoleRow | undefined): Refusal | undefined {
  const refused = refuseRole(call, role)
  if (refused === undefined) putRole(call.draft, call.storage, role, before)
  return refused
}

/** Types that say what is usual mean nothing here: they stand for the type itself. */
const USELESS: Readonly<Record<string, string>> = {
  'default-service': 'service',
  'default-batch': 'batch',
}

function write(call: RoleCall): Outcome {
  const { fields: said, given, mount } = call
  const name = roleNameOf(nameIn(call))
  if (name === undefined) return UNSUPPORTED_PATH
  const before = roleOf(call)
  if (before !== undefined && given('local_secret_ids')) {
    return bad('local_secret_ids can only be modified during role creation')
  }
  const useful = Object.hasOwn(USELESS, said.token_type ?? '') ? USELESS[said.token_type!]! : ''
  const usual = useful === '' ? said : { ...said, token_type: useful }
  const token = readTokenParams({ ...call, fields: usual }, before?.token ?? NO_PARAMS)
  if (token instanceof Refusal) return token
  const role: RoleRow = {
    ...{ name, uuid: before?.uuid ?? call.random.uuid(), token },
    roleId: said.role_id ?? before?.roleId ?? call.random.uuid(),
    bindSecretId: said.bind_secret_id ?? before?.bindSecretId ?? true,
    secretIdCidrs:
      said.secret_id_bound_cidrs ?? said.bound_cidr_list ?? before?.secretIdCidrs ?? [],
    secretIdNumUses: said.secret_id_num_uses ?? before?.secretIdNumUses ?? 0,
    secretIdTtlMs: said.secret_id_ttl ?? before?.secretIdTtlMs ?? 0,
    localSecretIds: said.local_secret_ids ?? before?.localSecretIds ?? false,
  }
  const refused = save(call, role, before)
  if (refused !== undefined) return refused
  const warnings: string[] = []
  if (useful !== '') {
    warnings.push(`${said.token_type} has no useful meaning; adjusting to ${useful}`)
  }
  if (token.maxTtlMs > ttlsOf(call.draft, mount).maxMs) warnings.push(TRUNCATED)
  return { warnings }
}

const TRUNCATED =
  "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated"

function read(call: RoleCall): Outcome {
  const role = roleOf(call)
  if (role === undefined) return NOTHING
  const data = {
    ...showTokenParams(role.token),
    bind_secret_id: role.bindSecretId,
    secret_id_bound_cidrs: role.secretIdCidrs,
    secret_id_num_uses: role.secretIdNumUses,
    secret_id_ttl: toSeconds(role.secretIdTtlMs),
    local_secret_ids: role.localSecretIds,
  }
  return { data }
}

function remove(call: RoleCall): Answer {
  const role = roleOf(call)
  if (role === undefined) return NOTHING
  const { namespaceId, uuid } = call.mount
  deleteRole(call.draft, call.storage, role)
  return { rest: draft => endSomeSecretIds(draft.area(namespaceId, `mount.${uuid}`), role) }
}

const pageFields = {
  after: str('List only what stands behind this name.'),
  limit: int('List at most so many; 0 for all.'),
}

function listRoles({
  storage,
  fields: { after = '', limit = 0 },
}: Call<typeof pageFields>): Answer {
  const keys = storage.list(ROLES, { after, limit })
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

/** One field of a role, with a path of its own. */
interface Single<F extends Fields> {
  readonly name: string
  readonly what: string
  readonly fields: F
  readonly answer: Readonly<Record<string, shape.Shape>>
  show(role: RoleRow): Answer
  /** The role with what was said; undefined where nothing was. */
  set?(role: RoleRow, call: Call<F>): RoleRow | Refusal | undefined
  reset?(role: RoleRow): RoleRow
}

function single<F extends Fields>({ name, what, fields: own, answer, ...does }: Single<F>) {
  const { show, set, reset } = does
  const first = Object.keys(own)[0] ?? ''
  const singleFields = { ...own, ...NAME } as F & typeof NAME
  const change = (
    call: Call<F>,
    next: (role: RoleRow) => RoleRow | Refusal | undefined,
  ): Outcome => {
    const role = roleOf(call)
    if (role === undefined) return UNSUPPORTED_PATH
    const changed = next(role)
    if (changed === undefined) return bad(`missing ${first}`)
    if (changed instanceof Refusal) return changed
    return save(call, changed, role) ?? NOTHING
  }
  return path({
    pattern: `role/{role_name}/${name}`,
    help: { synopsis: `${what} of a role.`, description: 'One field, without the others.' },
    fields: singleFields,
    access: 'authorized',
    operations: {
      read: {
        summary: `Reads: ${what}.`,
        answer: shape.object(answer),
        run(call) {
          const role = roleOf(call)
          return role === undefined ? NOTHING : show(role)
        },
      },
      ...(set === undefined
        ? {}
        : {
            update: {
              summary: `Sets: ${what}.`,
              run: (call: Call<F>) => change(call, role => set(role, call)),
            },
          }),
      ...(reset === undefined
        ? {}
        : {
            delete: {
              summary: `Sets back to its default: ${what}.`,
              run: (call: Call<F>) => change(call, reset),
            },
          }),
    },
  })
}

/** A field of the role's tokens, with a path of its own. */
function ofTokens(
  name: string,
  what: string,
  newer:
    | 'token_policies'
    | 'token_bound_cidrs'
    | 'token_num_uses'
    | 'token_ttl'
    | 'token_max_ttl'
    | 'token_period',
  key: 'policies' | 'boundCidrs' | 'numUses' | 'ttlMs' | 'maxTtlMs' | 'periodMs',
  older?: 'policies' | 'period',
) {
  const own = {
    [newer]: tokenFields[newer],
    ...(older === undefined ? {} : { [older]: tokenFields[older] }),
  } as Fields
  return single({
    ...{ name, what, fields: own },
    answer: {
      [newer]: tokenParamShapes[newer],
      ...(older === undefined ? {} : { [older]: tokenParamShapes[older] }),
    },
    show(role) {
      const shown = showTokenParams(role.token)
      const data: Record<string, unknown> = { [newer]: shown[newer] }
      if (older !== undefined && Object.hasOwn(shown, older)) data[older] = shown[older]
      return { data }
    },
    set(role, call) {
      if (!call.given(newer) && (older === undefined || !call.given(older))) return undefined
      const token = readTokenParams(call as never, role.token)
      return token instanceof Refusal ? token : { ...role, token }
    },
    reset: role => ({ ...role, token: { ...role.token, [key]: NO_PARAMS[key] } }),
  })
}

const CIDRS = 'addresses that logins may come from'

const singles = [
  ofTokens('policies', 'policies of tokens', 'token_policies', 'policies', 'policies'),
  ofTokens('token-bound-cidrs', 'addresses of tokens', 'token_bound_cidrs', 'boundCidrs'),
  ofTokens('token-num-uses', 'uses of tokens', 'token_num_uses', 'numUses'),
  ofTokens('token-ttl', 'the life of tokens', 'token_ttl', 'ttlMs'),
  ofTokens('token-max-ttl', 'the longest life of tokens', 'token_max_ttl', 'maxTtlMs'),
  ofTokens('period', 'the period of tokens', 'token_period', 'periodMs', 'period'),
  single({
    ...{ name: 'bind-secret-id', what: 'whether logins need a secret id' },
    fields: { bind_secret_id: fields.bind_secret_id },
    answer: { bind_secret_id: shape.bool },
    show: ({ bindSecretId }) => ({ data: { bind_secret_id: bindSecretId } }),
    set: (role, { fields: { bind_secret_id: bindSecretId } }) =>
      bindSecretId === undefined ? undefined : { ...role, bindSecretId },
    reset: role => ({ ...role, bindSecretId: true }),
  }),
  single({
    ...{ name: 'secret-id-num-uses', what: 'uses of secret ids' },
    fields: { secret_id_num_uses: fields.secret_id_num_uses },
    answer: { secret_id_num_uses: shape.int },
    show: ({ secretIdNumUses }) => ({ data: { secret_id_num_uses: secretIdNumUses } }),
    set: (role, { fields: { secret_id_num_uses: secretIdNumUses } }) =>
      secretIdNumUses === undefined ? undefined : { ...role, secretIdNumUses },
    reset: role => ({ ...role, secretIdNumUses: 0 }),
  }),
  single({
    ...{ name: 'secret-id-ttl', what: 'the life of secret ids' },
    fields: { secret_id_ttl: fields.secret_id_ttl },
    answer: { secret_id_ttl: shape.int },
    show: ({ secretIdTtlMs }) => ({ data: { secret_id_ttl: toSeconds(secretIdTtlMs) } }),
    set: (role, { fields: { secret_id_ttl: secretIdTtlMs } }) =>
      secretIdTtlMs === undefined ? undefined : { ...role, secretIdTtlMs },
    reset: role => ({ ...role, secretIdTtlMs: 0 }),
  }),
  single({
    ...{ name: 'secret-id-bound-cidrs', what: CIDRS },
    fields: { secret_id_bound_cidrs: fields.secret_id_bound_cidrs },
    answer: { secret_id_bound_cidrs: shape.texts },
    show: ({ secretIdCidrs }) => ({ data: { secret_id_bound_cidrs: secretIdCidrs } }),
    set: (role, { fields: { secret_id_bound_cidrs: secretIdCidrs } }) =>
      secretIdCidrs === undefined ? undefined : { ...role, secretIdCidrs },
    reset: role => ({ ...role, secretIdCidrs: [] }),
  }),
  single({
    ...{ name: 'bound-cidr-list', what: CIDRS },
    fields: { bound_cidr_list: fields.bound_cidr_list },
    answer: { bound_cidr_list: shape.texts },
    show: ({ secretIdCidrs }) => ({
      data: { bound_cidr_list: secretIdCidrs },
      warnings: [
        'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.',
      ],
    }),
    set: (role, { fields: { bound_cidr_list: secretIdCidrs } }) =>
      secretIdCidrs === undefined ? undefined : { ...role, secretIdCidrs },
    reset: role => ({ ...role, secretIdCidrs: [] }),
  }),
  single({
    ...{ name: 'role-id', what: 'what logins name the role by' },
    fields: { role_id: fields.role_id },
    answer: { role_id: shape.text },
    show: ({ roleId }) => ({ data: { role_id: roleId } }),
    set: (role, { fields: { role_id: roleId = '' } }) =>
      roleId === '' ? undefined : { ...role, roleId },
  }),
  single({
    ...{
      name: 'local-secret-ids',
      what: 'whether secret ids are of one cluster alone',
      fields: {},
    },
    answer: { local_secret_ids: shape.bool },
    show: ({ localSecretIds }) => ({ data: { local_secret_ids: localSecretIds } }),
  }),
]

export const rolePaths = [
  path({
    pattern: 'role',
    help: { synopsis: 'The names of all roles.', description: 'Lists them.' },
    fields: pageFields,
    access: 'authorized',
    operations: { list: { summary: 'Lists all roles.', answer: shape.keys, run: listRoles } },
  }),
  path({
    pattern: 'role/{role_name}',
    help: {
      synopsis: 'A role: what an application logs in as.',
      description: 'Needs a secret id, or ranges of addresses, or both.',
    },
    fields,
    access: 'authorized',
    exists: call => roleOf(call) !== undefined,
    operations: {
      read: { summary: 'Reads a role.', answer: roleShape, run: read },
      update: {
        summary: 'Makes or changes a role.',
        run: write,
        examples: [{ token_policies: ['web'], token_ttl: '20m', secret_id_num_uses: 1 }],
      },
      delete: { summary: 'Deletes a role; its secret ids open nothing any more.', run: remove },
    },
  }),
  ...singles,
]
