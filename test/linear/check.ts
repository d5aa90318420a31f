/**
 * A linearizability checker that knows nothing of what it checks: a history in, a verdict out.
 *
 * Use: collect a history in real-time order while clients run, one `HistoryEvent` at each start and
 * each end of an operation, then `check(model, history)`. The models are in models.ts: what a
 * thing may do, in a few lines each. `{ ok: true }` says that one order of the operations explains
 * every answer, each at a moment between its start and its end. Otherwise the verdict has the
 * smallest part of the history that is still wrong, and `tell` makes lines of it for people.
 *
 * An end of kind `fail` says that the operation surely did nothing, `unknown` that nobody knows: it
 * may take effect at any time after its start, or never. What has no end counts as unknown.
 *
 * The search is Wing and Gong's with Lowe's memory of configurations (which operations are done,
 * and in which states that may leave the thing); histories are cut into parts that share no key.
 * Models may be nondeterministic: a step gives every state that is possible after it.
 */

/** The start or the end of an operation. A process does one operation at a time. */
export type HistoryEvent<I, O> =
  | { readonly process: string; readonly kind: 'invoke'; readonly input: I }
  | { readonly process: string; readonly kind: 'ok'; readonly output: O }
  | { readonly process: string; readonly kind: 'fail' | 'unknown' }

/** What a thing may do. States are values: `step` must not change the one that it is given. */
export interface Model<I, O, S> {
  readonly name: string
  readonly initial: S
  /** What an operation touches; histories are cut into parts that share none of it. */
  keysOf(input: I): readonly string[]
  /** The states after the operation, none where it cannot have given that output. */
  step(state: S, input: I, output: O | undefined): readonly S[]
  /** What may become of a state by itself at any time, such as the end of a session. */
  drift?(state: S): readonly S[]
  /** Equal texts, equal states. */
  keyOf(state: S): string
  /** Whether an operation changes nothing: it can be left out of a counterexample. */
  isRead(input: I): boolean
  /** What an answer must hold where somebody saw that the operation was done. */
  traceOf?(input: I): string | undefined
  /** The traces that an answer holds. */
  tracesIn?(output: O): readonly string[]
}

/** One operation of a history: `end` is undefined where its effect may come at any later time. */
export interface Operation<I, O> {
  readonly process: string
  readonly input: I
  readonly output: O | undefined
  readonly start: number
  readonly end: number | undefined
}

export type Verdict<I, O> =
  | { readonly ok: true; readonly operations: number; readonly unknown: number }
  /** Too many configurations: neither proven nor refuted. */
  | { readonly ok: undefined; readonly keys: readonly string[] }
  | { readonly ok: false; readonly counterexample: readonly Operation<I, O>[] }

/** Configurations of one part that are looked at before it is given up. */
const MOST_CONFIGURATIONS = 300_000
/** The same, while a counterexample is made smaller: a larger one is no harm. */
const MOST_WHILE_SHRINKING = 3_000

/** Says whether a history is linearizable. Throws on one that is no history. */
export function check<I, O, S>(
  model: Model<I, O, S>,
  history: readonly HistoryEvent<I, O>[],
): Verdict<I, O> {
  const operations = operationsOf(history)
  let undecided: readonly string[] | undefined
  for (const part of partsOf(model, operations)) {
    // What may never have been done need not be, if all that is known goes without it.
    const fewer = withoutUnseen(model, part)
    const isEasy = fewer.length < part.length && explain(model, fewer) === true
    const found = isEasy || explain(model, part)
    if (found === false) return { ok: false, counterexample: smallest(model, part) }
    if (found === undefined) undecided = model.keysOf(part[0]!.input)
  }
  if (undecided !== undefined) return { ok: undefined, keys: undecided }
  const unknown = operations.filter(({ end }) => end === undefined).length
  return { ok: true, operations: operations.length, unknown }
}

/** The operations without those whose outcome nobody knows, and of which nobody saw a trace. */
function withoutUnseen<I, O, S>(
  model: Model<I, O, S>,
  operations: readonly Operation<I, O>[],
): readonly Operation<I, O>[] {
  const { traceOf, tracesIn } = model
  if (traceOf === undefined || tracesIn === undefined) return operations
  const seen = new Set(
    operations.flatMap(({ output }) => (output === undefined ? [] : tracesIn(output))),
  )
  return operations.filter(({ input, end }) => {
    const trace = end === undefined ? traceOf(input) : undefined
    return trace === undefined || seen.has(trace)
  })
}

/** Pairs starts with ends; operations that surely did nothing are gone. */
export function operationsOf<I, O>(history: readonly HistoryEvent<I, O>[]): Operation<I, O>[] {
  const open = new Map<string, { input: I; start: number }>()
  const operations: Operation<I, O>[] = []
  for (const [at, event] of history.entries()) {
    const { process } = event
    if (event.kind === 'invoke') {
      if (open.has(process)) throw new Error(`${process} starts before its last operation ended`)
      open.set(process, { input: event.input, start: at })
      continue
    }
    const started = open.get(process)
    if (started === undefined) throw new Error(`${process} ends what it never started`)
    open.delete(process)
    if (event.kind === 'fail') continue
    const isKnown = event.kind === 'ok'
    const output = event.kind === 'ok' ? event.output : undefined
    operations.push({ process, ...started, output, end: isKnown ? at : undefined })
  }
  for (const [process, started] of open) {
    operations.push({ process, ...started, output: undefined, end: undefined })
  }
  return operations.sort((a, b) => a.start - b.start)
}

/** Operations that are joined by shared keys, however many steps away. */
function partsOf<I, O, S>(
  model: Model<I, O, S>,
  operations: readonly Operation<I, O>[],
): Operation<I, O>[][] {
  const parent = new Map<string, string>()
  const rootOf = (key: string): string => {
    let at = key
    while (parent.get(at) !== undefined && parent.get(at) !== at) at = parent.get(at)!
    return at
  }
  for (const { input } of operations) {
    const keys = model.keysOf(input)
    for (const key of keys) if (!parent.has(key)) parent.set(key, key)
    for (const key of keys) parent.set(rootOf(key), rootOf(keys[0]!))
  }
  return [...Map.groupBy(operations, ({ input }) => rootOf(model.keysOf(input)[0]!)).values()]
}

/** A start or an end in the list that the search walks and takes entries out of. */
interface Entry {
  readonly operation: number
  readonly isStart: boolean
  previous: Entry | undefined
  next: Entry | undefined
  /** Of a start: its end. Of none where the end is not known. */
  end: Entry | undefined
}

/** Whether some order explains the operations; undefined when that could not be found out. */
function explain<I, O, S>(
  model: Model<I, O, S>,
  operations: readonly Operation<I, O>[],
  most = MOST_CONFIGURATIONS,
): boolean | undefined {
  const head = entriesOf(operations)
  const done = new Set<number>()
  const seen = new Set<string>()
  const stack: { entry: Entry; states: readonly S[] }[] = []
  let open = operations.filter(({ end }) => end !== undefined).length
  let states = settle(model, [model.initial])
  let entry = head.next
  while (open > 0) {
    if (entry?.isStart === true) {
      const { operation } = entry
      const after = stepAll(model, states, operations[operation]!)
      if (after.length > 0) {
        done.add(operation)
        const known = configuration(done, model, after)
        if (!seen.has(known)) {
          if (seen.size >= most) return undefined
          seen.add(known)
          stack.push({ entry, states })
          states = after
          if (entry.end !== undefined) open--
          lift(entry)
          entry = head.next
          continue
        }
        done.delete(operation)
      }
      entry = entry.next
      continue
    }
    // An end whose operation is not done yet, or the end of the list: the last choice was wrong.
    const last = stack.pop()
    if (last === undefined) return false
    states = last.states
    done.delete(last.entry.operation)
    if (last.entry.end !== undefined) open++
    unlift(last.entry)
    entry = last.entry.next
  }
  return true
}

function entriesOf(operations: readonly Operation<unknown, unknown>[]): Entry {
  const marks = operations.flatMap(({ start, end }, operation) => [
    { at: start, operation, isStart: true },
    ...(end === undefined ? [] : [{ at: end, operation, isStart: false }]),
  ])
  marks.sort((a, b) => a.at - b.at)
  const none = { previous: undefined, next: undefined, end: undefined }
  const head: Entry = { operation: -1, isStart: false, ...none }
  const starts = new Map<number, Entry>()
  let last = head
  for (const { operation, isStart } of marks) {
    const entry: Entry = { operation, isStart, ...none, previous: last }
    last.next = entry
    last = entry
    if (isStart) starts.set(operation, entry)
    else starts.get(operation)!.end = entry
  }
  return head
}

function lift(entry: Entry): void {
  for (const one of [entry, entry.end]) {
    if (one === undefined) continue
    one.previous!.next = one.next
    if (one.next !== undefined) one.next.previous = one.previous
  }
}

function unlift(entry: Entry): void {
  for (const one of [entry.end, entry]) {
    if (one === undefined) continue
    one.previous!.next = one
    if (one.next !== undefined) one.next.previous = one
  }
}

function stepAll<I, O, S>(
  model: Model<I, O, S>,
  states: readonly S[],
  { input, output }: Operation<I, O>,
): readonly S[] {
  return settle(
    model,
    states.flatMap(state => model.step(state, input, output)),
  )
}

/** The states with all that may become of them by themselves, each once. */
function settle<I, O, S>(model: Model<I, O, S>, states: readonly S[]): readonly S[] {
  if (states.length === 1 && model.drift === undefined) return states
  const known = new Map<string, S>()
  const queue = [...states]
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    const key = model.keyOf(state)
    if (known.has(key)) continue
    known.set(key, state)
    queue.push(...(model.drift?.(state) ?? []))
  }
  return [...known.values()]
}

/** All that matters for what can follow: what is done, and which states that may have left. */
function configuration<S>(
  done: ReadonlySet<number>,
  model: Model<never, never, S>,
  states: readonly S[],
): string {
  // Operations are numbered by their starts, so nearly all that are done are the first ones.
  let first = 0
  while (done.has(first)) first++
  const others = [...done].filter(one => one > first).sort((a, b) => a - b)
  return `${first}:${others.join()}|${states
    .map(state => model.keyOf(state))
    .sort()
    .join('|')}`
}

/**
 * The shortest beginning that is wrong, without the reads that do not make it so: what is wrong
 * without a read is wrong with it too.
 */
function smallest<I, O, S>(
  model: Model<I, O, S>,
  part: readonly Operation<I, O>[],
): readonly Operation<I, O>[] {
  const isWrong = (operations: readonly Operation<I, O>[]): boolean =>
    explain(model, operations, MOST_WHILE_SHRINKING) === false
  const ends = part.flatMap(({ end }) => (end === undefined ? [] : [end])).sort((a, b) => a - b)
  let [low, high] = [0, ends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isWrong(until(part, ends[middle]!))) high = middle
    else low = middle + 1
  }
  // Where that was too much to find out, the whole is what is known to be wrong.
  let left = isWrong(until(part, ends[low]!)) ? until(part, ends[low]!) : [...part]
  for (const operation of left.filter(({ input }) => model.isRead(input))) {
    const others = left.filter(one => one !== operation)
    if (isWrong(others)) left = others
  }
  return left
}

/** The history as it was known at a time. */
function until<I, O>(part: readonly Operation<I, O>[], at: number): Operation<I, O>[] {
  return part
    .filter(({ start }) => start < at)
    .map(one =>
      one.end === undefined || one.end <= at ? one : { ...one, output: undefined, end: undefined },
    )
}

/** The lines that tell people of operations: who, when, what, and what came of it. */
export function tell(operations: readonly Operation<unknown, unknown>[]): string {
  return operations
    .map(({ process, input, output, start, end }) => {
      const result = end === undefined ? '?' : JSON.stringify(output)
      return `${process} [${start}, ${end ?? '…'}] ${JSON.stringify(input)} -> ${result}`
    })
    .join('\n')
}
