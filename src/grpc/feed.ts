/**
 * The change feed over gRPC: gatehouse.v1.Feed.
 *
 * Owns what a request asks for, and that a reader is given the next frame when the one before is on
 * its way. What is told when is the feed room's; how frames are encoded stands in feed-form.ts.
 */
import { fromText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Feeds, Following, Outlet } from '../feed/feed.run.ts'
import type { ValueTexts } from '../feed/follow.run.ts'
import {
  anonymous,
  type GrpcCall,
  type GrpcMethod,
  type GrpcOut,
  serverStream,
  unary,
} from './declare.ts'
import { feedForm } from './feed-form.ts'
import { type DurationMessage, type Maybe, msOf } from './registry/values.ts'

/** What the service stands on. */
export interface FeedGrpcPorts {
  readonly feeds: Feeds
  readonly datacenter: string
  /** The JSON of topics without a message of their own. */
  readonly texts: ValueTexts
}

interface FollowMessage {
  readonly topic: string
  readonly subject: string
  readonly filter: string
  readonly resume: string
  readonly heartbeat: Maybe<DurationMessage>
  readonly stale: boolean
}

/** The methods of the feed. */
export const feedService = (ports: FeedGrpcPorts): readonly GrpcMethod[] => {
  const forms = formsOf(ports)
  return [
    serverStream<FollowMessage, never>({
      protoFile: 'gatehouse/v1/feed.proto',
      path: 'gatehouse.v1.Feed/Follow',
      summary: 'Follows a topic: a snapshot, then what changes.',
      effect: 'reads',
      // What may not be seen is left out; whose a token is, the topic knows.
      access: anonymous,
      nameOf: ({ topic, subject }) => (subject === '' ? topic : `${topic}/${subject}`),
      followsRights: true,
      isPaced: true,
      async run(request, call, out) {
        const form = await forms()
        return follow(ports.feeds, form, request, call, out)
      },
    }),
    unary<object, object>({
      protoFile: 'gatehouse/v1/feed.proto',
      path: 'gatehouse.v1.Feed/ListTopics',
      summary: 'The topics that can be followed.',
      effect: 'reads',
      access: anonymous,
      run: () => ({
        topics: ports.feeds.topics.map(({ name, subject, summary }) => ({
          ...{ name, subject, summary },
        })),
      }),
    }),
  ]
}

type LoadedForm = Awaited<ReturnType<typeof feedForm>>

/** The form, loaded when somebody follows for the first time. */
function formsOf(ports: FeedGrpcPorts): () => Promise<LoadedForm> {
  let loading: Promise<LoadedForm> | undefined
  return () => {
    loading ??= feedForm(ports.datacenter, ports.texts)
    return loading
  }
}

function follow(
  feeds: Feeds,
  form: LoadedForm,
  { topic, subject, filter, resume, heartbeat, stale: isStale }: FollowMessage,
  call: GrpcCall,
  out: GrpcOut<never>,
): Promise<Refusal | undefined> | Refusal {
  const { who, token, signal } = call
  const heartbeatMs = heartbeatOf(heartbeat)
  return new Promise(resolve => {
    const outlet = new StreamOutlet(out, resolve)
    const following = feeds.follow(
      { topic, subject: fromText(subject), filter, resume, heartbeatMs, isStale },
      { who: who.principal, token, request: who.request },
      form,
      outlet,
    )
    if (following instanceof Refusal) {
      resolve(following)
      return
    }
    outlet.following = following
    const leave = (): void => {
      following.close()
      resolve(undefined)
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
}

/** A frame is taken when it has left the process: no more than one waits for a slow reader. */
class StreamOutlet implements Outlet {
  following: Following | undefined
  /** The library copies each message. */
  readonly isCopying = true
  readonly #out: GrpcOut<never>
  readonly #ended: (refusal: Refusal) => void

  constructor(out: GrpcOut<never>, ended: (refusal: Refusal) => void) {
    this.#out = out
    this.#ended = ended
  }

  send(frame: Buffer): boolean {
    if (this.#out.send(frame)) return true
    void this.#out.drained().then(() => this.following?.drained())
    return false
  }

  end(refusal: Refusal): void {
    this.#ended(refusal)
  }
}

function heartbeatOf(given: Maybe<DurationMessage>): number {
  const ms = msOf(given) ?? 0
  if (ms <= 0) return 0
  return Math.min(Math.max(ms, limits.feedHeartbeatMinMs), limits.feedHeartbeatMaxMs)
}
