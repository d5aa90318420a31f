/**
 * The methods between agents: the one list of everything that port 8300 may answer.
 *
 * Owns the list. A test calls each method with every certificate that may not.
 */
import type { RpcMethod } from '../base/rpc.ts'
import { forwardCall } from './call.ts'
import { forwardRequest, forwardSecrets } from './forward.ts'
import { agree, enter, followTrust, meet, renewLeaf } from './join.ts'
import { heartbeat, probe, report } from './live.ts'
import { beat, renew } from './peer.ts'
import { handOver } from './seal.ts'
import { syncLeave, syncPut, syncWatch } from './sync.ts'
import { follow } from './view.ts'

/** Every declared method, by its service. */
export const rpcMethods: readonly RpcMethod[] = [
  // call.ts
  forwardCall,
  // forward.ts
  forwardRequest,
  forwardSecrets,
  // join.ts
  enter,
  renewLeaf,
  meet,
  agree,
  followTrust,
  // live.ts
  heartbeat,
  probe,
  report,
  // peer.ts
  beat,
  renew,
  // seal.ts
  handOver,
  // sync.ts
  syncPut,
  syncLeave,
  syncWatch,
  // view.ts
  follow,
]
