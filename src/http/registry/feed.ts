/**
 * The paths of feeds: `/v1/feed/`, as server-sent events.
 *
 * Owns how frames are written as events (the HTML standard, "Server-sent events"), and which text
 * stands for an item: that of Consul's own lists. What is told when is the feed room's.
 */
import { toText } from '../../base/bytes.ts'
import { parseDurationMs } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Feeds, Following, Outlet } from '../../feed/feed.run.ts'
import type { ValueTexts } from '../../feed/follow.run.ts'
import type { Form, Head } from '../../feed/form.ts'
import type { ServiceTags } from '../../registry/catalog.ts'
import type { AnyItem, AnyTopic } from '../../store/topic.ts'
import {
  type ActingRequest,
  acting,
  anonymous,
  definePath,
  json,
  type PathDeclaration,
} from '../declare.ts'
import { chunkOf, type PushedReply, type PushSink } from '../push.ts'
import { flag, string } from '../query.ts'
import { list, object, text } from '../shape.ts'
import { configEntryText } from './config.ts'
import { intentionText } from './intention.ts'
import { renderEntry } from './kv.ts'
import type { Wire } from './wire.ts'

/** The texts of the registry's topics: those of its own lists. */
export const feedTexts = (wire: Wire): ValueTexts => ({
  health: wire.health,
  nodes: wire.node,
  services: ({ name, tags }: ServiceTags) =>
    `{"Name":${JSON.stringify(name)},"Tags":${JSON.stringify(tags)}}`,
  kv: renderEntry,
  config: configEntryText,
  intentions: intentionText,
  ...{ roots: JSON.stringify, certificates: JSON.stringify, leases: JSON.stringify },
})

const EVENT_STREAM = 'text/event-stream'

/** Frames as events. */
function eventForm(texts: ValueTexts): Form<string> {
  const textOf = (topic: string, { value }: AnyItem): string => texts[topic]!(value as never)
  const event = (name: string, data: string, id?: string): Buffer =>
    chunkOf(`event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`)
  const headOf = ({ revision, resume, isFiltered }: Head): string => {
    const last = resume === undefined ? '' : ',"last":true'
    return `"revision":${revision}${last}${isFiltered ? ',"filtered":true' : ''}`
  }
  return {
    name: 'sse',
    isJoined: true,
    item: (topic, item) =>
      `{"key":${JSON.stringify(toText(item.key))},"revision":${item.index},"value":${textOf(topic, item)}}`,
    removal: (_topic, key) => JSON.stringify(key),
    snapshot: (_topic, items, head) =>
      event('snapshot', `{${headOf(head)},"items":[${items.join(',')}]}`, head.resume),
    delta: (_topic, upserts, removals, head) =>
      event(
        'delta',
        `{${headOf(head)},"upserts":[${upserts.join(',')}],"deletes":[${removals.join(',')}]}`,
        head.resume,
      ),
    heartbeat: (revision, resume) => event('heartbeat', `{"revision":${revision}}`, resume),
    resync: reason => event('resync', `{"reason":"${reason}"}`),
  }
}

/** What the paths stand on. */
export interface FeedPaths {
  readonly feeds: Feeds
  readonly texts: ValueTexts
  /** Those of the registry. */
  readonly topics: readonly AnyTopic[]
}

/** What is known of a topic before there is one. */
type TopicHead = Pick<AnyTopic, 'name' | 'subject' | 'summary' | 'access'>

/** The topics of the secrets' half, which hands them to the feed room itself. */
const ofSecrets: readonly TopicHead[] = [
  {
    name: 'roots',
    subject: '',
    summary: 'The certificates of the authorities of PKI mounts.',
    access: () => [],
  },
  {
    name: 'certificates',
    subject: 'mount',
    summary: 'Stored certificates of a PKI mount that are due for renewal, until they end.',
    access: () => [],
  },
  {
    name: 'leases',
    subject: 'prefix',
    summary: 'Leases whose ids begin with a prefix, and when they end.',
    access: () => [],
  },
]

/** The paths of all topics, and their list. */
export function feedPaths({ feeds, texts, topics }: FeedPaths): PathDeclaration[] {
  const form = eventForm(texts)
  const all = [...topics, ...ofSecrets]
  return [listPath(feeds), ...all.map(topic => topicPath(feeds, topic, form))]
}

function listPath(feeds: Feeds): PathDeclaration {
  const shape = object({
    Topic: text,
    Path: text,
    Subject: text,
    Summary: text,
    Fields: list(text),
  })
  return definePath({
    where: 'servers',
    path: '/v1/feed',
    operations: {
      GET: acting({
        summary: 'The topics that can be followed.',
        query: {},
        body: undefined,
        answers: { 200: { json: list(shape), help: 'topics, with what filters may select' } },
        access: anonymous,
        run: () => json(feeds.topics.map(topicJson)),
      }),
    },
  })
}

const pathOf = ({ name, subject }: TopicHead): string =>
  subject === '' ? `/v1/feed/${name}` : `/v1/feed/${name}/{${subject}}`

const topicJson = (topic: AnyTopic) => ({
  Topic: topic.name,
  Path: pathOf(topic),
  Subject: topic.subject,
  Summary: topic.summary,
  Fields: Object.keys(topic.fields),
})

const query = {
  filter: string('Which items, as an expression over the fields of their values.'),
  resume: string('Goes on behind this token, as the Last-Event-ID header does.'),
  heartbeat: string('How often something is told at least, as a duration.'),
  stale: flag('Begins with what this server knows, without asking the store.'),
  strict: flag('403 where the rights on the whole are lacking, instead of what may be seen.'),
}

function topicPath(feeds: Feeds, topic: TopicHead, form: Form<string>): PathDeclaration {
  return definePath({
    where: 'servers',
    path: pathOf(topic),
    operations: {
      GET: acting({
        summary: `Follows: ${topic.summary}`,
        query,
        body: undefined,
        answers: {
          200: { stream: 'Events: snapshot, then delta and heartbeat.', type: EVENT_STREAM },
        },
        // The secrets know their own tokens.
        access: ofSecrets.includes(topic) ? anonymous : subject => topic.access(subject),
        run: request => follow(feeds, topic, form, request),
      }),
    },
  })
}

interface FollowQuery {
  readonly filter: string
  readonly resume: string
  readonly heartbeat: string
  readonly stale: boolean
  readonly strict: boolean
}

function follow(
  feeds: Feeds,
  { name: topic }: TopicHead,
  form: Form<string>,
  { bytes: subject, query: given, who, token, lastEventId }: ActingRequest<FollowQuery, undefined>,
): PushedReply | Refusal {
  if (!feeds.topics.some(({ name }) => name === topic)) {
    return new Refusal(501, `not served yet: the feed of ${topic}`)
  }
  const heartbeatMs = heartbeatOf(given.heartbeat)
  if (heartbeatMs instanceof Refusal) return heartbeatMs
  const resume = given.resume || lastEventId
  const { filter, stale: isStale, strict: isStrict } = given
  const outlet = new EventOutlet()
  const following = feeds.follow(
    { topic, subject, filter, resume, heartbeatMs, isStale, isStrict },
    { who: who.principal, token, request: who.request },
    form as unknown as Form,
    outlet,
  )
  if (following instanceof Refusal) return following
  return {
    status: 200,
    type: EVENT_STREAM,
    // Proxies that gather answers would keep an event until there are more.
    headers: { 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' },
    begin(sink) {
      outlet.begin(sink, following)
      return { drained: () => following.drained() }
    },
    leave: () => following.close(),
  }
}

/** From when the head is sent, a reader's frames go to its connection. */
class EventOutlet implements Outlet {
  #sink: PushSink | undefined
  /** What came before that: one frame, as nothing is told behind one that was not taken. */
  #early: Buffer | undefined
  #ended: Refusal | undefined

  get isCopying(): boolean {
    return this.#sink?.isCopying === true
  }

  begin(sink: PushSink, following: Following): void {
    this.#sink = sink
    sink.write(RETRY)
    if (this.#early !== undefined && sink.write(this.#early)) following.drained()
    this.#early = undefined
    if (this.#ended !== undefined) this.end(this.#ended)
  }

  send(frame: Buffer): boolean {
    if (this.#sink !== undefined) return this.#sink.write(frame)
    this.#early = frame
    return false
  }

  end(refusal: Refusal): void {
    this.#ended = refusal
    const { status, text: why } = refusal
    this.#sink?.write(chunkOf(`event: error\ndata: ${JSON.stringify({ status, text: why })}\n\n`))
    this.#sink?.end()
  }
}

/** How long a client waits before it comes again. */
const RETRY = chunkOf(`retry: ${limits.feedRetryMs}\n\n`)

function heartbeatOf(given: string): number | Refusal {
  if (given === '') return 0
  const durationMs = parseDurationMs(given)
  if (durationMs === undefined) return new Refusal(400, 'Invalid heartbeat')
  return Math.min(Math.max(durationMs, limits.feedHeartbeatMinMs), limits.feedHeartbeatMaxMs)
}
