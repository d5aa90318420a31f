/**
 * Rounds: ours and the bare thing in turn, so that what the machine does meanwhile hits both.
 *
 * Owns how often is measured and what is made of it. `--quick` takes fewer and shorter rounds.
 */

export const isQuick = process.argv.includes('--quick')
export const roundCount = isQuick ? 2 : 5
export const roundSeconds = isQuick ? 1 : 2

/** The figures of one side, in the order they were taken. */
export interface Series {
  readonly all: readonly number[]
  readonly min: number
  readonly max: number
  readonly median: number
}

/** Sums up figures; there must be at least one. */
export function seriesOf(all: readonly number[]): Series {
  const sorted = all.toSorted((a, b) => a - b)
  return {
    all,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    median: sorted[sorted.length >> 1]!,
  }
}

type Sides<Name extends string> = Readonly<Record<Name, (round: number) => Promise<number>>>

/** Measures every side in turn, `rounds` times; a round before, number -1, does not count. */
export async function inTurn<Name extends string>(
  sides: Sides<Name>,
  rounds = roundCount,
): Promise<Record<Name, Series>> {
  const names = Object.keys(sides) as Name[]
  const figures = new Map<Name, number[]>(names.map(name => [name, []]))
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const figure = await sides[name](round)
      if (round >= 0) figures.get(name)?.push(figure)
    }
  }
  const made = names.map(name => [name, seriesOf(figures.get(name) ?? [])] as const)
  return Object.fromEntries(made) as Record<Name, Series>
}

/** The value below which a share of the figures lies. */
export function percentile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
