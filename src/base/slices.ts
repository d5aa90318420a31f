/**
 * The sliced runner: long work in pieces, so that no task holds the loop.
 *
 * Owns giving the loop back and measuring the longest slice, which benches print.
 */
import { limits } from './limits.ts'

/** What long work asks of the loop that it runs on. */
export interface Loop {
  /** Milliseconds, for how long a slice has lasted. */
  now(): number
  /** Calls `run` in a later turn, once what came in was read. */
  afterPoll(run: () => void): void
}

const machineLoop: Loop = {
  now: () => performance.now(),
  afterPoll: run => void setImmediate(run),
}

let loop = machineLoop

/** Runs on another loop from now on, as a simulation under a seed does; gives the way back. */
export function useLoop(other: Loop): () => void {
  loop = other
  return () => {
    loop = machineLoop
  }
}

let longestSliceMs = 0

/** The longest slice since the last reset, in milliseconds. */
export const longestSlice = (): number => longestSliceMs
export const resetLongestSlice = (): void => {
  longestSliceMs = 0
}
// For a bench: whichever copy of this file the program runs, joined to others or not, is found.
Reflect.set(globalThis, Symbol.for('gatehouse.slices'), { longestSlice, resetLongestSlice })

/** Calls `run` after the loop has read what came in: requests of one turn are gathered by it. */
export function afterPoll(run: () => void): void {
  loop.afterPoll(run)
}

/** The clock that slices are measured by, in milliseconds. */
export const loopMs = (): number => loop.now()

const giveBack = (): Promise<void> => new Promise(afterPoll)

/**
 * Runs `step` for every item, giving the loop back whenever a slice has lasted `limits.sliceMs`.
 * Looks at the clock only every 16 items, as reading it costs more than most steps; or every
 * `look`, a power of two.
 */
export async function inSlices<T>(
  items: Iterable<T>,
  step: (item: T, position: number) => void,
  look = 16,
): Promise<void> {
  let startedMs = loop.now()
  let position = 0
  for (const item of items) {
    step(item, position)
    position++
    if ((position & (look - 1)) !== 0) continue
    const elapsedMs = loop.now() - startedMs
    if (elapsedMs < limits.sliceMs) continue
    if (elapsedMs > longestSliceMs) longestSliceMs = elapsedMs
    await giveBack()
    startedMs = loop.now()
  }
  longestSliceMs = Math.max(longestSliceMs, loop.now() - startedMs)
}

/**
 * Runs `step` for every item in order. What fits into a slice is done at once, and nothing is given
 * then; else a promise, with the loop given back between the slices. A step may give a promise,
 * which is waited for before the next one. Looks at the clock every `look` items, a power of two.
 */
export function startInSlices<T>(
  items: readonly T[],
  step: (item: T, position: number) => unknown,
  look = 16,
): undefined | Promise<void> {
  let next = 0
  const go = (): undefined | Promise<void> => {
    const startedMs = loop.now()
    for (; next < items.length; ) {
      const pending = step(items[next]!, next)
      next++
      if (pending instanceof Promise) return pending.then(go)
      if ((next & (look - 1)) !== 0 || next === items.length) continue
      const elapsedMs = loop.now() - startedMs
      if (elapsedMs < limits.sliceMs) continue
      longestSliceMs = Math.max(longestSliceMs, elapsedMs)
      return giveBack().then(go)
    }
    longestSliceMs = Math.max(longestSliceMs, loop.now() - startedMs)
    return undefined
  }
  return go()
}

/** The items that a test keeps; it may take as long as an item's slice. */
export async function keptInSlices<T>(
  items: Iterable<T>,
  keeps: (item: T) => boolean,
): Promise<T[]> {
  const kept: T[] = []
  const step = (item: T): void => {
    if (keeps(item)) kept.push(item)
  }
  await inSlices(items, step, 1)
  return kept
}

/**
 * Runs a generator to its end, giving the loop back between its steps; gives its result. Looks at
 * the clock every `look` steps, a power of two.
 */
export async function finishInSlices<R>(work: Generator<unknown, R>, look = 16): Promise<R> {
  let startedMs = loop.now()
  for (let steps = 1; ; steps++) {
    const next = work.next()
    if (next.done === true) return next.value
    if ((steps & (look - 1)) !== 0) continue
    const elapsedMs = loop.now() - startedMs
    if (elapsedMs < limits.sliceMs) continue
    longestSliceMs = Math.max(longestSliceMs, elapsedMs)
    await giveBack()
    startedMs = loop.now()
  }
}

/** Items that are sorted or merged in one step. */
const RUN_ITEMS = 512

/** The items in order, by a merge sort that gives the loop back. Equal ones keep their order. */
export function sortInSlices<T>(
  items: readonly T[],
  compare: (one: T, other: T) => number,
): Promise<readonly T[]> {
  return finishInSlices(sorting(items, compare), 1)
}

/** The same sort in steps of some hundred items, between which its caller may do other things. */
export function* sorting<T>(
  items: readonly T[],
  compare: (one: T, other: T) => number,
): Generator<undefined, readonly T[]> {
  let runs: (readonly T[])[] = []
  for (let at = 0; at < items.length; at += RUN_ITEMS) {
    runs.push(items.slice(at, at + RUN_ITEMS).sort(compare))
    yield
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = []
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(yield* merging(runs[at]!, runs[at + 1] ?? [], compare))
    }
    runs = merged
  }
  return runs[0] ?? []
}

/** Merges two runs, of which the first is not empty. */
function* merging<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (one: T, other: T) => number,
): Generator<undefined, readonly T[]> {
  if (right.length === 0 || compare(left.at(-1)!, right[0]!) <= 0) return left.concat(right)
  const merged: T[] = []
  let [nextLeft, nextRight] = [0, 0]
  while (nextLeft < left.length && nextRight < right.length) {
    const isRight = compare(right[nextRight]!, left[nextLeft]!) < 0
    merged.push(isRight ? right[nextRight++]! : left[nextLeft++]!)
    if ((merged.length & (RUN_ITEMS - 1)) === 0) yield
  }
  return merged.concat(left.slice(nextLeft), right.slice(nextRight))
}

/** Records how long a synchronous piece held the loop; returns what it gave. */
export function slice<T>(work: () => T): T {
  const startedMs = loop.now()
  const result = work()
  longestSliceMs = Math.max(longestSliceMs, loop.now() - startedMs)
  return result
}

/** A queue of small callbacks, run in slices in the order they came. */
export class Slicer {
  #queue: { items: readonly unknown[]; run: (item: never) => void; next: number }[] = []
  #scheduled = false

  /** Calls `run` for every item, soon, never before this returns. */
  each<T>(items: readonly T[], run: (item: T) => void): void {
    if (items.length === 0) return
    this.#queue.push({ items, run: run as (item: never) => void, next: 0 })
    if (this.#scheduled) return
    this.#scheduled = true
    afterPoll(() => this.#pump())
  }

  #pump(): void {
    const startedMs = loop.now()
    let steps = 0
    let job = this.#queue[0]
    while (job !== undefined) {
      job.run(job.items[job.next] as never)
      job.next++
      if (job.next === job.items.length) {
        this.#queue.shift()
        job = this.#queue[0]
      }
      steps++
      // What steps leave to the end of the turn, such as the writing of answers, takes longer.
      if ((steps & 15) === 0 && loop.now() - startedMs > limits.sliceMs / 4) break
    }
    longestSliceMs = Math.max(longestSliceMs, loop.now() - startedMs)
    if (job === undefined) this.#scheduled = false
    else afterPoll(() => this.#pump())
  }
}

/**
 * Renders a list item by item and joins it with commas, as buffers of one slice each. A list that
 * fits into one slice is given at once; a longer one as a promise, with the loop given back between
 * the slices. An item without a text is left out. `look` says every how many items the clock is
 * looked at: a power of two.
 */
export function renderInSlices<T>(
  items: Iterable<T>,
  render: (item: T) => string | undefined,
  look = 16,
): Buffer[] | Promise<Buffer[]> {
  const iterator = items[Symbol.iterator]()
  const chunks: Buffer[] = []
  const sliceOnce = (): boolean => {
    const startedMs = loop.now()
    let text = ''
    let steps = 0
    let done = false
    for (;;) {
      const next = iterator.next()
      if (next.done === true) {
        done = true
        break
      }
      const piece = render(next.value)
      if (piece !== undefined) text += (text === '' && chunks.length === 0 ? '' : ',') + piece
      steps++
      if ((steps & (look - 1)) === 0 && loop.now() - startedMs > limits.sliceMs / 2) break
    }
    if (text !== '') chunks.push(Buffer.from(text, 'utf8'))
    longestSliceMs = Math.max(longestSliceMs, loop.now() - startedMs)
    return done
  }
  if (sliceOnce()) return chunks
  return (async () => {
    for (;;) {
      await giveBack()
      if (sliceOnce()) return chunks
    }
  })()
}
