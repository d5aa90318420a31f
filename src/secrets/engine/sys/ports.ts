/**
 * What `sys/` asks of the server that it runs on: handed in when the parts are joined.
 *
 * Owns the types. Whatever is behind them (clocks, files, the cluster) stays outside of the room.
 */

import type { Denials } from '../../denials.ts'
import type { LoginPorts } from '../userpass/ports.ts'
import type { SealAccess, SealOperatorPort } from './seal.run.ts'

/** All ports of the system engine: each file of paths takes what it needs. */
export interface SystemPorts {
  readonly server: ServerPort
  readonly seal: SealOperatorPort
  readonly sealAccess: SealAccess
  /** Why requests were refused. */
  readonly denials: Pick<Denials, 'explain'>
  readonly logins: LoginPorts
}

/** What this server knows of itself without a look into rows. */
export interface ServerPort {
  /** Whether there is a barrier at all. */
  isInitialized(): boolean
  isSealed(): boolean
  /** The name of the cluster, and its id; '' while they are not known. */
  clusterName(): string
  clusterId(): string
  /** The wall clock's milliseconds. */
  nowMs(): number
}
