/**
 * When a sink's target is compared with what it should be, and when it is brought there: the
 * machine of one task.
 *
 * Owns pace (quiet time, longest delay, schedule), the choice between looking, comparing and
 * applying, and how long a target that said no is left alone. What waits is only the newest state:
 * older ones are never applied. Nothing is done while the feed is lost. Pure: times are those of
 * the monotonic clock, and whoever runs it does what `nextAct` says and tells what came of it.
 */

/** How fast a task goes. All of them milliseconds. */
export interface TaskPace {
  /** A change waits until so long nothing else changed … */
  readonly bufferMinMs: number
  /** … but never longer than this. */
  readonly bufferMaxMs: number
  /** After a failure: doubled with each one, up to the second. */
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** So often a target that should be right is compared again; 0 for never. */
  readonly verifyMs: number
}

/** How a task stands by what it follows. */
export type TaskFeed =
  /** Not all of it has come yet. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'whole' }
  | { readonly kind: 'lost'; readonly problem: string }

/** What the newest state comes to. */
export type Rendered =
  | { readonly kind: 'wanted'; readonly digest: string }
  /** It is not to be applied, and why. */
  | { readonly kind: 'held'; readonly reason: string }
  /** It cannot be rendered, and why. */
  | { readonly kind: 'refused'; readonly problem: string }

/** What came of a comparison. */
export type Compared = 'same' | 'differs' | 'failed'

/** What came of an application. */
export type AppliedHow =
  | 'applied'
  /** The target still has what it had, or has it again. */
  | 'refused'
  /** What the target has now is not known. */
  | 'failed'

export interface TaskState {
  readonly feed: TaskFeed
  readonly isEnabled: boolean
  /** Of the newest state. */
  readonly revision: number
  /** Changes that were not looked at: when the first and the last of them came. */
  readonly changed: { readonly firstMs: number; readonly lastMs: number } | undefined
  /** Not looked at before this time, by the task's schedule. */
  readonly notBeforeMs: number
  /** What the newest state that was looked at comes to, and its revision. */
  readonly rendered: Rendered | undefined
  readonly renderedRevision: number
  readonly busy: 'comparing' | 'applying' | undefined
  /** What the target has, by its digest; undefined while that is not known. */
  readonly has: string | undefined
  /** What the target was found not to have: it may be applied. */
  readonly differsFrom: string | undefined
  /** When it was found to have it. */
  readonly verifiedMs: number
  /** When the same is applied again, as the target asked for; never where that is undefined. */
  readonly againMs: number | undefined
  /** What it did not take last, and until when that is not tried again. */
  readonly rejected: { readonly digest: string; readonly untilMs: number } | undefined
  /** How often in a row it did not. */
  readonly failures: number
}

/** A task before anything came. */
export const firstState = (isEnabled: boolean): TaskState => ({
  feed: { kind: 'waiting' },
  isEnabled,
  revision: 0,
  changed: undefined,
  notBeforeMs: 0,
  rendered: undefined,
  renderedRevision: 0,
  busy: undefined,
  has: undefined,
  differsFrom: undefined,
  verifiedMs: 0,
  againMs: undefined,
  rejected: undefined,
  failures: 0,
})

/** What is to be done now. */
export type Act =
  /** Look at the newest state: `onRendered` is called with what it comes to. */
  | { readonly act: 'render' }
  /** Compare the target with it, touching nothing: `onBusy`, then `onCompared`. */
  | { readonly act: 'compare' }
  /** Bring the target there: `onBusy`, then `onApplied`. */
  | { readonly act: 'apply' }
  | { readonly act: 'wait'; readonly untilMs: number }
  /** Nothing, until something comes. */
  | { readonly act: 'rest' }

const REST: Act = { act: 'rest' }

/** Longer than anything lasts: what is not tried again unless the state is another one. */
export const NEVER_MS = Number.POSITIVE_INFINITY

/** What is to be done now; asked again after everything that comes, and when a wait is over. */
export function nextAct(state: TaskState, pace: TaskPace, nowMs: number): Act {
  if (!state.isEnabled || state.feed.kind !== 'whole' || state.busy !== undefined) return REST
  const lookMs = lookAtMs(state, pace)
  if (lookMs !== undefined && lookMs <= nowMs) return { act: 'render' }
  // What is about to be looked at may differ: only a schedule lets the state before it go on.
  const isSoon = lookMs !== undefined && state.notBeforeMs <= nowMs
  const work = isSoon ? undefined : workOf(state, pace)
  if (work !== undefined && work.atMs <= nowMs) return { act: work.act }
  const untilMs = Math.min(lookMs ?? NEVER_MS, work?.atMs ?? NEVER_MS)
  return untilMs === NEVER_MS ? REST : { act: 'wait', untilMs }
}

/** When the changes that wait are looked at; undefined without any. */
function lookAtMs(
  { changed, notBeforeMs, rendered }: TaskState,
  pace: TaskPace,
): number | undefined {
  if (changed === undefined) return undefined
  // The first state is compared at once: the target may have been wrong for long.
  if (rendered === undefined) return changed.firstMs
  const { firstMs, lastMs } = changed
  const bufferedMs = Math.min(lastMs + pace.bufferMinMs, firstMs + pace.bufferMaxMs)
  return Math.max(bufferedMs, notBeforeMs)
}

interface Work {
  readonly act: 'compare' | 'apply'
  readonly atMs: number
}

/** What the target needs, and when. */
function workOf(state: TaskState, { verifyMs }: TaskPace): Work | undefined {
  const { rendered, has, differsFrom, rejected, verifiedMs, againMs } = state
  if (rendered?.kind !== 'wanted') return undefined
  const { digest } = rendered
  if (has === digest) {
    if (againMs !== undefined) return { act: 'apply', atMs: againMs }
    return verifyMs > 0 ? { act: 'compare', atMs: verifiedMs + verifyMs } : undefined
  }
  const atMs = rejected?.digest === digest ? rejected.untilMs : 0
  const isKnown = has !== undefined || differsFrom === digest
  return { act: isKnown ? 'apply' : 'compare', atMs }
}

/** All of what the task follows is there, and changed or came again. */
export function onState(
  state: TaskState,
  {
    revision,
    isTrigger,
    notBeforeMs,
  }: {
    readonly revision: number
    /** Whether the task goes by such changes; others are looked at together with one of those. */
    readonly isTrigger: boolean
    readonly notBeforeMs: number
  },
  nowMs: number,
): TaskState {
  const feed = { kind: 'whole' as const }
  const isFirst = state.rendered === undefined
  if (!isTrigger && !isFirst) return { ...state, feed, revision }
  return {
    ...state,
    feed,
    revision,
    changed: { firstMs: state.changed?.firstMs ?? nowMs, lastMs: nowMs },
    notBeforeMs: state.changed === undefined ? notBeforeMs : state.notBeforeMs,
  }
}

/** What the task follows cannot be read for now: the target stays as it is. */
export const onLost = (state: TaskState, problem: string): TaskState => ({
  ...state,
  feed: { kind: 'lost', problem },
})

/** The newest state was looked at. */
export const onRendered = (state: TaskState, rendered: Rendered): TaskState => ({
  ...state,
  changed: undefined,
  rendered,
  renderedRevision: state.revision,
})

export const onBusy = (state: TaskState, busy: 'comparing' | 'applying'): TaskState => ({
  ...state,
  busy,
})

/** The target was compared with what has this digest. */
export function onCompared(
  state: TaskState,
  { digest, how, retryMs }: { digest: string; how: Compared; retryMs: number },
  nowMs: number,
): TaskState {
  const free: TaskState = { ...state, busy: undefined }
  switch (how) {
    case 'same':
      return settled(free, digest, nowMs)
    case 'differs':
      return { ...free, has: undefined, differsFrom: digest }
    case 'failed':
      return rejected(free, { digest, retryMs, isSuspect: true }, nowMs)
  }
}

/** What has this digest was applied, or not. */
export function onApplied(
  state: TaskState,
  {
    digest,
    how,
    retryMs,
    againMs,
  }: {
    readonly digest: string
    readonly how: AppliedHow
    /** Until the same is tried again, where it was not applied; NEVER_MS for never. */
    readonly retryMs: number
    /** Until the same is applied again, where it was; undefined for never. */
    readonly againMs?: number | undefined
  },
  nowMs: number,
): TaskState {
  const free: TaskState = { ...state, busy: undefined }
  if (how === 'applied') return settled(free, digest, nowMs, againMs)
  return rejected(free, { digest, retryMs, isSuspect: how === 'failed' }, nowMs)
}

const settled = (state: TaskState, digest: string, nowMs: number, againMs?: number): TaskState => ({
  ...state,
  has: digest,
  differsFrom: undefined,
  verifiedMs: nowMs,
  againMs: againMs === undefined ? undefined : nowMs + againMs,
  rejected: undefined,
  failures: 0,
})

function rejected(
  state: TaskState,
  {
    digest,
    retryMs,
    isSuspect,
  }: {
    readonly digest: string
    readonly retryMs: number
    /** Whether the target may be neither here nor there: it is compared before anything else. */
    readonly isSuspect: boolean
  },
  nowMs: number,
): TaskState {
  const unsure = isSuspect ? { has: undefined, differsFrom: undefined } : {}
  const untilMs = nowMs + retryMs
  return {
    ...state,
    ...unsure,
    // Applying again what it has: once more after the same while.
    againMs: state.has === digest ? untilMs : undefined,
    rejected: { digest, untilMs },
    failures: state.failures + 1,
  }
}

const JITTER = 0.25

/** How long a target that said no is left alone; `fraction` is by chance, from 0 to 1. */
export function retryAfterMs(
  failures: number,
  { retryMinMs, retryMaxMs }: TaskPace,
  fraction: number,
): number {
  const delayMs = Math.min(retryMinMs * 2 ** Math.min(failures, 30), retryMaxMs)
  return delayMs * (1 - JITTER / 2 + fraction * JITTER)
}

/** How a task stands, in one word. */
export type Phase =
  | 'disabled'
  /** What it follows has not come yet. */
  | 'waiting'
  | 'lost'
  /** Changes wait for their quiet time, or for the schedule. */
  | 'buffering'
  | 'comparing'
  | 'applying'
  /** The guard holds the newest state back. */
  | 'held'
  /** The newest state cannot be rendered. */
  | 'unrenderable'
  /** The target did not take it, and is tried again later. */
  | 'rejected'
  /** The target is what it should be. */
  | 'current'

/** How a task stands. */
export function phaseOf(state: TaskState): Phase {
  if (!state.isEnabled) return 'disabled'
  if (state.busy !== undefined) return state.busy
  if (state.feed.kind !== 'whole') return state.feed.kind
  if (state.changed !== undefined) return 'buffering'
  const { rendered } = state
  if (rendered === undefined) return 'waiting'
  if (rendered.kind === 'held') return 'held'
  if (rendered.kind === 'refused') return 'unrenderable'
  if (state.rejected?.digest === rendered.digest) return 'rejected'
  return state.has === rendered.digest ? 'current' : 'buffering'
}
