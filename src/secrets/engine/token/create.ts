/**
 * Making tokens by a token: `auth/token/create`, with or without a role, as a child or an orphan.
 *
 * Owns who may make what. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type Answer, type Call, type Outcome, path } from '../../declare.ts'
import { bool, int, kv, list, str, toDurationMs } from '../../field.ts'
import { identityPolicies } from '../../identity/context.ts'
import { entityFor } from '../../identity/entity.ts'
import { ttlsOf } from '../../mount/ttl.ts'
import { policyAt } from '../../policy-rows.ts'
import { authOf, issueToken } from '../../token/issue.ts'
import { cleanPolicies, ROOT_POLICY, refuseUnassignable } from '../../token/policies.ts'
import type { VaultPrincipal } from '../../token/principal.ts'
import { fitsGlob, type TokenRole, tokenRole } from '../../token/role.ts'
import {
  BATCH_PREFIX,
  hashIn,
  SERVICE_PREFIX,
  type TokenPlace,
  type TokenRow,
  tokenRows,
} from '../../token/token.ts'
import { type Ttl, ttlOf } from '../../token/ttl.ts'
import { isPrivileged } from './privileged.ts'

const fields = {
  id: str('The secret of the token, where it is not to be drawn. Asks for `sudo`.'),
  role_name: str('The role by which the token is made.'),
  policies: list('Policies of the token; those of who makes it where none are named.'),
  meta: kv('What is to be remembered of the token.'),
  no_parent: bool('Makes an orphan: it does not end with who made it. Asks for `sudo`.'),
  no_default_policy: bool('Leaves the policy `default` out.'),
  renewable: bool('Whether the token may be renewed.', { initial: true }),
  ttl: str('How long it lives, for instance `1h`.'),
  lease: str('Older name of `ttl`.', { isDeprecated: true }),
  type: str('`service` or `batch`.'),
  explicit_max_ttl: str('When it ends for good, whatever is renewed.'),
  display_name: str('A name for logs.'),
  num_uses: int('How often it may be used; 0 for no bound.'),
  period: str('Makes a periodic token: each renewal gives so long. Asks for `sudo`.'),
  entity_alias: str('The name of an alias that the token is to have the entity of, by a role.'),
}

type CreateCall = Call<typeof fields>

const help = {
  synopsis: 'Makes a token.',
  description:
    'The new token is a child of the one that asks, and ends with it, unless it is an orphan.',
}

const examples = [{ policies: ['app'], ttl: '1h', display_name: 'example' }]

/** The paths that make tokens. */
export const createPaths = [
  path({
    pattern: 'create',
    help,
    fields,
    access: 'authorized',
    operations: { update: { summary: 'Makes a token.', givesAuth: true, run: create, examples } },
  }),
  path({
    pattern: 'create-orphan',
    help,
    fields,
    access: 'authorized',
    operations: { update: { summary: 'Makes an orphan.', givesAuth: true, run: create } },
  }),
  path({
    pattern: 'create/{role_name}',
    help,
    fields,
    access: 'authorized',
    operations: {
      update: { summary: 'Makes a token by a role.', givesAuth: true, run: create },
    },
  }),
]

const bad = (text: string): Refusal => new Refusal(400, text)

/** Who makes the token, by what, and what that allows. */
interface Maker {
  readonly who: VaultPrincipal
  readonly role: TokenRole | undefined
  readonly isSudo: boolean
}

function create(call: CreateCall): Outcome {
  const maker = makerOf(call)
  if (maker instanceof Refusal) return maker
  const { who, role } = maker
  const type = typeOf(call, maker)
  if (type instanceof Refusal) return type
  const policies = policiesOf(call, maker, type)
  if (policies instanceof Refusal) return policies
  const life = lifeOf(call, maker, { type, policies })
  if (life instanceof Refusal) return life
  const bonds = bondsOf(call, maker)
  if (bonds instanceof Refusal) return bonds
  const refused = refuseId(call, maker, type) ?? refuseSize(call, policies, type)
  if (refused !== undefined) return refused
  const issued = issueToken(
    call.draft,
    {
      ...{ type, policies, ...bonds },
      path: pathOf(call, role),
      meta: metaOf(call),
      displayName: displayNameOf(call.fields.display_name ?? ''),
      numUses: role?.params.numUses || (call.fields.num_uses ?? 0),
      ttlMs: life.ttlMs,
      explicitMaxTtlMs: life.explicitMaxTtlMs,
      periodMs: life.periodMs,
      renewable: type === 'service' && life.ttlMs > 0 && isRenewable(call, role),
      role: roleName(call),
      boundCidrs: life.ttlMs === 0 ? [] : boundTo(call, maker, bonds.parent),
      namespaceId: call.namespace.id,
      mountAccessor: call.mount.accessor,
      internal: {},
    },
    call.fields.id,
  )
  const ofIdentity = identityPolicies(call.draft, call.namespace.id, bonds.entityId)
  return {
    auth: authOf(issued, ofIdentity),
    warnings: [...life.warnings, ...warningsOf(call, policies)],
    ...(who.token.type === 'batch' || type === 'batch' ? {} : named(issued.row)),
  }
}

const named = ({ accessor }: TokenRow): Pick<Answer, 'wrappedAccessor'> => ({
  wrappedAccessor: accessor,
})

const roleName = ({ fields: { role_name } }: CreateCall): string => (role_name ?? '').toLowerCase()

function makerOf(call: CreateCall): Maker | Refusal {
  const { draft, namespace, fields: given } = call
  const who = call.who!
  const { token } = who
  if (token.type === 'batch') return bad('batch tokens cannot create more tokens')
  if (token.numUses > 0) return bad('restricted use token cannot generate child tokens')
  if (token.depth >= limits.tokenTreeDepth) return bad('the tree of this token is too deep')
  if ((given.num_uses ?? 0) < 0) return bad('number of uses cannot be negative')
  const name = roleName(call)
  const role = name === '' ? undefined : tokenRole(draft, namespace.id, name)
  if (name !== '' && role === undefined) return bad(`unknown role ${name}`)
  return { who, role, isSudo: isPrivileged(call) }
}

function typeOf({ fields: given }: CreateCall, { role }: Maker): 'service' | 'batch' | Refusal {
  const { type = '' } = given
  if (type !== '' && type !== 'service' && type !== 'batch') {
    return bad(`invalid 'token_type' value ${JSON.stringify(type)}`)
  }
  const ofRole = role?.params.type ?? 'default'
  const chosen =
    ofRole === 'service' || ofRole === 'batch'
      ? ofRole
      : type || (ofRole === 'default-batch' ? 'batch' : 'service')
  return chosen === 'batch' ? (refuseBatch(given, role) ?? 'batch') : 'service'
}

function refuseBatch(
  given: CreateCall['fields'],
  role: TokenRole | undefined,
): Refusal | undefined {
  const wrong =
    (given.explicit_max_ttl && 'explicit_max_ttl') ||
    (given.period && 'period') ||
    (given.num_uses && 'num_uses') ||
    (given.id && 'id') ||
    (role !== undefined && role.params.periodMs > 0 && 'period') ||
    (role !== undefined && role.params.explicitMaxTtlMs > 0 && 'explicit_max_ttl')
  return wrong ? bad(`batch tokens cannot have ${JSON.stringify(wrong)} set`) : undefined
}

// --- policies

function policiesOf(
  call: CreateCall,
  maker: Maker,
  type: 'service' | 'batch',
): readonly string[] | Refusal {
  const policies = wantedPolicies(call, maker)
  if (policies instanceof Refusal) return policies
  const refused = refuseUnassignable(policies)
  if (refused !== undefined) return refused
  if (!policies.includes(ROOT_POLICY)) return policies
  if (!maker.who.isRoot)
    return bad('root tokens may not be created without parent token being root')
  if (call.namespace.id !== 'root')
    return bad('root tokens may only be created in the root namespace')
  if (type === 'batch') return bad('batch tokens cannot be root tokens')
  return policies
}

function wantedPolicies(call: CreateCall, maker: Maker): readonly string[] | Refusal {
  const { namespace, fields: given } = call
  const { who, role, isSudo } = maker
  const named = given.policies ?? []
  const isDefaultWanted = given.no_default_policy !== true
  if (role !== undefined && saysPolicies(role)) return policiesByRole(role, call, who)
  // What a policy's name means in another namespace is another policy.
  const ofParent = who.token.namespaceId === namespace.id ? who.token.policies : []
  if (named.length === 0) {
    if (ofParent.length > 0) return cleanPolicies(ofParent)
    return isDefaultWanted ? ['default'] : []
  }
  const wanted = cleanPolicies(named)
  if (isSudo) return isDefaultWanted ? cleanPolicies([...wanted, 'default']) : wanted
  if (!wanted.every(name => ofParent.includes(name))) {
    return bad('child policies must be subset of parent')
  }
  const hasDefault = isDefaultWanted && ofParent.includes('default')
  return hasDefault ? cleanPolicies([...wanted, 'default']) : wanted
}

const saysPolicies = (role: TokenRole): boolean =>
  [
    role.allowedPolicies,
    role.disallowedPolicies,
    role.allowedPoliciesGlob,
    role.disallowedPoliciesGlob,
  ].some(names => names.length > 0)

function policiesByRole(
  role: TokenRole,
  { fields: given, namespace }: CreateCall,
  { token }: VaultPrincipal,
): readonly string[] | Refusal {
  const isRefused = (name: string): boolean =>
    role.disallowedPolicies.includes(name) || fitsGlob(role.disallowedPoliciesGlob, name)
  const isDefaultAdded =
    given.no_default_policy !== true && !role.params.noDefaultPolicy && !isRefused('default')
  const clean = (names: readonly string[]): string[] =>
    cleanPolicies(isDefaultAdded ? [...names, 'default'] : names)
  const allowed = clean(role.allowedPolicies)
  const bounds = role.allowedPolicies.length > 0 || role.allowedPoliciesGlob.length > 0
  const ofParent = token.namespaceId === namespace.id ? token.policies : []
  const named = given.policies ?? []
  const wanted = named.length > 0 ? clean(named) : bounds ? allowed : clean(ofParent)
  const beyond = wanted.find(
    name => bounds && !allowed.includes(name) && !fitsGlob(role.allowedPoliciesGlob, name),
  )
  if (beyond !== undefined) {
    return bad(
      `token policies (${quoted(wanted)}) must be subset of the role's allowed policies ` +
        `(${quoted(allowed)}) or glob policies (${quoted(role.allowedPoliciesGlob)})`,
    )
  }
  const refused = wanted.find(isRefused)
  return refused === undefined
    ? wanted
    : bad(`token policy ${JSON.stringify(refused)} is disallowed by this role`)
}

/** A list as Go prints it. */
const quoted = (names: readonly string[]): string =>
  `[${names.map(name => JSON.stringify(name)).join(' ')}]`

// --- lifetime

interface Life extends Ttl {
  readonly explicitMaxTtlMs: number
  readonly periodMs: number
}

function lifeOf(
  call: CreateCall,
  maker: Maker,
  { type, policies }: Pick<TokenRow, 'type' | 'policies'>,
): Life | Refusal {
  const { fields: given, draft, mount, now } = call
  const asked = times(given)
  if (asked instanceof Refusal) return asked
  if (asked.periodMs > 0 && !maker.isSudo) {
    return bad('root or sudo privileges required to create periodic token')
  }
  const { maxMs } = ttlsOf(draft, mount)
  const params = type === 'batch' ? undefined : maker.role?.params
  const period = lesser(asked.periodMs, params?.periodMs ?? 0, 'Period')
  const max = lesser(asked.explicitMaxTtlMs, params?.explicitMaxTtlMs ?? 0, 'Explicit max TTL')
  const warnings = [...max.warnings, ...period.warnings]
  let explicitMaxTtlMs = max.timeMs
  if (explicitMaxTtlMs > maxMs && period.timeMs === 0) {
    warnings.push(
      `Explicit max TTL of ${explicitMaxTtlMs / 1_000} seconds is greater than system/mount ` +
        `allowed value; value is being capped to ${maxMs / 1_000} seconds`,
    )
    explicitMaxTtlMs = maxMs
  }
  const rest = { explicitMaxTtlMs, periodMs: period.timeMs }
  const isRoot = policies.includes(ROOT_POLICY)
  if (isRoot && asked.ttlMs === 0 && period.timeMs === 0) {
    return endlessLife(maker, rest, warnings)
  }
  const wish = { ...rest, ttlMs: asked.ttlMs, issuedAtMs: now }
  const ttl = ttlOf(wish, ttlsOf(draft, mount), now)
  if (ttl instanceof Refusal) return ttl
  return { ...rest, ttlMs: ttl.ttlMs, warnings: [...warnings, ...ttl.warnings] }
}

/** Root tokens have no end, unless their maker has one, or one is asked for. */
function endlessLife(
  { who }: Maker,
  rest: Pick<Life, 'explicitMaxTtlMs' | 'periodMs'>,
  warnings: readonly string[],
): Life | Refusal {
  if (rest.explicitMaxTtlMs === 0 && who.token.ttlMs !== 0) {
    return bad('expiring root tokens cannot create non-expiring root tokens')
  }
  return { ...rest, ttlMs: rest.explicitMaxTtlMs, warnings }
}

function times(
  given: CreateCall['fields'],
): Pick<Life, 'ttlMs' | 'explicitMaxTtlMs' | 'periodMs'> | Refusal {
  const said = {
    ttl: given.ttl || given.lease || '',
    explicit_max_ttl: given.explicit_max_ttl ?? '',
    period: given.period ?? '',
  }
  const read: Record<string, number> = {}
  for (const [name, text] of Object.entries(said)) {
    const timeMs = toDurationMs(text)
    if (timeMs === undefined) return bad(`error parsing ${name}: not a duration`)
    if (timeMs < 0) return bad(`${name} must be positive`)
    read[name] = Math.ceil(timeMs / 1_000) * 1_000
  }
  return { ttlMs: read.ttl!, explicitMaxTtlMs: read.explicit_max_ttl!, periodMs: read.period! }
}

function lesser(
  askedMs: number,
  ofRoleMs: number,
  name: string,
): { readonly timeMs: number; readonly warnings: readonly string[] } {
  if (askedMs === 0 || ofRoleMs === 0) return { timeMs: askedMs || ofRoleMs, warnings: [] }
  const timeMs = Math.min(askedMs, ofRoleMs)
  const warning =
    `${name} specified both during creation call and in role; ` +
    `using the lesser value of ${timeMs / 1_000} seconds`
  return { timeMs, warnings: [warning] }
}

// --- what it hangs on

type Bonds = Pick<TokenRow, 'parent' | 'depth' | 'entityId'>

function bondsOf(call: CreateCall, maker: Maker): Bonds | Refusal {
  const { fields: given, namespace } = call
  const { who, role, isSudo } = maker
  const orphan = { parent: undefined, depth: 0 }
  const place: TokenPlace = { namespaceId: who.token.namespaceId, hash: who.hash }
  const child = { parent: place, depth: who.token.depth + 1 }
  const alias = given.entity_alias ?? ''
  if (alias !== '') {
    const entityId = entityByAlias(call, role, alias)
    if (entityId instanceof Refusal) return entityId
    return { ...(role!.orphan ? orphan : child), entityId }
  }
  const entityId = who.token.namespaceId === namespace.id ? who.token.entityId : ''
  if (role !== undefined) {
    return role.orphan ? { ...orphan, entityId: '' } : { ...child, entityId }
  }
  if (given.no_parent === true && !isSudo) {
    return bad('root or sudo privileges required to create orphan token')
  }
  const isOrphan = given.no_parent === true || call.path === 'create-orphan'
  return isOrphan ? { ...orphan, entityId: '' } : { ...child, entityId }
}

function entityByAlias(
  { draft, mount }: CreateCall,
  role: TokenRole | undefined,
  alias: string,
): string | Refusal {
  if (role === undefined)
    return bad("'entity_alias' is only allowed in combination with token role")
  const name = alias.toLowerCase()
  const { allowedEntityAliases: allowed } = role
  if (!allowed.includes(name) && !fitsGlob(allowed, name))
    return bad("invalid 'entity_alias' value")
  const entity = entityFor(draft, mount, { name: alias })
  return entity instanceof Refusal ? entity : entity.entityId
}

/** A role may widen what its tokens are bound to; without one, children are bound as parents. */
function boundTo(
  call: CreateCall,
  { who, role }: Maker,
  parent: TokenPlace | undefined,
): readonly string[] {
  if (role?.params.strictlyBindIp === true) return [call.request.remote]
  if (role !== undefined) return role.params.boundCidrs
  return parent === undefined ? [] : who.token.boundCidrs
}

// --- the rest

/** Ids of others' making have neither our prefixes nor a namespace, and asks for much. */
function refuseId(
  { draft, namespace, fields: given }: CreateCall,
  { isSudo }: Maker,
  type: string,
): Refusal | undefined {
  const id = given.id ?? ''
  if (id === '' || type === 'batch') return undefined
  if (!isSudo) return bad('root or sudo privileges required to specify token id')
  if (namespace.id !== 'root') {
    return bad('token IDs can only be manually specified in the root namespace')
  }
  const prefix = [SERVICE_PREFIX, BATCH_PREFIX, 's.', 'b.'].find(one => id.startsWith(one))
  if (prefix !== undefined) return bad(`custom token ID cannot have the '${prefix}' prefix`)
  if (id.includes('.')) return bad("custom token ID cannot contain '.'")
  return tokenRows(draft, 'root').has(hashIn(draft.barrier, id))
    ? bad('cannot create a token with a duplicate ID')
    : undefined
}

/** A batch token is its own text, which is sent with each request. */
function refuseSize(
  { fields: { meta, display_name } }: CreateCall,
  policies: readonly string[],
  type: string,
): Refusal | undefined {
  const chars = JSON.stringify([meta, display_name, policies]).length
  const maxChars = type === 'batch' ? limits.batchTokenChars : limits.tokenChars
  return chars <= maxChars
    ? undefined
    : bad(`policies, meta and display_name of a token must not exceed ${maxChars} characters`)
}

function pathOf({ path: at }: CreateCall, role: TokenRole | undefined): string {
  const whole = `auth/token/${at}`
  return role === undefined || role.pathSuffix === '' ? whole : `${whole}/${role.pathSuffix}`
}

const metaOf = ({ fields: { meta } }: CreateCall): TokenRow['meta'] =>
  meta === undefined || Object.keys(meta).length === 0 ? null : meta

const isRenewable = ({ fields: { renewable } }: CreateCall, role?: TokenRole): boolean =>
  renewable !== false && role?.renewable !== false

/** `token-` and the letters, digits and dashes of a name. */
function displayNameOf(name: string): string {
  if (name === '') return 'token'
  return `token-${name}`.replaceAll(/[^a-zA-Z0-9-]/g, '-').replace(/-$/, '')
}

function warningsOf(
  { draft, namespace, fields: given }: CreateCall,
  policies: readonly string[],
): readonly string[] {
  const warnings = policies
    .filter(name => name !== ROOT_POLICY && policyAt(draft, namespace.id, name) === undefined)
    .map(name => `Policy ${JSON.stringify(name)} does not exist`)
  if ((given.id ?? '') === '') return warnings
  return [...warnings, 'A token whose id was chosen is as hard to guess as that id']
}
