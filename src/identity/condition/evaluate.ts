/**
 * Whether what a request does meets the conditions on it.
 *
 * Owns which conditions govern what, the values that expressions see, and what becomes of one that
 * does not hold. Reads the conditions in the view that the write stands on, so that none is passed
 * by while it changes. Costs one look where there is none. Pure.
 */
import type { WallMs } from '../../base/brand.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { plainAddress } from '../../base/networks.ts'
import { type Access, access, principalOf, type RequestFacts, type Who } from '../../base/who.ts'
import {
  ConditionLevel,
  type ConditionOperation,
  type ConditionRow,
  conditions,
} from '../../store/tables/acl-condition.ts'
import type { Reader } from '../../store/view.ts'
import { type CelInput, celLibrary } from './library.ts'
import {
  type BadExpression,
  compileCondition,
  isProgram,
  type Outcome,
  type Program,
  type Values,
} from './program.ts'

/** One thing that a request does: a right that it was granted, or a login. */
export type Target = Pick<Access, 'name' | 'extent'> & {
  readonly resource: Access['resource'] | 'login'
  readonly capability: string
}

/** A login by an auth method, as conditions govern it. */
export const loginTarget = (authMethod: string): Target => ({
  resource: 'login',
  name: authMethod,
  capability: 'write',
})

/** What conditions may know of a token; of one that a login would give, before there is one. */
export interface TokenFacts {
  readonly accessor: string
  /** By name. */
  readonly policies: readonly string[]
  readonly roles: readonly string[]
  /** '' for a token that no login gave. */
  readonly authMethod: string
  /** What the login said of its bearer. */
  readonly metadata: Readonly<Record<string, string | readonly string[]>>
}

export interface ConditionFacts {
  readonly who: Who
  readonly request: RequestFacts
  readonly targets: readonly Target[]
  /** Asked only where an expression looks at it. */
  token(): TokenFacts
}

export interface Verdict {
  /** Why the request must not be; undefined where it may. */
  readonly refusal?: Refusal
  /** The condition that refuses it. */
  readonly refusedBy?: Pick<ConditionRow, 'name' | 'level'>
  /** Conditions that do not hold and let it pass: their names. */
  readonly advisories: readonly string[]
  /** Conditions that do not hold and were passed over, as the caller asked. */
  readonly overridden: readonly string[]
}

const NOTHING: Verdict = { advisories: [], overridden: [] }

/** Whoever locked himself out by a condition can still delete it. */
const UNGOVERNED = 'DELETE /v1/acl/condition/{name}'

/** Judges what a request does. `now` is that of the rule. */
export function evaluateConditions(view: Reader, facts: ConditionFacts, now: WallMs): Verdict {
  const cells = view.prefix(conditions, '')
  if (cells.length === 0 || facts.request.operation === UNGOVERNED) return NOTHING
  let steps = limits.conditionWriteSteps
  const advisories: string[] = []
  const overridden: string[] = []
  for (const { row } of cells) {
    const targets = row.enabled ? facts.targets.filter(target => governs(row, target)) : []
    if (targets.length === 0) continue
    const result = holds(row, targets, facts, now, steps)
    steps -= result.steps
    if (result.holds) continue
    if (row.level === ConditionLevel.advisory) advisories.push(row.name)
    else if (row.level === ConditionLevel.softMandatory && mayOverride(facts)) {
      overridden.push(row.name)
    } else {
      const { name, level } = row
      return { refusal: refusalOf(row), refusedBy: { name, level }, advisories, overridden }
    }
  }
  return { advisories, overridden }
}

/** Whether there is any condition. */
export const hasConditions = (view: Reader): boolean => view.prefix(conditions, '', 1).length > 0

/** Compiles all conditions of a view, so that the first write does not wait for the language. */
export function prepareConditions(view: Reader): void {
  for (const { row } of view.prefix(conditions, '')) programOf(row)
}

const refusalOf = ({ name, level }: ConditionRow): Refusal =>
  new Refusal(403, `Permission denied: condition "${name}" (${level}) does not hold`)

const mayOverride = ({ who, request }: ConditionFacts): boolean =>
  request.overrides && principalOf(who).may(access('write', 'acl'))

/** What an expression gives for one thing that a request does, whatever governs it: for a test. */
export function testExpression(
  expression: string,
  facts: ConditionFacts,
  target: Target,
  now: WallMs,
): Outcome | BadExpression {
  const program = compileCondition(expression)
  return isProgram(program) ? testProgram(program, facts, target, now) : program
}

/** The same for an expression that was compiled. */
export const testProgram = (
  program: Program,
  facts: ConditionFacts,
  target: Target,
  now: WallMs,
): Outcome => program.run(valuesOf(program, facts, target, now), limits.conditionSteps)

// --- which conditions govern what

/** Whether a condition is about something that a request does. */
export function governs({ operations }: Pick<ConditionRow, 'operations'>, target: Target): boolean {
  return operations.some(operation => isAbout(operation, target))
}

function isAbout({ resource, name, prefix }: ConditionOperation, target: Target): boolean {
  const isRange = target.resource === 'key_prefix'
  if (resource !== (isRange ? 'key' : target.resource)) return false
  // Without one name it may be any.
  if (target.extent !== undefined || (name === undefined && prefix === undefined)) return true
  // Other names are compared without case, as the catalog has them.
  const fold = (text: string): string => (resource === 'key' ? text : text.toLowerCase())
  const given = fold(target.name)
  if (name !== undefined) {
    return isRange ? fold(name).startsWith(given) : fold(name) === given
  }
  const governed = fold(prefix ?? '')
  return given.startsWith(governed) || (isRange && governed.startsWith(given))
}

// --- evaluation

/** Compiled once for each row; a row is never changed in place. */
const programs = new WeakMap<ConditionRow, Program | BadExpression>()

function programOf(row: ConditionRow): Program | BadExpression {
  const known = programs.get(row)
  if (known !== undefined) return known
  const compiled = compileCondition(row.expression)
  programs.set(row, compiled)
  return compiled
}

/** Whether a condition holds for each of the things that it governs. */
function holds(
  row: ConditionRow,
  targets: readonly Target[],
  facts: ConditionFacts,
  now: WallMs,
  steps: number,
): { readonly holds: boolean; readonly steps: number } {
  const program = programOf(row)
  // Written by a version that knows more: nobody can tell.
  if (!isProgram(program)) return { holds: false, steps: 0 }
  const isSame = !TARGET_FIELDS.some(field => program.uses.has(field))
  let used = 0
  for (const target of isSame ? targets.slice(0, 1) : distinct(targets)) {
    const values = valuesOf(program, facts, target, now)
    const left = Math.min(limits.conditionSteps, steps - used)
    const outcome = program.run(values, left)
    used += outcome.steps
    if (!outcome.holds) return { holds: false, steps: used }
  }
  return { holds: true, steps: used }
}

/** The fields that are another for each thing that a request does. */
const TARGET_FIELDS = ['request.resource', 'request.name', 'request.capability']

function distinct(targets: readonly Target[]): Target[] {
  if (targets.length === 1) return [...targets]
  const named = targets.map(one => [`${one.resource} ${one.capability} ${one.name}`, one] as const)
  return [...new Map(named).values()]
}

/** The values of the fields that a program uses. */
function valuesOf(program: Program, facts: ConditionFacts, target: Target, now: WallMs): Values {
  const { request } = facts
  const fields: Readonly<Record<string, () => CelInput | undefined>> = {
    'request.operation': () => request.operation,
    'request.path': () => pathOf(request),
    'request.resource': () => target.resource,
    'request.name': () => target.name,
    'request.capability': () => target.capability,
    'request.body': () => bodyOf(request, target.resource === 'login'),
    'request.body_size': () => BigInt(request.bodySizeBytes),
    'request.source_ip': () => plainAddress(request.remote),
    'request.time': () => celLibrary().time(now),
    'token.accessor': () => facts.token().accessor,
    'token.policies': () => celOf(facts.token().policies),
    'token.roles': () => celOf(facts.token().roles),
    'token.auth_method': () => facts.token().authMethod,
    'token.metadata': () => celOf(facts.token().metadata),
  }
  const request_ = new Map<string, CelInput>()
  const token = new Map<string, CelInput>()
  for (const use of program.uses) {
    const value = fields[use]?.()
    const name = use.slice(use.indexOf('.') + 1)
    if (value !== undefined) (use.startsWith('token.') ? token : request_).set(name, value)
  }
  return { request: request_, token }
}

/** The path as it was asked, with what the declaration leaves open filled in. */
const pathOf = ({ operation, name }: RequestFacts): string =>
  operation.slice(operation.indexOf(' ') + 1).replace(/\{[^}]*\}/, () => name)

// --- bodies

/** A body as expressions see it; undefined where there is none, or it is too large to look at. */
function bodyOf(request: RequestFacts, isLogin: boolean): CelInput | undefined {
  const { body, bodySizeBytes } = request
  if (body === undefined) return undefined
  if (Buffer.isBuffer(body)) return plainBody(body)
  if (bodySizeBytes > limits.conditionBodySizeBytes) return undefined
  return celOf(isLogin ? withoutBearer(body) : body)
}

/** What a client proves itself with is nobody's to look at, whichever face it came by. */
const PROOFS = ['BearerToken', 'bearerToken']

const withoutBearer = (body: unknown): unknown => {
  if (typeof body !== 'object' || body === null) return body
  if (Array.isArray(body) || body instanceof Uint8Array) return body
  const rest = Object.entries(body).filter(([name]) => !PROOFS.includes(name))
  return Object.fromEntries(rest.map(([name, value]) => [name, withoutBearer(value)]))
}

/** A body that is no JSON, such as a value of the KV store. */
function plainBody(body: Buffer): CelInput {
  const size: [string, CelInput] = ['Size', BigInt(body.length)]
  const text = body.length <= limits.conditionBodyTextBytes ? textOf(body) : undefined
  return celLibrary().cel.celMap(
    new Map<string, CelInput>(text === undefined ? [size] : [size, ['Text', text]]),
  )
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** A value of JSON as one of CEL, converted once; undefined where it has too many parts. */
function celOf(value: unknown): CelInput | undefined {
  const { celList, celMap, celUint } = celLibrary().cel
  let left: number = limits.conditionBodyNodes
  const convert = (part: unknown): CelInput => {
    left--
    if (left < 0) throw new TooMany()
    if (part === null || part === undefined) return null
    if (typeof part === 'bigint') return part > INT64_MAX ? celUint(part) : part
    // Whole numbers are ints, so that they can be counted with.
    if (typeof part === 'number') return Number.isSafeInteger(part) ? BigInt(part) : part
    if (typeof part !== 'object') return part as string | boolean
    if (part instanceof Uint8Array) return part
    if (Array.isArray(part)) return celList(part.map(convert))
    const entries = Object.entries(part).filter(([, one]) => one !== undefined)
    return celMap(new Map(entries.map(([name, one]) => [name, convert(one)])))
  }
  try {
    return convert(value)
  } catch (error) {
    if (error instanceof TooMany) return undefined
    throw error
  }
}

class TooMany extends Error {}

const INT64_MAX = 2n ** 63n - 1n
