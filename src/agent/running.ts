/**
 * An agent as whoever started it sees it.
 *
 * Owns the types between lifecycle.ts, which starts and stops, and the command line, which waits.
 */
import type { LiveLog } from '../base/log.ts'
import type { Levels } from '../cluster/features.ts'
import type { ConfigResult, SettledConfig } from './config.ts'

/**
 * Where a face listens: with `dns` over UDP and TCP, with `rpc` for other agents. `unix:///path`
 * as a host is a socket in a file, its port is 0.
 */
export interface FaceAddress {
  readonly face: 'http' | 'https' | 'dns' | 'rpc' | 'secrets' | 'grpc' | 'grpc_tls'
  readonly host: string
  readonly port: number
}

/** An agent that answers. */
export interface RunningAgent {
  readonly addresses: readonly FaceAddress[]
  /** Whether ACLs are on and nobody has made the first token yet. */
  readonly awaitsBootstrap: boolean
  /** The first token of the secrets, where this start made it. Shown once, kept nowhere. */
  readonly rootToken?: string | undefined
  /** The share of the key that unseals it, where this start made one. Shown once, kept nowhere. */
  readonly unsealKey?: string | undefined
  /** Reads the configuration anew; what is wrong with it is given and logged. */
  reload(): Promise<readonly string[]>
  /**
   * Drains and closes everything; resolves when nothing of it is left. One that is `leaving` takes
   * itself out of the cluster too, unless the others need it to decide.
   */
  stop(isLeaving?: boolean): Promise<void>
}

/**
 * Starts an agent and resolves when every face answers. A busy port rejects with the system's
 * error (code EADDRINUSE, with `port` and `syscall`), itself or as a cause.
 */
export type StartAgent = (config: SettledConfig, tools: StartTools) => Promise<RunningAgent>

/** What the command line hands to an agent. */
export interface StartTools {
  readonly log: LiveLog
  /** Reads the configuration as it was read for this start. */
  readonly load: () => Promise<ConfigResult>
  /** Called when a client asks the agent to leave: whoever started it stops it then. */
  readonly leave: () => void
  /** The feature levels of a program of another version, for tests. */
  readonly levels?: Levels
}
