/**
 * Compiled conditions: a text in; whether it holds, and what that cost, out.
 *
 * Owns compiling (bounds before the parser, then names and types) and the steps of one evaluation.
 * A part that fails, a result that is no bool and an expression that uses up its steps do not hold.
 * Pure: the same values, the same answer.
 */
import { limits } from '../../base/limits.ts'
import { ConditionFault, checkExpression, childrenOf, nodesOf } from './check.ts'
import {
  type CelEnv,
  type CelInput,
  celLibrary,
  type Expr,
  type Parsed,
  RANGE,
  ROUND,
} from './library.ts'
import { OverBudget } from './meter.ts'

export interface Program {
  /** The fields that it uses, such as `request.name`; the others need not be given. */
  readonly uses: ReadonlySet<string>
  /** Evaluates it with at most `steps`. */
  run(values: Values, steps: number): Outcome
}

/** The values of the fields that a program uses. */
export type Values = Readonly<Record<'request' | 'token', ReadonlyMap<string, CelInput>>>

export interface Outcome {
  readonly holds: boolean
  /** Why it could not be told; undefined where it could. May quote what a request said. */
  readonly fault?: string
  readonly steps: number
}

/** What is wrong with an expression, and where. */
export interface BadExpression {
  readonly problem: string
  /** From 1. */
  readonly line: number
  readonly column: number
}

/** Compiles an expression; gives what is wrong with it where it cannot be used. */
export function compileCondition(text: string): Program | BadExpression {
  const early = boundsProblem(text)
  if (early !== undefined) return early
  const { cel, overloads, environment, meter } = celLibrary()
  const parsed = parse(text)
  if ('problem' in parsed) return parsed
  try {
    const { uses, nodes } = checkExpression(parsed.expr, overloads)
    meterLoops(parsed.expr)
    const evaluate = cel.plan(environment, parsed.expr)
    const run = (values: Values, steps: number): Outcome => {
      meter.start(steps)
      const outcome = outcomeOf(() => {
        meter.charge(nodes)
        return evaluate({ request: cel.celMap(values.request), token: cel.celMap(values.token) })
      })
      // A part of the expression that went on without the steps must not decide.
      const over = { holds: false, fault: new OverBudget().message }
      return { ...(meter.isSpent ? over : outcome), steps: steps - meter.left }
    }
    return { uses, run }
  } catch (error) {
    if (!(error instanceof ConditionFault)) throw error
    const offset = error.id === undefined ? 0 : (parsed.sourceInfo?.positions[`${error.id}`] ?? 0)
    return badAt(text, error.message, offset)
  }
}

/** An expression of any result. */
export interface Planned {
  readonly nodes: number
  /** What it gives; an Error where it gives none. Throws too. What it costs is metered. */
  evaluate(bindings: Readonly<Record<string, CelInput>>): unknown
}

/** Compiles an expression whose names and types are looked at when it is evaluated alone. */
export function planExpression(text: string, environment: CelEnv): Planned | BadExpression {
  const early = boundsProblem(text)
  if (early !== undefined) return early
  const parsed = parse(text)
  if ('problem' in parsed) return parsed
  const nodes = nodesOf(parsed.expr)
  if (nodes > limits.conditionNodes) return badAt(text, 'it has too many parts', 0)
  meterLoops(parsed.expr)
  try {
    const evaluate = celLibrary().cel.plan(environment, parsed.expr)
    return { nodes, evaluate: bindings => evaluate(bindings as never) }
  } catch (error) {
    return badAt(text, error instanceof Error ? error.message : String(error), 0)
  }
}

export const isProgram = (compiled: Program | BadExpression): compiled is Program =>
  'run' in compiled

function outcomeOf(evaluate: () => unknown): { readonly holds: boolean; readonly fault?: string } {
  try {
    const result = evaluate()
    if (typeof result === 'boolean') return { holds: result }
    const fault = result instanceof Error ? result.message : 'it gave no bool'
    return { holds: false, fault }
  } catch (error) {
    // The library throws what its values cannot be turned into.
    return { holds: false, fault: error instanceof Error ? error.message : String(error) }
  }
}

/** What is looked at before the parser is, as it goes into each bracket by calling itself. */
function boundsProblem(text: string): BadExpression | undefined {
  if (text.trim() === '') return badAt(text, 'it is empty', 0)
  if (text.length > limits.conditionChars) {
    return badAt(text, `it is longer than ${limits.conditionChars} characters`, 0)
  }
  let depth = 0
  for (const { 0: token, index } of text.matchAll(BRACKETS)) {
    depth += '([{?'.includes(token) ? 1 : ')]}'.includes(token) ? -1 : 0
    if (depth > limits.conditionBrackets) return badAt(text, 'it is nested too deeply', index)
  }
  return undefined
}

/** Brackets, question marks (which nest to the right), and texts, in which they mean nothing. */
const BRACKETS = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[()[\]{}?]/g

function parse(text: string): (Parsed & { readonly expr: Expr }) | BadExpression {
  try {
    return celLibrary().cel.parse(text)
  } catch (error) {
    const { location, rawMessage, message } = error as ParseError
    return badAt(text, rawMessage ?? message, location?.start.offset ?? 0)
  }
}

interface ParseError extends Error {
  readonly rawMessage?: string
  readonly location?: { readonly start: { readonly offset: number } }
}

function badAt(text: string, problem: string, offset: number): BadExpression {
  const lines = text.slice(0, offset).split('\n')
  return { problem, line: lines.length, column: lines.at(-1)!.length + 1 }
}

/** Has each loop of an expression charge for its range, and each round for what stands in it. */
function meterLoops(expr: Expr): void {
  for (const part of childrenOf(expr)) meterLoops(part)
  if (expr.exprKind.case !== 'comprehensionExpr') return
  const loop = expr.exprKind.value
  const cost = nodesOf(loop.loopStep!) + nodesOf(loop.loopCondition!)
  loop.iterRange = call(RANGE, [loop.iterRange!])
  loop.loopCondition = call('_&&_', [call(ROUND, [constant(cost)]), loop.loopCondition!])
}

const NO_ID = 0n

/** A call as the parser gives it. */
const call = (name: string, args: readonly Expr[]): Expr =>
  ({
    $typeName: 'cel.expr.Expr',
    id: NO_ID,
    exprKind: {
      case: 'callExpr',
      value: { $typeName: 'cel.expr.Expr.Call', function: name, args: [...args] },
    },
  }) as Expr

const constant = (value: number): Expr =>
  ({
    $typeName: 'cel.expr.Expr',
    id: NO_ID,
    exprKind: {
      case: 'constExpr',
      value: {
        $typeName: 'cel.expr.Constant',
        constantKind: { case: 'int64Value', value: BigInt(value) },
      },
    },
  }) as Expr
