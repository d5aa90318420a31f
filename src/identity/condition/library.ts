/**
 * The CEL library, loaded when the first condition needs it, with every function metered.
 *
 * Owns the environment that expressions are planned in. The library knows no bound: so each
 * function of it is wrapped to charge for what it is given, and what its loops cost is charged by
 * what program.ts puts into them.
 */
import { createRequire } from 'node:module'
import type * as Cel from '@bufbuild/cel'
import type { Registry } from '@bufbuild/protobuf'
import type * as Wkt from '@bufbuild/protobuf/wkt'
import { isInCidr, isMatch, TIME_PARTS, timePart } from './functions.ts'
import { Meter } from './meter.ts'

export type Expr = ReturnType<typeof Cel.parse>['expr']
export type Parsed = ReturnType<typeof Cel.parse>
export type { CelEnv, CelInput, CelValue } from '@bufbuild/cel'

/** What the loops of an expression call: it counts one round. */
export const ROUND = '@round'
/** What the range of a loop goes through. */
export const RANGE = '@range'

/** An overload of a function: the names of its types, as they are written. */
export interface Overload {
  readonly name: string
  readonly target: string | undefined
  readonly arguments: readonly string[]
  readonly result: string
}

/** What an environment has beside that of conditions. */
export interface CelSpace {
  readonly namespace: string
  readonly registry: Registry
  readonly funcs: Cel.CelFunc[]
}

export interface Library {
  readonly meter: Meter
  readonly overloads: readonly Overload[]
  readonly cel: typeof Cel
  readonly environment: Cel.CelEnv
  /** An environment with messages and functions beside those of conditions. */
  environmentWith(more: CelSpace): Cel.CelEnv
  /** A time as a value of CEL. */
  time(timeMs: number): Cel.CelInput
}

let loaded: Library | undefined

/**
 * The library. Loading it takes a tenth of a second, once, and is synchronous: a rule cannot wait.
 * Whoever starts a server whose store holds conditions calls this before it serves.
 */
export function celLibrary(): Library {
  loaded ??= load()
  return loaded
}

function load(): Library {
  const require = createRequire(import.meta.url)
  const cel: typeof Cel = require('@bufbuild/cel')
  const wkt: typeof Wkt = require('@bufbuild/protobuf/wkt')
  const meter = new Meter()
  const ours = ownFunctions(cel, wkt, meter)
  const plain = [...cel.celEnv({ funcs: ours }).funcs]
  const inner = innerFunctions(cel, meter)
  const usual = [...plain.map(one => metered(one, meter)), ...inner]
  const environment = cel.celEnv({ funcs: usual })
  return {
    meter,
    overloads: plain.map(overloadOf),
    cel,
    environment,
    environmentWith: ({ funcs, ...more }) =>
      cel.celEnv({ ...more, funcs: [...usual, ...funcs.map(one => metered(one, meter))] }),
    time: timeMs => wkt.timestampFromMs(timeMs),
  }
}

/** A function that charges for itself and for the values that it was given. */
function metered(func: Cel.CelFunc, meter: Meter): Cel.CelFunc {
  const call: Cel.CelFunc['call'] = (id, target, args) => {
    const result = func.call(id, target, args)
    // Another overload is the one that is meant.
    if (result === undefined) return undefined
    meter.charge(1)
    meter.chargeFor(target)
    for (const one of args) meter.chargeFor(one)
    return result
  }
  return Object.create(func, { call: { value: call } })
}

function overloadOf(func: Cel.CelFunc): Overload {
  return {
    name: func.name,
    target: func.target?.name,
    arguments: func.arguments.map(one => one.name),
    result: func.result.name,
  }
}

function ownFunctions(cel: typeof Cel, wkt: typeof Wkt, meter: Meter): Cel.CelFunc[] {
  const { BOOL, INT, STRING } = cel.CelScalar
  const time = cel.objectType(wkt.TimestampSchema)
  const list = cel.listType(cel.CelScalar.DYN)
  const parts = TIME_PARTS.flatMap(part => {
    const method = function (this: { message: unknown }, zone = ''): bigint {
      const timeMs = wkt.timestampMs(this.message as Wkt.Timestamp)
      return timePart(part, timeMs, zone, meter)
    }
    return [
      cel.celMethod(part, time, [], INT, method as never),
      cel.celMethod(part, time, [STRING], INT, method as never),
    ]
  })
  return [
    ...parts,
    cel.celMethod('matches', STRING, [STRING], BOOL, function (pattern) {
      return isMatch(String(this), pattern, meter)
    }),
    cel.celMethod('lowerAscii', STRING, [], STRING, function () {
      return String(this).replace(/[A-Z]+/g, some => some.toLowerCase())
    }),
    cel.celFunc('inCidr', [STRING, STRING], BOOL, isInCidr),
    // The library chains lists, and walks along the whole chain for each item.
    cel.celFunc('_+_', [list, list], list, (one, other) => cel.celList([...one, ...other])),
  ]
}

/** What program.ts puts into loops; no expression can name them. */
function innerFunctions(cel: typeof Cel, meter: Meter): Cel.CelFunc[] {
  const { BOOL, DYN, INT } = cel.CelScalar
  return [
    charging(
      cel.celFunc(ROUND, [INT], BOOL, () => true),
      ([nodes]) => meter.charge(Number(nodes)),
    ),
    charging(
      cel.celFunc(RANGE, [DYN], DYN, range => range),
      ([range]) => meter.charge(sizeOf(range)),
    ),
  ]
}

/** Charges before the library can catch what that throws. */
function charging(func: Cel.CelFunc, charge: (args: readonly Cel.CelValue[]) => void): Cel.CelFunc {
  const call: Cel.CelFunc['call'] = (id, target, args) => {
    charge(args)
    return func.call(id, target, args)
  }
  return Object.create(func, { call: { value: call } })
}

const sizeOf = (value: unknown): number => {
  const size = (value as { readonly size?: unknown } | null)?.size
  return typeof size === 'number' ? size : 0
}
