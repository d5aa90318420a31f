/**
 * An agent as whoever started it sees it.
 *
 * Owns the types between lifecycle.ts, which starts and stops, and the command line, which waits.
 */
import type { Log } from '../base/log.ts'
import type { SettledConfig } from './config.ts'

/** Where a face listens: with `dns` over UDP and TCP. */
export interface FaceAddress {
  readonly face: 'http' | 'dns'
  readonly host: string
  readonly port: number
}

/** An agent that answers. */
export interface RunningAgent {
  readonly addresses: readonly FaceAddress[]
  /** Drains and closes everything; resolves when nothing of it is left. */
  stop(): Promise<void>
}

/**
 * Starts an agent and resolves when every face answers. A busy port rejects with the system's
 * error (code EADDRINUSE, with `port` and `syscall`), itself or as a cause.
 */
export type StartAgent = (
  config: SettledConfig,
  tools: { readonly log: Log },
) => Promise<RunningAgent>
