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

/** Results of one kind in a row (one of the two counts is 0), and what the check says. */
export interface Streak {
  readonly successes: number
  readonly failures: number
  readonly said: CheckStatus
}

/** Before the first result: the first success counts at once, failures are counted from here. */
export const freshStreak = (said: CheckStatus): Streak => ({
  successes: Number.POSITIVE_INFINITY,
  failures: 0,
  said,
})

/**
 * The streak with one more result, and what the check says now; undefined where it goes on saying
 * what it said, because there were not enough results of the other kind. A warning counts as a
 * success: the target answered.
 */
export function judge(
  before: Streak,
  status: CheckStatus,
  thresholds: Thresholds,
): { readonly streak: Streak; readonly status: CheckStatus | undefined } {
  const isFailure = status === CheckStatus.critical
  const successes = isFailure ? 0 : before.successes + 1
  const failures = isFailure ? before.failures + 1 : 0
  const judged = isFailure
    ? judgeFailure(failures, before.said, thresholds)
    : judgeSuccess(successes, before.said, status, thresholds)
  return { streak: { successes, failures, said: judged ?? before.said }, status: judged }
}

function judgeSuccess(
  successes: number,
  said: CheckStatus,
  status: CheckStatus,
  { successBeforePassing }: Thresholds,
): CheckStatus | undefined {
  return successes >= successBeforePassing || said === status ? status : undefined
}

function judgeFailure(
  failures: number,
  said: CheckStatus,
  { failuresBeforeCritical, failuresBeforeWarning }: Thresholds,
): CheckStatus | undefined {
  if (failures >= failuresBeforeCritical || said === CheckStatus.critical) {
    return CheckStatus.critical
  }
  const isWarning = failuresBeforeWarning > 0 && failures >= failuresBeforeWarning
  return isWarning ? CheckStatus.warning : undefined
}
