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
import type { SecureContext, TlsPems } from '../base/tls.ts'
import type { CheckDefinition, CheckStatus } from '../store/tables/check.ts'
import type { Reader } from '../store/view.ts'
import type { ProgramEnd, ProgramRequest } from './program.ts'

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
  /** Whether a check may connect to this address. */
  readonly mayReach: (address: string) => boolean
  readonly programs: Programs
  /** The variables that programs see. */
  readonly environment: Readonly<Record<string, string>>
  /** Where the Docker engine is, as DOCKER_HOST says; '' for the usual place. */
  readonly dockerHost: string
  /** What is shown and trusted instead of the usual; where it gives undefined, nothing is. */
  readonly agentTls?: () => AgentTls | undefined
}

/** The agent's own certificate and authorities, for checks of services that want one. */
export interface AgentTls {
  readonly context: SecureContext
  readonly pems: TlsPems
  /** Whose certificate is expected where the definition names nobody. */
  readonly serverName: string
}

/** Where programs are run. */
export interface Programs {
  /** Starts a program; `ended` is called once, maybe at once, unless the run is stopped before. */
  start(request: ProgramRequest, ended: (end: ProgramEnd) => void): Run
  /** Ends all that run; resolves when nothing of them is left. */
  close(): Promise<void>
}

/** A run under way. */
export interface Run {
  /** `timeout`: reports, soon, what it has. `stopped`: lets go of everything, reports nothing. */
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
  /** Where none is given. */
  readonly timeoutMs: number
  /** Whether a shorter interval is the time-out where none is given. */
  readonly isTimeoutInterval: boolean
  readonly timeoutMaxMs: number
}

export interface CheckSchema {
  /** Whether a definition asks for this kind. */
  isAskedBy(given: CheckDefinition): boolean
  /** The fields of a definition that the kind reads. */
  readonly fields: readonly (keyof CheckDefinition)[]
}

/** Who is mirrored: everything that stands on a node, or on one service instance there. */
export interface Mirrored {
  readonly node: string
  /** '' for the node itself. */
  readonly serviceId: string
}

/** How a kind follows what the catalog says of others. `node` is the agent's own. */
export interface Mirror {
  target(definition: CheckDefinition, node: string): Mirrored
  /** What the check says by what the view says. `self` is the check, which is not looked at. */
  read(
    view: Reader,
    definition: CheckDefinition,
    self: { readonly node: string; readonly checkId: string },
  ): CheckResult
}

/**
 * A kind is run at its interval, or reported by its client (and lapses when that is silent for
 * `ttlMs`), or a mirror of what the catalog says of others.
 */
export type CheckKind = { readonly kind: string; readonly schema: CheckSchema } & (
  | {
      readonly run: StartRun
      readonly bounds: RunBounds
      readonly mirror?: undefined
      /** Whether it starts programs that its definition names: then it must be switched on. */
      readonly startsPrograms: boolean
    }
  | { readonly run?: undefined; readonly mirror?: undefined }
  | { readonly run?: undefined; readonly mirror: Mirror }
)

/** The bounds of kinds that ask over the network. */
export const networkBounds: RunBounds = {
  intervalMinMs: limits.checkIntervalMinMs,
  timeoutMs: limits.checkTimeoutMs,
  isTimeoutInterval: true,
  timeoutMaxMs: limits.checkTimeoutMaxMs,
}

/** The bounds of kinds that start programs. */
export const programBounds: RunBounds = {
  intervalMinMs: limits.checkIntervalMinMs,
  timeoutMs: limits.checkProgramTimeoutMs,
  isTimeoutInterval: false,
  timeoutMaxMs: limits.checkTimeoutMaxMs,
}

/** Declares a kind; mod.ts lists them. */
export function defineCheck(kind: CheckKind): CheckKind {
  return kind
}
