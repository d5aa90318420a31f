/**
 * What a kind of check is: its name, the fields that ask for it, its bounds, and how one run of it
 * is started.
 *
 * Owns the types and `defineCheck`. A kind judges one run; when runs happen, how many failures
 * matter and where results go is not its business. A run never throws: every fault of its target
 * is a critical result with a text that tells people what is wrong.
 */
import type { Resolver } from '../base/io/dns2.ts'
import { limits } from '../base/limits.ts'
import type { CheckDefinition, CheckStatus } from '../store/tables/check.ts'

/** What one run, or a client, says of a check. */
export interface CheckResult {
  readonly status: CheckStatus
  readonly output: string
}

/** One run, with everything that was left open settled. */
export interface RunRequest {
  readonly definition: CheckDefinition
  /** After so long the runner ends the run. */
  readonly timeoutMs: number
  /** How much of what the target says is kept: its end. */
  readonly outputMaxSizeBytes: number
}

/** What runs share. */
export interface RunTools {
  readonly resolver: Resolver
}

/** A run under way. */
export interface Run {
  /** `timeout`: reports at once what it has. `stopped`: lets go of everything, reports nothing. */
  end(why: 'timeout' | 'stopped'): void
}

/** Starts one run; it reports once, perhaps before this returns. */
export type StartRun = (
  request: RunRequest,
  tools: RunTools,
  report: (result: CheckResult) => void,
) => Run

/** What a definition may ask of the runs of a kind. */
export interface RunBounds {
  /** Shorter intervals are raised to this. */
  readonly intervalMinMs: number
  /** Where none is given, unless the interval is shorter. */
  readonly timeoutMs: number
  readonly timeoutMaxMs: number
}

export interface CheckSchema {
  /** The field that makes a definition one of this kind. */
  readonly field: 'http' | 'tcp' | 'ttlMs'
  /** The other fields of a definition that the kind reads. */
  readonly options: readonly (keyof CheckDefinition)[]
}

/** A kind without `run` is reported by its client, and lapses when it is silent for `ttlMs`. */
export type CheckKind = { readonly kind: string; readonly schema: CheckSchema } & (
  | { readonly run: StartRun; readonly bounds: RunBounds }
  | { readonly run: undefined; readonly bounds: undefined }
)

/** The bounds of kinds that ask over the network. */
export const networkBounds: RunBounds = {
  intervalMinMs: limits.checkIntervalMinMs,
  timeoutMs: limits.checkTimeoutMs,
  timeoutMaxMs: limits.checkTimeoutMaxMs,
}

/** Declares a kind; mod.ts lists them. */
export function defineCheck(kind: CheckKind): CheckKind {
  return kind
}
