/**
 * Thresholds: how many results in a row it takes before a check changes what it says.
 *
 * Owns the counting. Failures between the thresholds of warning and critical are a warning. Pure.
 */
import { CheckStatus } from '../store/tables/check.ts'

/** How many results in a row it takes; 0 and 1 both mean the first one. */
export interface Thresholds {
  readonly successBeforePassing: number
  /** 0: as many as before critical, so that there is no warning. */
  readonly failuresBeforeWarning: number
  readonly failuresBeforeCritical: number
}

/** Results of one kind in a row; one of the two is 0. */
export interface Streak {
  readonly successes: number
  readonly failures: number
}

export const NO_STREAK: Streak = { successes: 0, failures: 0 }

/**
 * The streak with one more result, and what the check says now; undefined where it goes on saying
 * what it said. A warning counts as a success: the target answered.
 */
export function judge(
  before: Streak,
  status: CheckStatus,
  thresholds: Thresholds,
): { readonly streak: Streak; readonly status: CheckStatus | undefined } {
  if (status !== CheckStatus.critical) {
    const successes = before.successes + 1
    const isEnough = successes >= thresholds.successBeforePassing
    return { streak: { successes, failures: 0 }, status: isEnough ? status : undefined }
  }
  const streak = { successes: 0, failures: before.failures + 1 }
  const { failuresBeforeCritical, failuresBeforeWarning } = thresholds
  if (streak.failures >= failuresBeforeCritical) return { streak, status: CheckStatus.critical }
  const isWarning = failuresBeforeWarning > 0 && streak.failures >= failuresBeforeWarning
  return { streak, status: isWarning ? CheckStatus.warning : undefined }
}
