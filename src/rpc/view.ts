/**
 * The service by which agents without a store follow a server's: views.
 *
 * Owns joining its stream with the store's publisher and, on the other side, its replica. What is
 * told, and to whom, is decided there.
 */
import { messageOf } from '../base/errors.ts'
import { RpcFailure, type RpcService } from '../base/rpc.ts'
import type { Upstream, UpstreamListener } from '../store/replica/engine.ts'
import type { ViewAnswer, ViewRequest } from '../store/replica/messages.ts'
import type { Follower, Publisher } from '../store/replica/publisher.ts'
import type { ServerChannel } from './channels.ts'
import { defineStream, handleStream } from './define.ts'

const PROTO = 'gatehouse/agent/v1/view.proto'

/** Follows what a server's store has of some services, nodes and tokens. */
export const follow = defineStream<ViewRequest, ViewAnswer>(
  PROTO,
  'gatehouse.agent.v1.View/Follow',
  'agents',
)

/** The handlers of a server. */
export const viewService = (publisher: Publisher): RpcService => [
  handleStream(follow, (_call, out) => {
    let follower: Follower
    try {
      follower = publisher.open({
        send: answer => out.send(answer),
        end: reason => out.end(new RpcFailure('UNAVAILABLE', reason)),
      })
    } catch (error) {
      throw new RpcFailure('RESOURCE_EXHAUSTED', messageOf(error), true)
    }
    return {
      onMessage: request => follower.receive(request),
      onDrain: () => follower.drained(),
      onEnd: () => follower.close(),
    }
  }),
]

/** Opens the stream of a replica to some server. */
export const viewUpstream =
  (servers: Pick<ServerChannel, 'open'>) =>
  (listener: UpstreamListener): Upstream => {
    const stream = servers.open(follow, {
      onMessage: answer => listener.onAnswer(answer),
      onEnd: error => listener.onEnd(error?.message ?? 'the server ended it'),
    })
    return { send: request => stream.send(request), close: () => stream.cancel() }
  }
