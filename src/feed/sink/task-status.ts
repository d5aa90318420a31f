/**
 * What is told of a task: how it stands, what it did last, what went wrong.
 *
 * Owns the form, and its bounds: texts are cut, lists are short, the ring of events forgets its
 * oldest. There is no secret in it.
 */
import { limits } from '../../base/limits.ts'
import type { Phase } from './task.ts'

/** Something that happened to a task. Times are those of the wall clock. */
export interface TaskEvent {
  readonly atMs: number
  readonly what:
    | 'started'
    | 'applied'
    | 'in order'
    | 'refused'
    | 'failed'
    | 'drifted'
    | 'held'
    | 'unrenderable'
    | 'feed lost'
    | 'feed back'
  readonly revision: number
  readonly text: string
}

/** How a task stands. */
export interface TaskStatus {
  readonly name: string
  readonly kind: string
  readonly phase: Phase
  /** Why, where the phase does not say it all. */
  readonly detail: string
  /** Of the newest state that came. */
  readonly revision: number
  /** Of the state that the target has, 0 where that is not known; and when it got it. */
  readonly appliedRevision: number
  readonly appliedAtMs: number | undefined
  /** What is in it. */
  readonly summary: string
  /** What was left out of it or kept, and why. */
  readonly problems: readonly string[]
  /** What the last comparison or application found to change. */
  readonly lastPlan: { readonly atMs: number; readonly changes: readonly string[] } | undefined
  readonly lastError:
    | { readonly atMs: number; readonly revision: number; readonly text: string }
    | undefined
  /** When something is done next, where that is known. */
  readonly nextTryAtMs: number | undefined
  readonly counts: TaskCounts
  /** Newest last. */
  readonly events: readonly TaskEvent[]
}

/** Whether nothing is wrong in a phase: also where a change waits for its quiet time. */
export const isWellIn = (phase: string): boolean => WELL.has(phase)

const WELL: ReadonlySet<string> = new Set<Phase>([
  ...(['current', 'buffering', 'comparing', 'applying', 'disabled'] as const),
])

/** How often something happened since the task was started. */
export interface TaskCounts {
  readonly states: number
  readonly applied: number
  readonly unchanged: number
  readonly refused: number
  readonly failed: number
  readonly held: number
}

/** Lines for a status, of which only the first are kept. */
export function boundedLines(lines: readonly string[]): readonly string[] {
  const kept = lines.slice(0, limits.sinkPlanLines).map(boundedText)
  const more = lines.length - kept.length
  return more > 0 ? [...kept, `… and ${more} more`] : kept
}

/** A text for a status, cut where it is too long. */
export const boundedText = (text: string): string =>
  text.length <= limits.sinkTextChars ? text : `${text.slice(0, limits.sinkTextChars)}…`
