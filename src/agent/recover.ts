/**
 * Rebuilding a cluster from a disk, for the command line.
 *
 * Owns nothing: brings the store's member and the machine together.
 */
import { silentLog } from '../base/log.ts'
import { connectMember } from '../store/etcd/cluster.ts'
import {
  type RecoverOptions,
  type RecoverPorts,
  type Recovery,
  recoverMember,
} from '../store/etcd/member/recover.ts'

/** Finds the newest disk and, if confirmed, makes it this server's data. See recoverMember. */
export const recoverDisk = (
  options: RecoverOptions,
  ports: Pick<RecoverPorts, 'clock' | 'random' | 'environment'>,
): Promise<Recovery> => recoverMember(options, { ...ports, log: silentLog, connect: connectMember })
