/**
 * `service-intentions`: which services may call a service.
 *
 * Owns its fields, their order of precedence, and what is wrong with them, for entries that are
 * written as such and for those that the older API of single intentions makes. Field names and
 * texts are Consul's.
 */
import { limits } from '../../base/limits.ts'
import { access } from '../../base/who.ts'
import { INTENTIONS } from '../../store/tables/config-entry.ts'
import { always, bool, integer, list, map, object, text, time } from './field.ts'
import { type EntryFields, type EntryKind, meta, metaProblem, WILDCARD } from './kind.ts'

export interface IntentionPermission {
  readonly Action: string
  readonly HTTP?: {
    readonly PathExact?: string
    readonly PathPrefix?: string
    readonly PathRegex?: string
    readonly Header?: readonly {
      readonly Name: string
      readonly Present?: boolean
      readonly Exact?: string
      readonly Prefix?: string
      readonly Suffix?: string
      readonly Contains?: string
      readonly Regex?: string
    }[]
    readonly Methods?: readonly string[]
  }
  readonly JWT?: Jwt
}

interface Jwt {
  readonly Providers?: readonly { readonly Name?: string }[]
}

/** One service that may call, or may not. */
export interface IntentionSource {
  readonly Name: string
  readonly Action?: string
  readonly Permissions?: readonly IntentionPermission[]
  readonly Precedence: number
  /** Given by the older API, which knows intentions by id and keeps times. */
  readonly LegacyID?: string
  readonly Type: string
  readonly Description?: string
  readonly LegacyMeta?: Readonly<Record<string, string>>
  readonly LegacyCreateTime?: string
  readonly LegacyUpdateTime?: string
  readonly Peer?: string
  readonly SamenessGroup?: string
}

export interface ServiceIntentions {
  readonly Sources?: readonly IntentionSource[]
  readonly JWT?: Jwt
  readonly Meta?: Readonly<Record<string, string>>
}

const jwt = object({
  Providers: list(
    object({ Name: text, VerifyClaims: list(object({ Path: list(text), Value: text })) }),
  ),
})

/** The fields of what an intention permits, shared with the API of single intentions. */
export const permissions = list(
  object({
    Action: always(text, ''),
    HTTP: object({
      PathExact: text,
      PathPrefix: text,
      PathRegex: text,
      Header: list(
        object({
          Name: always(text, ''),
          Present: bool,
          Exact: text,
          Prefix: text,
          Suffix: text,
          Contains: text,
          Regex: text,
          Invert: bool,
          IgnoreCase: bool,
        }),
      ),
      Methods: list(text),
    }),
    JWT: jwt,
  }),
)

export const serviceIntentions: EntryKind = {
  kind: INTENTIONS,
  readAccess: name => [access('read', 'intention', name)],
  writeAccess: name => [access('write', 'intention', name)],
  fields: {
    Sources: list(
      object({
        Name: always(text, ''),
        Action: text,
        Permissions: permissions,
        Precedence: always(integer, 0),
        LegacyID: text,
        Type: always(text, ''),
        Description: text,
        LegacyMeta: map(text),
        LegacyCreateTime: time,
        LegacyUpdateTime: time,
        Peer: text,
        SamenessGroup: text,
      }),
    ),
    JWT: jwt,
    Meta: meta,
  },
  // Ids and times belong to the older API: who writes the entry takes it over.
  normalise: (fields, name) => {
    const { Sources: sources = [] } = fields as ServiceIntentions
    const own = sources.map(source => {
      const { LegacyID, LegacyCreateTime, LegacyUpdateTime, ...rest } = source
      return rest
    })
    return normalIntentions({ ...(fields as ServiceIntentions), Sources: own }, name)
  },
  problem: (fields, name) => intentionsProblem(fields as ServiceIntentions, name, false),
}

/** The entry with what is filled in: types, precedence, and the order that follows from it. */
export function normalIntentions(entry: ServiceIntentions, name: string): EntryFields {
  const { Sources: sources = [], ...rest } = entry
  const filled = sources.map(source => ({
    ...source,
    ...(source.Permissions === undefined
      ? {}
      : { Permissions: source.Permissions.map(normalPermission) }),
    Type: source.Type === '' ? 'consul' : source.Type,
    Precedence: precedenceOf(source.Name, name),
  }))
  const Sources = filled.toSorted((a, b) => b.Precedence - a.Precedence)
  return { ...(Sources.length === 0 ? {} : { Sources }), ...rest }
}

function normalPermission(permission: IntentionPermission): IntentionPermission {
  const { HTTP } = permission
  if (HTTP?.Methods === undefined) return permission
  return { ...permission, HTTP: { ...HTTP, Methods: HTTP.Methods.map(one => one.toUpperCase()) } }
}

/** Nine where both are named; a wildcard of the destination weighs more than one of the source. */
const precedenceOf = (source: string, destination: string): number =>
  (destination === WILDCARD ? 6 : 9) - (source === WILDCARD ? 1 : 0)

/** The names of the JWT providers that an entry asks for. */
export function jwtProviders({ JWT, Sources: sources = [] }: ServiceIntentions): string[] {
  const asked = [JWT, ...sources.flatMap(one => (one.Permissions ?? []).map(each => each.JWT))]
  return asked.flatMap(one => (one?.Providers ?? []).map(({ Name = '' }) => Name))
}

/** What is wrong with an entry; `byId` where the older API made it. */
export function intentionsProblem(
  entry: ServiceIntentions,
  name: string,
  byId: boolean,
): string | undefined {
  const { Sources: sources = [], JWT, Meta } = entry
  if (name === '') return 'Name is required'
  const early = partialWildcard(name) ?? jwtProblem(JWT) ?? metaProblem(Meta)
  if (early !== undefined) return early
  if (sources.length === 0) return 'At least one source is required'
  if (sources.length > limits.configEntryItems) {
    return `'Sources' has more than ${limits.configEntryItems} items`
  }
  const seen = new Set<string>()
  for (const [i, source] of sources.entries()) {
    const problem = sourceProblem(source, name, byId)
    if (problem !== undefined) return `Sources[${i}]${problem}`
    const { Peer: peer = '', Name } = source
    const key = `${peer}/${Name}`
    if (seen.has(key)) {
      const named = peer === '' ? quoted(Name) : `peer(${quoted(peer)}) ${quoted(Name)}`
      return `Sources[${i}] defines ${named} more than once`
    }
    seen.add(key)
  }
  return undefined
}

const quoted = (text: string): string => JSON.stringify(text)
const ACTIONS: readonly unknown[] = ['allow', 'deny']

const partialWildcard = (name: string): string | undefined =>
  name !== WILDCARD && name.includes(WILDCARD)
    ? "Name: wildcard character '*' cannot be used with partial values"
    : undefined

function jwtProblem(given: Jwt | undefined): string | undefined {
  const isNameless = given?.Providers?.some(({ Name = '' }) => Name === '') === true
  return isNameless ? 'JWT provider name is required' : undefined
}

function sourceProblem(
  source: IntentionSource,
  destination: string,
  byId: boolean,
): string | undefined {
  const { Name: name, Action: action, Permissions: permitted = [], Description = '' } = source
  if (name === '') return '.Name is required'
  const wildcard = partialWildcard(name)
  if (wildcard !== undefined) return `.${wildcard}`
  if ((source.SamenessGroup ?? '') !== '') {
    return '.SamenessGroup: sameness-groups are an enterprise-only feature'
  }
  if (Description.length > limits.metaValueChars) {
    return `.Description exceeds maximum length ${limits.metaValueChars}`
  }
  const legacy = legacyProblem(source, byId)
  if (legacy !== undefined) return legacy
  if ((byId || permitted.length === 0) && !ACTIONS.includes(action)) {
    return ".Action must be set to 'allow' or 'deny'"
  }
  if (permitted.length > 0 && action !== undefined) {
    return '.Action must be omitted if Permissions are specified'
  }
  if (permitted.length > 0 && destination === WILDCARD) {
    return '.Permissions cannot be specified on intentions with wildcarded destinations'
  }
  if (source.Type !== 'consul') return ".Type must be set to 'consul'"
  for (const [i, one] of permitted.entries()) {
    const problem = permissionProblem(one)
    if (problem !== undefined) return `.Permissions[${i}]${problem}`
  }
  return undefined
}

function legacyProblem(source: IntentionSource, byId: boolean): string | undefined {
  const given = metaProblem(source.LegacyMeta)
  if (byId) return given === undefined ? undefined : `.${given}`
  return source.LegacyMeta === undefined ? undefined : '.LegacyMeta must be omitted'
}

function permissionProblem({ Action, HTTP, JWT }: IntentionPermission): string | undefined {
  if (!ACTIONS.includes(Action)) return ".Action must be set to 'allow' or 'deny'"
  if (HTTP === undefined) return '.HTTP is required'
  const { PathExact, PathPrefix, PathRegex, Header = [], Methods = [] } = HTTP
  for (const [field, path] of Object.entries({ PathExact, PathPrefix })) {
    if (path === undefined || path.startsWith('/')) continue
    return `.HTTP.${field} doesn't start with '/': ${quoted(path)}`
  }
  const paths = [PathExact, PathPrefix, PathRegex].filter(path => path !== undefined)
  if (paths.length > 1) {
    return '.HTTP should only contain at most one of PathExact, PathPrefix, or PathRegex'
  }
  for (const [i, header] of Header.entries()) {
    const problem = headerProblem(header)
    if (problem !== undefined) return `.HTTP.Header[${i}] ${problem}`
  }
  const methods = methodsProblem(Methods)
  if (methods !== undefined) return `.HTTP.Methods contains ${methods}`
  if (paths.length + Header.length + Methods.length === 0) return '.HTTP should not be empty'
  return jwtProblem(JWT)
}

type HeaderMatch = NonNullable<NonNullable<IntentionPermission['HTTP']>['Header']>[number]

function headerProblem(header: HeaderMatch): string | undefined {
  const { Name, Present, Exact, Prefix, Suffix, Contains, Regex } = header
  if (Name === '') return 'missing required Name field'
  const ways = [Present, Exact, Prefix, Suffix, Contains, Regex].filter(way => way !== undefined)
  return ways.length === 1
    ? undefined
    : 'should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex'
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE']

function methodsProblem(methods: readonly string[]): string | undefined {
  for (const [i, method] of methods.entries()) {
    if (!METHODS.includes(method)) return `an invalid method ${quoted(method.slice(0, 64))}`
    if (methods.indexOf(method) !== i) return `${quoted(method)} more than once`
  }
  return undefined
}
