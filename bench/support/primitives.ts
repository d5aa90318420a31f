/**
 * How fast the arithmetic alone is, beside a bare server with the same bytes: the two together are
 * what a request can cost at least.
 *
 * Owns the process of the loops, and the sum of the two.
 */
import type { Primitive } from './bare-primitives.ts'
import { type Child, startNode } from './child.ts'
import { roundSeconds, type Series, seriesOf } from './rounds.ts'

const script = new URL('./bare-primitives.ts', import.meta.url).pathname

/** Starts the loops on some cores. */
export const startPrimitives = (cores: string): Promise<Child> =>
  startNode(cores, ['--no-warnings', script])

/** Gives the rate of one round. */
export const primitiveRate = (child: Child, name: Primitive) => (): Promise<number> =>
  child.ask<number>('rate', { name, seconds: roundSeconds })

/** The rate of doing one after the other, on the same core. */
export const bothOf = (server: Series, arithmetic: Series): Series =>
  seriesOf(server.all.map((rate, at) => 1 / (1 / rate + 1 / arithmetic.all[at]!)))
