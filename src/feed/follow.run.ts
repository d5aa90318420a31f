/**
 * Following whole state in a server: the port of sinks, over its own feeds.
 *
 * Owns putting frames together into state, and coming again after an end. What rights a follower
 * has is asked each time he comes, and looked after by the feed while he follows.
 */
import { fromText, toText } from '../base/bytes.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Authority } from '../base/who.ts'
import type { AnyItem } from '../store/topic.ts'
import type { Feeds, Following, Outlet } from './feed.run.ts'
import { type Followed, type FollowPort, NOTHING_SEEN } from './follow.ts'
import type { Form, Head } from './form.ts'

/** The JSON text of an item's value, by topic. */
export type ValueTexts = Readonly<Record<string, (value: never) => string>>

/** What followers in a server stand on. */
export interface FollowPorts {
  readonly feeds: Pick<Feeds, 'follow'>
  readonly authority: Pick<Authority, 'authenticate'>
  readonly clock: Clock
  readonly texts: ValueTexts
}

/** A port for whoever has a token: a secret, '' for none. */
export function followAs(ports: FollowPorts, token: string): FollowPort {
  const form = stateForm(ports.texts) as unknown as Form
  return {
    follow(what, on) {
      const follower = new Follower(ports, { what, token, form }, on)
      follower.start(0)
      return { stop: () => follower.stop() }
    },
  }
}

/** Frames as JSON, which becomes the values that are handed on in one reading. */
const stateForm = (texts: ValueTexts): Form<string> => {
  const frame = (text: string): Buffer => Buffer.from(text, 'utf8')
  const headOf = ({ revision, resume, isFiltered }: Head): string =>
    `"revision":${revision},"isLast":${resume !== undefined},"isFiltered":${isFiltered}`
  return {
    name: 'state',
    isJoined: false,
    item: (topic, { key, value }: AnyItem) =>
      `[${JSON.stringify(toText(key))},${texts[topic]!(value as never)}]`,
    removal: (_topic, key) => JSON.stringify(key),
    snapshot: (_topic, items, head) => frame(`{${headOf(head)},"upserts":[${items.join(',')}]}`),
    delta: (_topic, upserts, removals, head) =>
      frame(
        `{${headOf(head)},"upserts":[${upserts.join(',')}],"removals":[${removals.join(',')}]}`,
      ),
    heartbeat: revision => frame(`{"revision":${revision}}`),
    resync: () => frame('{"isAnew":true}'),
  }
}

/** A frame, read. Heartbeats have a revision alone. */
interface Told {
  readonly revision?: number
  readonly isLast?: boolean
  readonly isFiltered?: boolean
  readonly isAnew?: boolean
  readonly upserts?: readonly (readonly [key: string, value: unknown])[]
  readonly removals?: readonly string[]
}

class Follower implements Outlet {
  readonly #ports: FollowPorts
  readonly #asked: { readonly what: Followed; readonly token: string; readonly form: Form }
  readonly #on: Parameters<FollowPort['follow']>[1]
  #items = new Map<string, unknown>()
  #following: Following | undefined
  #timer: Timer | undefined
  #isOver = false

  constructor(
    ports: FollowPorts,
    asked: { readonly what: Followed; readonly token: string; readonly form: Form },
    on: Parameters<FollowPort['follow']>[1],
  ) {
    this.#ports = ports
    this.#asked = asked
    this.#on = on
  }

  start(delayMs: number): void {
    this.#timer = this.#ports.clock.after(delayMs, () => this.#begin())
  }

  stop(): void {
    this.#isOver = true
    this.#timer?.clear()
    this.#following?.close()
  }

  #begin(): void {
    if (this.#isOver) return
    const { feeds, authority } = this.#ports
    const { what, token, form } = this.#asked
    this.#items = new Map()
    const who = authority.authenticate(token)
    if (who instanceof Refusal) {
      this.end(who)
      return
    }
    const { topic, subject, filter } = what
    const wanted = { topic, subject: fromText(subject), filter }
    const request = { ...wanted, resume: '', heartbeatMs: 0, isStale: false, isStrict: true }
    const following = feeds.follow(request, { who, token, request: undefined }, form, this)
    if (following instanceof Refusal) this.end(following)
    else this.#following = following
  }

  send(bytes: Buffer): boolean {
    const {
      isAnew,
      isLast,
      isFiltered,
      revision = 0,
      upserts = [],
      removals = [],
    }: Told = JSON.parse(bytes.toString())
    if (isAnew === true) this.#items = new Map()
    for (const [key, value] of upserts) this.#items.set(key, value)
    for (const key of removals) this.#items.delete(key)
    if (isLast !== true || this.#isOver) return true
    if (isFiltered === true && this.#items.size === 0) this.#on.lost(NOTHING_SEEN)
    else this.#on.state(new Map(this.#items), revision)
    return true
  }

  /** It comes again after a while. */
  end({ text }: Refusal): void {
    this.#following = undefined
    if (this.#isOver) return
    this.start(limits.feedRetryMs)
    this.#on.lost(text)
  }
}
