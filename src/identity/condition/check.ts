/**
 * What can be wrong with an expression before it is ever evaluated: names, types, bounds.
 *
 * Owns the types of conditions, which the library does not check in what it lets others use. A part
 * of a body has no known type, so what is done with it can still fail later; everything else that
 * would always fail is found here, with its place. Pure.
 */
import { limits } from '../../base/limits.ts'
import { networkProblem, patternProblem, zoneProblem } from './functions.ts'
import type { Expr, Overload } from './library.ts'

/** Something wrong, at a node of the expression. */
export class ConditionFault extends Error {
  override readonly name = 'ConditionFault'
  /** The node's id; undefined where it is the whole. */
  readonly id: bigint | undefined

  constructor(message: string, id?: bigint) {
    super(message)
    this.id = id
  }
}

const TIME = 'google.protobuf.Timestamp'

/** The variables of conditions: their fields, and the types of those. */
const VARIABLES = {
  request: {
    operation: 'string',
    path: 'string',
    resource: 'string',
    name: 'string',
    capability: 'string',
    body: 'dyn',
    body_size: 'int',
    source_ip: 'string',
    time: TIME,
  },
  token: {
    accessor: 'string',
    policies: 'list',
    roles: 'list',
    auth_method: 'string',
    metadata: 'map',
  },
} as const

/** What an expression looks at, and what it is made of. */
export interface Checked {
  /** The fields that it uses, such as `request.name`. */
  readonly uses: ReadonlySet<string>
  readonly nodes: number
}

/** Checks an expression. Throws ConditionFault. */
export function checkExpression(expr: Expr, overloads: readonly Overload[]): Checked {
  const checker = new Checker(overloads)
  const type = checker.type(expr, new Map(), 0, 0)
  if (type !== 'bool' && type !== 'dyn') {
    throw new ConditionFault(`it must give a bool, not ${article(type)}`, expr.id)
  }
  return { uses: checker.uses, nodes: checker.nodes }
}

/** How many nodes an expression has. */
export const nodesOf = (expr: Expr): number =>
  1 + childrenOf(expr).reduce((sum, one) => sum + nodesOf(one), 0)

/** The parts of an expression, one level down. */
export function childrenOf({ exprKind }: Expr): readonly Expr[] {
  const all: (Expr | undefined)[] = []
  if (exprKind.case === 'selectExpr') all.push(exprKind.value.operand)
  else if (exprKind.case === 'callExpr') all.push(exprKind.value.target, ...exprKind.value.args)
  else if (exprKind.case === 'listExpr') all.push(...exprKind.value.elements)
  else if (exprKind.case === 'structExpr') {
    for (const { keyKind, value } of exprKind.value.entries) {
      all.push(keyKind.case === 'mapKey' ? keyKind.value : undefined, value)
    }
  } else if (exprKind.case === 'comprehensionExpr') {
    const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value
    all.push(iterRange, accuInit, loopCondition, loopStep, result)
  }
  return all.filter(one => one !== undefined)
}

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`)

const NUMBERS = ['int', 'uint', 'double']

const CONSTANTS: Readonly<Record<string, string>> = {
  nullValue: 'null_type',
  boolValue: 'bool',
  int64Value: 'int',
  uint64Value: 'uint',
  doubleValue: 'double',
  stringValue: 'string',
  bytesValue: 'bytes',
}

/** Types by name: `type(x) == string`. */
const TYPES = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'list', 'map', 'null_type']

/** What a text that stands in the expression itself is looked at for, by function and place. */
const LITERALS: readonly {
  readonly of: (name: string) => boolean
  readonly at: number
  readonly problem: (text: string) => string | undefined
}[] = [
  { of: name => name === 'matches', at: 0, problem: patternProblem },
  { of: name => name === 'inCidr', at: 1, problem: networkProblem },
  { of: name => name.startsWith('get'), at: 0, problem: zoneProblem },
]

type Scope = ReadonlyMap<string, string>

class Checker {
  readonly uses = new Set<string>()
  nodes = 0
  readonly #overloads: ReadonlyMap<string, readonly Overload[]>

  constructor(overloads: readonly Overload[]) {
    this.#overloads = Map.groupBy(overloads, one => one.name)
  }

  /** The type of a part; `depth` is how deep it stands, `loops` how many go round it. */
  type(expr: Expr, scope: Scope, depth: number, loops: number): string {
    this.nodes++
    if (this.nodes > limits.conditionNodes) {
      throw new ConditionFault(`it has more than ${limits.conditionNodes} parts`)
    }
    if (depth > limits.conditionDepth) throw new ConditionFault('it is nested too deeply', expr.id)
    const { exprKind, id } = expr
    const inside = (part: Expr | undefined, names = scope, more = 0): string => {
      if (part === undefined) throw new ConditionFault('a part is missing', id)
      return this.type(part, names, depth + 1, loops + more)
    }
    switch (exprKind.case) {
      case 'constExpr':
        return CONSTANTS[exprKind.value.constantKind.case ?? ''] ?? 'dyn'
      case 'identExpr':
        return this.#name(exprKind.value.name, scope, id)
      case 'selectExpr':
        return this.#select(exprKind.value, scope, id, inside)
      case 'callExpr':
        return this.#call(exprKind.value, id, inside)
      case 'listExpr':
        for (const one of exprKind.value.elements) inside(one)
        return 'list'
      case 'structExpr':
        return this.#map(exprKind.value, id, inside)
      case 'comprehensionExpr':
        return this.#loop(exprKind.value, scope, id, loops, inside)
      default:
        throw new ConditionFault('a part is of no known kind', id)
    }
  }

  #name(name: string, scope: Scope, id: bigint): string {
    const inner = scope.get(name)
    if (inner !== undefined) return inner
    if (TYPES.includes(name)) return 'type'
    if (Object.hasOwn(VARIABLES, name)) {
      throw new ConditionFault(`say which field of ${name} is meant`, id)
    }
    throw new ConditionFault(`undeclared reference to '${name}'`, id)
  }

  #select(
    select: Extract<Expr['exprKind'], { case: 'selectExpr' }>['value'],
    scope: Scope,
    id: bigint,
    inside: Inside,
  ): string {
    const { operand, field, testOnly } = select
    const name = operand?.exprKind.case === 'identExpr' ? operand.exprKind.value.name : ''
    if (!scope.has(name) && Object.hasOwn(VARIABLES, name)) {
      const fields: Readonly<Record<string, string>> = VARIABLES[name as keyof typeof VARIABLES]
      if (!Object.hasOwn(fields, field)) {
        throw new ConditionFault(`undefined field '${name}.${field}'`, id)
      }
      this.uses.add(`${name}.${field}`)
      return testOnly ? 'bool' : fields[field]!
    }
    const type = inside(operand)
    if (type !== 'map' && type !== 'dyn') {
      throw new ConditionFault(`type '${type}' does not support field selection`, id)
    }
    return testOnly ? 'bool' : 'dyn'
  }

  #call(
    call: Extract<Expr['exprKind'], { case: 'callExpr' }>['value'],
    id: bigint,
    inside: Inside,
  ): string {
    const name = call.function
    const target = call.target === undefined ? undefined : inside(call.target)
    const types = call.args.map(one => inside(one))
    this.#literals(name, call.args, id)
    switch (name) {
      case '_&&_':
      case '_||_':
      case '@not_strictly_false':
        return isEach(types, 'bool') ? 'bool' : this.#noOverload(name, target, types, id)
      case '_?_:_':
        if (!isEach(types.slice(0, 1), 'bool')) this.#noOverload(name, target, types, id)
        return types[1] === types[2] ? types[1]! : 'dyn'
      case '_[_]':
        if (!['list', 'map', 'dyn'].includes(types[0]!)) this.#noOverload(name, target, types, id)
        return 'dyn'
      case '_==_':
      case '_!=_':
        if (!areComparable(types[0]!, types[1]!)) this.#noOverload(name, target, types, id)
        return 'bool'
      default:
        return this.#overload(name, target, types, id)
    }
  }

  #overload(
    name: string,
    target: string | undefined,
    types: readonly string[],
    id: bigint,
  ): string {
    const all = this.#overloads.get(name)
    if (all === undefined) throw new ConditionFault(`undeclared reference to '${name}'`, id)
    const fitting = all.filter(
      one =>
        (one.target === undefined) === (target === undefined) &&
        (target === undefined || goesFor(target, one.target!)) &&
        one.arguments.length === types.length &&
        one.arguments.every((wanted, at) => goesFor(types[at]!, wanted)),
    )
    if (fitting.length === 0) this.#noOverload(name, target, types, id)
    const results = new Set(fitting.map(one => one.result))
    return results.size === 1 ? fitting[0]!.result : 'dyn'
  }

  #noOverload(
    name: string,
    target: string | undefined,
    types: readonly string[],
    id: bigint,
  ): never {
    const on = target === undefined ? '' : `${target}.`
    const applied = `${on}(${types.join(', ')})`
    throw new ConditionFault(`found no matching overload for '${name}' applied to '${applied}'`, id)
  }

  #literals(name: string, args: readonly Expr[], id: bigint): void {
    for (const { of, at, problem } of LITERALS) {
      const kind = args[at]?.exprKind
      if (!of(name) || kind?.case !== 'constExpr') continue
      const { constantKind } = kind.value
      const wrong = constantKind.case === 'stringValue' ? problem(constantKind.value) : undefined
      if (wrong !== undefined) throw new ConditionFault(wrong, args[at]?.id ?? id)
    }
  }

  #map(
    { messageName, entries }: Extract<Expr['exprKind'], { case: 'structExpr' }>['value'],
    id: bigint,
    inside: Inside,
  ): string {
    if (messageName !== '') throw new ConditionFault(`undeclared reference to '${messageName}'`, id)
    for (const { keyKind, value } of entries) {
      if (keyKind.case !== 'mapKey') throw new ConditionFault('a key is missing', id)
      const key = inside(keyKind.value)
      if (!['string', 'int', 'uint', 'bool', 'dyn'].includes(key)) {
        throw new ConditionFault(`a map cannot have ${article(key)} as a key`, id)
      }
      inside(value)
    }
    return 'map'
  }

  #loop(
    loop: Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value'],
    scope: Scope,
    id: bigint,
    loops: number,
    inside: Inside,
  ): string {
    if (loops >= limits.conditionLoops) {
      throw new ConditionFault(`more than ${limits.conditionLoops} loops stand in each other`, id)
    }
    const range = inside(loop.iterRange)
    if (!['list', 'map', 'dyn'].includes(range)) {
      throw new ConditionFault(`${article(range)} cannot be gone through`, id)
    }
    const outside = new Map(scope).set(loop.accuVar, inside(loop.accuInit))
    const within = new Map(outside).set(loop.iterVar, 'dyn')
    inside(loop.loopCondition, within, 1)
    inside(loop.loopStep, within, 1)
    return inside(loop.result, outside)
  }
}

type Inside = (part: Expr | undefined, names?: Scope, more?: number) => string

const goesFor = (type: string, wanted: string): boolean =>
  wanted === 'dyn' || type === 'dyn' || type === wanted

const isEach = (types: readonly string[], wanted: string): boolean =>
  types.every(type => goesFor(type, wanted))

const areComparable = (one: string, other: string): boolean =>
  one === other ||
  [one, other].some(type => type === 'dyn' || type === 'null_type') ||
  (NUMBERS.includes(one) && NUMBERS.includes(other))
