/**
 * The methods between agents: the one list of everything that port 8300 may answer.
 *
 * Owns the list. A test calls each method with every certificate that may not.
 */
import type { RpcMethod } from '../base/rpc.ts'
import { enter, followTrust, renewLeaf } from './join.ts'
import { heartbeat, probe, report } from './live.ts'
import { beat, renew } from './peer.ts'
import { follow } from './view.ts'

/** Every declared method, by its service. */
export const rpcMethods: readonly RpcMethod[] = [
  // join.ts
  enter,
  renewLeaf,
  followTrust,
  // live.ts
  heartbeat,
  probe,
  report,
  // peer.ts
  beat,
  renew,
  // view.ts
  follow,
]
