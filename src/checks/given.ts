/**
 * Checks as an agent is asked to run them: what is given, made into what a runner takes.
 *
 * Owns the bounds that are the same for every kind; what a kind probes is the kind's. Pure.
 */
import { Refusal } from '../base/errors.ts'
import type { LocalCheck } from '../store/tables/local.ts'
import { kindOf } from './mod.ts'

/** A check as it was given: its kind follows from its definition. */
export type GivenLocalCheck = Omit<LocalCheck, 'kind' | 'ttlMs' | 'outputMaxSizeBytes'>

/** The check as it is run; or why it is none. */
export function localCheck(given: GivenLocalCheck): LocalCheck | Refusal {
  const { failuresBeforeWarning, failuresBeforeCritical } = given
  const { ttlMs = 0, outputMaxSizeBytes = 0 } = given.definition
  const found = kindOf(given.definition)
  const invalid = 'invalid' in found ? found.invalid : thresholdProblem(given, outputMaxSizeBytes)
  if (invalid !== undefined || 'invalid' in found) {
    return new Refusal(400, `Invalid check: ${invalid}`)
  }
  return {
    ...given,
    kind: found.kind,
    definition: found.definition,
    ttlMs,
    failuresBeforeWarning: failuresBeforeWarning || failuresBeforeCritical,
    outputMaxSizeBytes,
  }
}

function thresholdProblem(
  { failuresBeforeWarning, failuresBeforeCritical }: GivenLocalCheck,
  outputMaxSizeBytes: number,
): string | undefined {
  if (outputMaxSizeBytes < 0) return 'MaxOutputMaxSize must be positive'
  if (failuresBeforeWarning <= failuresBeforeCritical) return undefined
  return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
}
