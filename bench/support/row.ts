/**
 * How a bench prints its figures: numbers for people, rows for the table.
 *
 * Owns the line format that bench/run.ts reads.
 */
import type { Row } from '../run.ts'
import type { LoopFigures } from './child.ts'
import type { Series } from './rounds.ts'

/** Prints one row of the table. */
export function printRow(row: Row): void {
  process.stdout.write(`#row ${JSON.stringify(row)}\n`)
}

/** Prints a line for whoever watches. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** A rate with three digits: `31.2k/s`. */
export function rate(perSecond: number): string {
  return perSecond < 1_000 ? `${perSecond.toFixed(0)}/s` : `${(perSecond / 1_000).toFixed(1)}k/s`
}

/** A time with its unit: `3.42 ms`, `1.27 s`. */
export function time(ms: number): string {
  return ms < 1_000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1_000).toFixed(2)} s`
}

/** A size in megabytes: `123 MB`. */
export const megabytes = (sizeBytes: number): string => `${(sizeBytes / 1e6).toFixed(0)} MB`

/** A rate measured beside its bare twin. `goal` is the share of it that is to be met. */
export function rateRow(
  figure: string,
  { ours, bare }: { readonly ours: Series; readonly bare: Series },
  limit: { readonly what: string; readonly goal: number },
  { peer, note = '' }: { readonly peer: string; readonly note?: string },
): Row {
  const ratio = ours.max / bare.max
  const medians = `medians ${rate(ours.median)}, ${rate(bare.median)}`
  return {
    figure,
    ours: rate(ours.max),
    limit: `${ratio.toFixed(2)} of ${rate(bare.max)} (${limit.what})`,
    goal: `at least ${limit.goal}`,
    met: ratio >= limit.goal,
    peer,
    note: note === '' ? medians : `${medians}; ${note}`,
  }
}

/** The loop under load beside an idle one, for a row's note. */
export function loopText(loaded: LoopFigures, idle: LoopFigures): string {
  return (
    `longest slice ${time(loaded.longestSliceMs)}, ` +
    `loop p99 ${time(loaded.delayP99Ms)} (idle ${time(idle.delayP99Ms)})`
  )
}
