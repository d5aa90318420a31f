/**
 * The way of a request: namespace, mount, declared path, principal, right, rule.
 *
 * Owns that order, which is the same for every path, and the words for what does not exist. Pure:
 * it is run on a view for reads and inside the transaction for writes, with the same outcome.
 */

import type { Bytes } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { parseExact } from '../base/exact-json.ts'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'
import { authorize, denialOf, type Granted, told, type Wanted } from './access.ts'
import type { Trail } from './audit.ts'
import type {
  Answer,
  Call,
  Engine,
  Handled,
  Operation,
  OperationSpec,
  PathSpec,
  RequestFacts,
} from './declare.ts'
import { path as declare } from './declare.ts'
import { helpAnswer, helpShape } from './describe.ts'
import type { Fields } from './field.ts'
import { type JsonObject, type Read, readFields } from './field.ts'
import { OfGround } from './ground.ts'
import { type Matched, Matcher } from './match.ts'
import { coldOf, type MountRow, route, storageOf } from './mount/mount.ts'
import { refuseLocked } from './namespace/lock.ts'
import { locate, type Namespace } from './namespace/namespace.ts'
import { UNSUPPORTED_OPERATION, UNSUPPORTED_PATH } from './refusals.ts'
import { rightsOf } from './rights.ts'
import type { Draft } from './storage.ts'
import { MFA_HEADER } from './token/login.ts'
import { principalOf, type VaultPrincipal } from './token/principal.ts'

/** A request as the face hands it in: parsed, nothing decided. */
export interface SecretsRequest {
  /** By its verb; posting is `update`. */
  readonly operation: Operation
  /** Canonical, decoded once, without `/v1/`. A folder's ends in a slash. */
  readonly path: string
  /** As the header says. */
  readonly namespace: string
  /** A secret; '' for none. */
  readonly token: string
  /** The header of that name: the token again, or another secret. */
  readonly authorization?: string | undefined
  /** The key of the row that the token would have in the registry, where it may be one of those. */
  readonly registryKey?: Bytes | undefined
  readonly data: JsonObject
  readonly facts: RequestFacts
}

/** What of a request says where it leads to. */
export type Routed = Pick<SecretsRequest, 'operation' | 'namespace' | 'path'>

/** What a request leads to, before anybody was asked whether it may. */
export interface Plan {
  readonly namespace: Namespace
  /** The whole path in its namespace. */
  readonly path: string
  readonly mount: MountRow | undefined
  readonly below: string
  readonly matched: Matched | undefined
  readonly spec: OperationSpec | undefined
}

/** Engines by the type that a mount says. */
export class Engines {
  readonly #byType: ReadonlyMap<string, Engine>
  readonly #matchers = new WeakMap<readonly PathSpec[], Matcher>()
  /** What requests led to, by all that it follows from. */
  readonly #plans = new OfGround(() => new Recent<string, Plan>(limits.keptPlans))

  constructor(engines: readonly Engine[]) {
    this.#byType = new Map(engines.map(engine => [`${engine.kind}/${engine.type}`, engine]))
  }

  /** What a mount of a type is; system engines are mounted among the secrets. */
  of(kind: MountRow['kind'], type: string): Engine | undefined {
    return this.#byType.get(`${kind}/${type}`) ?? this.#byType.get(`system/${type}`)
  }

  get all(): readonly Engine[] {
    return [...this.#byType.values()]
  }

  /** The declared path of a path below a mount. */
  find(mount: MountRow, below: string): Matched | undefined {
    const specs = this.of(mount.kind, mount.type)?.paths(mount)
    return specs && this.matcherOf(specs).find(below)
  }

  /** What the same request led to before, on the same ground. */
  keptPlan(draft: Draft, request: Routed): Plan | undefined {
    return this.#plans.known(draft)?.get(keyOf(request))
  }

  keepPlan(draft: Draft, request: Routed, plan: Plan): void {
    const key = keyOf(request)
    if (key.length <= KEPT_KEY_CHARS) this.#plans.known(draft)?.set(key, plan)
  }

  matcherOf(specs: readonly PathSpec[]): Matcher {
    let matcher = this.#matchers.get(specs)
    if (matcher === undefined) {
      matcher = new Matcher(specs)
      this.#matchers.set(specs, matcher)
    }
    return matcher
  }
}

/** Longer paths are gone along each time. */
const KEPT_KEY_CHARS = 512
const keyOf = ({ operation, namespace, path }: Routed): string =>
  `${operation}\0${namespace}\0${path}`

/** What a request leads to. */
export function planOf(draft: Draft, engines: Engines, request: Routed): Plan | Refusal {
  const kept = engines.keptPlan(draft, request)
  if (kept !== undefined) return kept
  const plan = planAnew(draft, engines, request)
  if (!(plan instanceof Refusal)) engines.keepPlan(draft, request, plan)
  return plan
}

function planAnew(
  draft: Draft,
  engines: Engines,
  { operation, path, namespace: header }: Routed,
): Plan | Refusal {
  const located = locate(draft, header, path)
  if (located instanceof Refusal) return located
  const routed = route(draft, located.namespace, located.path)
  const { mount, path: below = '' } = routed ?? {}
  const isFolder = operation === 'list' || operation === 'scan'
  const toMatch = isFolder && below.endsWith('/') ? below.slice(0, -1) : below
  const matched = mount && engines.find(mount, toMatch)
  if (operation === 'help' && mount !== undefined) {
    const mountPath = mount.kind === 'auth' ? `auth/${mount.path}` : mount.path
    const asked = { mountPath, below: toMatch, ...(matched && { spec: matched.spec }) }
    const spec = helpOn(engines, mount, asked)
    return { ...located, mount, below: toMatch, matched: HELP, spec }
  }
  const spec = operation === 'create' ? undefined : matched?.spec.operations[operation as Handled]
  return { ...located, mount, below: toMatch, matched, spec }
}

/** Help is of every path, whether it is declared or not. */
const HELP: Matched = {
  spec: declare({
    pattern: '',
    help: { synopsis: '', description: '' },
    ...{ fields: {}, access: 'token', operations: {} },
  }),
  parts: {},
}

function helpOn(
  engines: Engines,
  mount: MountRow,
  asked: Parameters<typeof helpAnswer>[2],
): OperationSpec | undefined {
  const engine = engines.of(mount.kind, mount.type)
  if (engine === undefined) return undefined
  return {
    summary: 'Tells what a path is for.',
    effect: 'reads',
    answer: helpShape,
    run: () => helpAnswer(engine, engine.paths(mount), asked),
  }
}

/** Whether a plan's operation changes rows. */
export function writes({ spec }: Plan, { operation, facts }: SecretsRequest): boolean {
  if (spec === undefined || 'act' in spec) return false
  if (facts.wrapTtlMs !== undefined) return true
  const isRead = operation === 'read' || operation === 'list' || operation === 'scan'
  return spec.effect === undefined ? !isRead : spec.effect === 'writes'
}

/** A request that may be, with everything its handler needs. */
export interface Admitted {
  readonly call: Call
  readonly spec: OperationSpec
  readonly warnings: readonly string[]
  /** What it may; undefined where no token is asked for. */
  readonly granted: Granted | undefined
  /** The whole path in its namespace. */
  readonly path: string
}

/** Asks whether a request may be, and reads its fields. */
export function admit(
  draft: Draft,
  plan: Plan,
  request: SecretsRequest,
  trail: Trail = {},
): Admitted | Refusal {
  const { matched, mount, namespace } = plan
  if (matched?.spec.isRootOnly === true && namespace.id !== 'root') return NOT_IN_NAMESPACES
  const locked = refuseLocked(draft, namespace, plan.path)
  if (locked !== undefined) return locked
  const access = matched?.spec.access ?? 'authorized'
  const isAnonymous = access === 'open' || (access === 'optional' && request.token === '')
  const who = isAnonymous
    ? undefined
    : principalOf(draft, request.token, request.facts.remote, request.registryKey)
  if (who instanceof Refusal) return who
  trail.who = who
  const said = matched && readFields(matched.spec.fields, request.data, matched.parts)
  const isFree = access === 'token' || access === 'optional' || request.operation === 'help'
  const isReadable = mount !== undefined && said !== undefined && !(said instanceof Refusal)
  const known = isReadable ? callOf(draft, plan, request, who, said) : undefined
  const leave =
    who && (isFree ? refuseGone(draft, who) : leaveFor(draft, plan, request, who, { known, trail }))
  if (leave instanceof Refusal) return leave
  if (mount === undefined || mount.tainted) return noHandler(plan.path)
  if (matched === undefined) return UNSUPPORTED_PATH
  const { spec } = plan
  if (spec === undefined) return UNSUPPORTED_OPERATION
  const asked = paged(request, leave)
  if (leave?.limit !== undefined) trail.pageLimit = leave.limit
  const read = asked === request ? said : readFields(matched.spec.fields, asked.data, matched.parts)
  if (read instanceof Refusal) return read
  const call = asked === request ? known! : callOf(draft, plan, asked, who, read!)
  const warnings = warningsOf(matched, request, read!)
  return { call, spec, warnings, granted: leave, path: plan.path }
}

/** The refusal of somebody whose entity is gone or disabled, where no right is asked for. */
function refuseGone(draft: Draft, who: VaultPrincipal): Refusal | undefined {
  const rights = rightsOf(draft, who.token)
  return rights instanceof Refusal ? rights : undefined
}

/** A request with the size of page that its asker may have. */
function paged(request: SecretsRequest, granted: Granted | undefined): SecretsRequest {
  if (granted?.limit === undefined) return request
  return { ...request, data: { ...request.data, limit: granted.limit } }
}

/** The answer of a rule, as its asker may see it. */
export function finished({ call, granted, warnings, path }: Admitted, answer: Answer): Answer {
  const isWhole = granted?.filter === undefined
  const shown = isWhole ? answer : filtered(call, granted!, path, answer)
  return withWarnings(shown, warnings)
}

/** A list without the keys that its asker may not be told of. */
function filtered(
  { draft, namespace }: Call,
  granted: Granted,
  path: string,
  answer: Answer,
): Answer {
  const { dataText, data: given, ...rest } = answer
  const data = dataText === undefined ? given : (parseExact(dataText) as Answer['data'])
  if (data === undefined || !Array.isArray(data.keys)) return rest
  const keys = told(draft, granted, namespace, path, data.keys as string[])
  if (keys.length === 0) return rest
  const info = data.key_info as Readonly<Record<string, unknown>> | undefined
  if (info === undefined) return { ...rest, data: { keys } }
  const about = keys.filter(key => Object.hasOwn(info, key)).map(key => [key, info[key]] as const)
  return { ...rest, data: { keys, key_info: Object.fromEntries(about) } }
}

function leaveFor(
  draft: Draft,
  plan: Plan,
  request: SecretsRequest,
  who: VaultPrincipal,
  { known, trail }: { known: Call | undefined; trail: Trail },
): Granted | Refusal {
  const { matched } = plan
  let { operation } = request
  // Of what cannot be read it is not known whether it is there.
  if (operation === 'update' && known !== undefined && matched?.spec.exists?.(known) === false) {
    operation = 'create'
  }
  const wanted: Wanted = {
    operation,
    namespace: plan.namespace,
    path: plan.path,
    data: request.data,
    access: matched?.spec.access ?? 'authorized',
    wrapTtlMs: request.facts.wrapTtlMs,
  }
  const leave = authorize(draft, who, wanted)
  if (leave instanceof Refusal) trail.denial = denialOf(draft, who, wanted)
  return leave
}

function callOf(
  draft: Draft,
  { mount, namespace, below, matched }: Plan,
  { operation, data, facts: sent, token, authorization }: SecretsRequest,
  who: VaultPrincipal | undefined,
  { values }: Read<Fields>,
): Call {
  const facts = mount!.type === 'system' ? sent : { ...sent, headers: passed(mount!, sent) }
  return {
    operation,
    path: below,
    fields: values,
    data,
    given: name => Object.hasOwn(data, name),
    mount: mount!,
    namespace,
    who,
    secret: token,
    authorization: matched?.spec.seesAuthorization === true ? authorization : undefined,
    request: facts,
    storage: storageOf(draft, mount!),
    cold: coldOf(draft, mount!),
    draft,
    now: draft.now,
    random: draft.random,
    prepared: undefined,
  }
}

/** The headers that a mount may see: those that it was tuned to, and second factors of logins. */
function passed({ kind, type, config }: MountRow, facts: RequestFacts): RequestFacts['headers'] {
  const { passthroughRequestHeaders: names = [] } = config
  const isLogin = kind === 'auth' && type !== 'token'
  if (names.length === 0 && !isLogin) return NO_HEADERS
  const wanted = names.map(name => name.toLowerCase())
  if (isLogin) wanted.push(MFA_HEADER)
  return Object.fromEntries(Object.entries(facts.headers).filter(([name]) => wanted.includes(name)))
}

const NO_HEADERS = {}

/** What begins the warning about names that no field of a path has. */
export const UNRECOGNIZED = 'Endpoint ignored these unrecognized parameters'

/** Whether no name in the data of a request is unknown to its path. */
export const takesAll = (spec: PathSpec): boolean =>
  Object.keys(spec.fields).length === 0 || spec.takesAnyField === true

/** What a request said for nothing. */
function warningsOf(
  { spec }: Matched,
  { operation }: SecretsRequest,
  { unknown, replaced }: Read<Fields>,
): string[] {
  if (takesAll(spec) || (operation !== 'update' && operation !== 'patch')) return []
  const warnings: string[] = []
  if (unknown.length > 0) {
    warnings.push(`${UNRECOGNIZED}: [${unknown.join(' ')}]`)
  }
  if (replaced.length > 0) {
    const text =
      "Endpoint replaced the value of these parameters with the values captured from the endpoint's path"
    warnings.push(`${text}: [${replaced.join(' ')}]`)
  }
  return warnings
}

/** An answer with warnings before its own. */
const withWarnings = (answer: Answer, warnings: readonly string[]): Answer =>
  warnings.length === 0
    ? answer
    : { ...answer, warnings: [...warnings, ...(answer.warnings ?? [])] }

const noHandler = (path: string): Refusal =>
  new Refusal(404, `no handler for route ${JSON.stringify(path)}. route entry not found.`)
const NOT_IN_NAMESPACES = new Refusal(400, 'operation unavailable in namespaces')
