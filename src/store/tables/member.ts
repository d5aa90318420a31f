/**
 * What servers say of the etcd members that they run, and what the one that looks after all members
 * tells them.
 *
 * Owns row and codec. The rows belong to the running servers: archives leave them out.
 */
import { defineTable, jsonCodec } from '../table.ts'

export interface MemberRow {
  /** The id of its server's node, which is the member's name. */
  readonly nodeId: string
  /** Where the other members, and servers, reach it: `https://host:port`. */
  readonly peerUrl: string
  readonly clientUrl: string
  /** Drawn anew with each empty folder of data: lost data is another member. */
  readonly incarnation: string
  /**
   * `asking`: wants to be added. `added`: may start. `member`: runs as one of the cluster.
   * `leaving`: is to be taken out.
   */
  readonly phase: 'asking' | 'added' | 'member' | 'leaving'
  /** By its server's wall clock; who asked first is added first. */
  readonly askedAtMs: number
  /** Its process is to be started anew, for what etcd reads only then. */
  readonly wantsRestart: boolean
  /** It may do so now. */
  readonly mayRestart: boolean
}

/** The key is the id of the server's node. */
export const storeMembers = defineTable<MemberRow>({
  name: 'store-members',
  prefix: 'system/member/',
  codec: jsonCodec(),
  internal: true,
})
