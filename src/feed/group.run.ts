/**
 * Groups: readers of one subject who see the same in the same form, and the frames they share.
 *
 * Owns what of a change a reader is told, and the cutting of long frames into parts. A frame is
 * rendered once for all who stand at the same place; nothing is kept for one reader alone. Must
 * never show an item that the group's principal may not see.
 */
import type { Revision } from '../base/brand.ts'
import { toText } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { loopMs } from '../base/slices.ts'
import { type Access, Lacked, type Who } from '../base/who.ts'
import type { Filter } from '../filter/filter.ts'
import type { View } from '../store/ask.ts'
import { type AnyItem, type AnyTopic, isOfRows } from '../store/topic.ts'
import type { Form, Head } from './form.ts'
import type { ChangeLog, Step } from './log.ts'
import { tokenOf } from './token.ts'

/** What a group shows, and to whom. */
export interface GroupOptions {
  readonly topic: AnyTopic
  readonly log: ChangeLog
  readonly form: Form
  readonly filter: Filter<unknown> | undefined
  readonly who: Who
  /** Whether readers are told that something was left out. */
  readonly tellsFiltered: boolean
  /** The stamp of its tokens. */
  readonly stamp: Buffer
  readonly indexOf: (at: Revision) => number
}

/** A frame, and up to where in the log it brings a reader. */
export interface Frame {
  /** Undefined where there is nothing that he is told. */
  readonly bytes: Buffer | undefined
  readonly to: number
  /** The rest of a frame that is too long to be one. */
  readonly rest: Walk | undefined
  /** What the reader is told up to. */
  readonly at: Revision
}

/** What was left out of a snapshot. */
export interface LeftOut {
  readonly rights: readonly Access[]
  readonly count: number
}

export class Group<R = unknown> {
  readonly options: GroupOptions
  readonly readers = new Set<R>()
  /** Frames by where they begin, for one end of the log. */
  readonly #frames = new Map<string, Frame>()
  #framesEnd = -1
  #beat: { readonly at: Revision; readonly bytes: Buffer } | undefined
  #snapshot: (Frame & { readonly leftOut: LeftOut }) | undefined

  constructor(options: GroupOptions) {
    this.options = options
  }

  /** What brings a reader on from a place in the log; a slow one gets all at once. */
  frameAfter(next: number, at: Revision, isEach: boolean): Frame {
    const { log } = this.options
    if (this.#framesEnd !== log.end) {
      this.#framesEnd = log.end
      this.#frames.clear()
    }
    const key = `${next}${isEach ? ' each' : ''}`
    const known = this.#frames.get(key)
    if (known !== undefined) return known
    const frame = isEach ? this.#eachAfter(next) : this.#one(next, log.end, at)
    // What is long is not kept: whoever is that far behind is alone there.
    if (frame.rest === undefined && this.#frames.size < KEPT_FRAMES) this.#frames.set(key, frame)
    return frame
  }

  #eachAfter(next: number): Frame {
    const { log, form } = this.options
    const joined: Buffer[] = []
    let sizeBytes = 0
    let to = next
    let at = log.at(next).at
    while (to < log.end) {
      at = log.at(to).at
      const frame = this.#one(to, log.endOfRevision(to), at)
      if (frame.rest !== undefined && joined.length > 0) break
      to = frame.to
      if (frame.bytes === undefined) continue
      joined.push(frame.bytes)
      sizeBytes += frame.bytes.length
      if (frame.rest !== undefined) return frame
      if (!form.isJoined || sizeBytes > limits.feedPartSizeBytes) break
    }
    const bytes = joined.length > 1 ? Buffer.concat(joined) : joined[0]
    return { bytes, to, rest: undefined, at }
  }

  #one(from: number, to: number, at: Revision): Frame {
    const steps = this.options.log.steps(from, to)
    return this.#first(new Walk(this, 'delta', steps[Symbol.iterator](), at, to))
  }

  /** A walk that is over in one part is a frame. */
  #first(walk: Walk): Frame {
    const { at, end: to } = walk
    for (;;) {
      const part = walk.next()
      // Steps of a delta are never waited for.
      if (part === 'later' || part instanceof Promise) continue
      return { bytes: part, to, at, rest: walk.isOver ? undefined : walk }
    }
  }

  /** Of what somebody missed who came with a token: it may be nothing. */
  catchUp(steps: readonly Step[], at: Revision): Walk {
    return new Walk(this, 'delta', steps[Symbol.iterator](), at, this.options.log.end)
  }

  /** The whole as one frame, where it is small and nothing changed since it was made. */
  keptSnapshot(since: Revision): (Frame & { readonly leftOut: LeftOut }) | undefined {
    const kept = this.#snapshot
    if (kept === undefined) return undefined
    if (kept.to === this.options.log.end && kept.at >= since) return kept
    this.#snapshot = undefined
    return undefined
  }

  keepSnapshot(bytes: Buffer, walk: Walk): void {
    const { end: to, at, leftOut } = walk
    this.#snapshot = { bytes, to, at, leftOut, rest: undefined }
  }

  /** The whole at a version. */
  snapshot(
    items: Iterator<AnyItem | undefined> | AsyncIterator<AnyItem | undefined>,
    at: Revision,
    view: View | undefined,
  ): Walk {
    return new Walk(this, 'snapshot', itemSteps(items), at, this.options.log.end, view)
  }

  heartbeat(at: Revision): Buffer {
    if (this.#beat?.at !== at) {
      const { form, stamp, indexOf } = this.options
      this.#beat = { at, bytes: form.heartbeat(indexOf(at), tokenOf(stamp, at)) }
    }
    return this.#beat.bytes
  }

  /** Whether an item is shown: it is asked of each, as it is rendered. */
  shows(item: AnyItem): boolean {
    const { topic, who, filter } = this.options
    return topic.may(who, item) && filter?.keeps(item.value) !== false
  }

  /** Whether a reader may have what was there before. */
  had({ before, after, isBeforeUnknown, was }: Step): boolean {
    const { topic, who } = this.options
    if (!isBeforeUnknown) return before !== undefined && this.shows(before)
    for (const item of [before, after]) {
      if (item !== undefined && topic.may(who, item)) return true
    }
    return was?.some(rights => rights.every(one => who.may(one))) === true
  }
}

const KEPT_FRAMES = 64

type Steps = Iterator<Step | undefined> | AsyncIterator<Step | undefined>

function itemSteps(
  items: Iterator<AnyItem | undefined> | AsyncIterator<AnyItem | undefined>,
): Steps {
  const stepOf = (given: IteratorResult<AnyItem | undefined>): IteratorResult<Step | undefined> => {
    if (given.done === true) return given
    const { value } = given
    if (value === undefined) return { done: false, value }
    const { key } = value
    const step = { key, before: undefined, after: value, isBeforeUnknown: false, was: undefined }
    return { done: false, value: step }
  }
  return {
    next() {
      const given = items.next()
      return (given instanceof Promise ? given.then(stepOf) : stepOf(given)) as never
    },
  }
}

/** A frame in parts: each is made when the reader has taken the one before. */
export class Walk {
  /** The version that it goes over, held while it does. */
  readonly view: View | undefined
  readonly at: Revision
  /** Where in the log a reader stands afterwards. */
  readonly end: number
  readonly kind: 'snapshot' | 'delta'
  isOver = false
  /** How many items it has looked at. */
  looked = 0
  readonly #group: Group<unknown>
  readonly #steps: Steps
  readonly #lacked = new Lacked()
  #upserts: { readonly length: number }[] = []
  #removals: { readonly length: number }[] = []
  #size = 0
  #parts = 0
  #arrived: IteratorResult<Step | undefined> | undefined

  constructor(
    group: Group<unknown>,
    kind: Walk['kind'],
    steps: Steps,
    at: Revision,
    end: number,
    view?: View,
  ) {
    this.#group = group
    this.kind = kind
    this.#steps = steps
    this.at = at
    this.end = end
    this.view = view
  }

  /** What was left out of it so far. */
  get leftOut(): LeftOut {
    return this.#lacked
  }

  /**
   * The next part; undefined where there is none, `later` where a slice is over before a part is
   * full, a promise where the items are waited for.
   */
  next(): Buffer | 'later' | undefined | Promise<void> {
    if (this.isOver) return undefined
    const { filter } = this.#group.options
    const look = filter === undefined ? LOOK_STEPS : 1
    const startedMs = loopMs()
    for (let count = 1; ; count++) {
      const given = this.#arrived ?? this.#steps.next()
      this.#arrived = undefined
      if (given instanceof Promise) {
        return given.then(step => {
          this.#arrived = step
        })
      }
      if (given.done === true) return this.#last()
      if (given.value !== undefined) this.#take(given.value)
      if (this.#size >= limits.feedPartSizeBytes) return this.#part(undefined)
      if (count % look === 0 && loopMs() - startedMs > limits.sliceMs / 2) return 'later'
    }
  }

  #take(step: Step): void {
    const { topic, form, who } = this.#group.options
    this.looked++
    const { after, key } = step
    if (after !== undefined && this.#group.shows(after)) {
      if (this.#isAsItWas(step, after)) return
      const made = form.item(topic.name, after)
      this.#upserts.push(made)
      this.#size += made.length
      return
    }
    if (this.kind === 'snapshot') {
      if (!topic.may(who, after!)) this.#note(after!)
    } else if (this.#group.had(step)) {
      const made = form.removal(topic.name, toText(key))
      this.#removals.push(made)
      this.#size += made.length
    }
  }

  /** Whether it changed, and changed back before this reader was told. */
  #isAsItWas({ before, isBeforeUnknown }: Step, after: AnyItem): boolean {
    const { source } = this.#group.options.topic
    if (before === undefined || isBeforeUnknown || !isOfRows(source)) return false
    return source.isSame?.(before, after) === true && this.#group.shows(before)
  }

  /** Notes which right was lacking. */
  #note(item: AnyItem): void {
    const { topic, who } = this.#group.options
    const asking: Who = {
      accessor: who.accessor,
      rights: who.rights,
      may: wanted => {
        const may = who.may(wanted)
        if (!may) this.#lacked.add(wanted)
        return may
      },
    }
    topic.may(asking, item)
  }

  #last(): Buffer | undefined {
    this.isOver = true
    const isEmpty = this.#upserts.length === 0 && this.#removals.length === 0
    if (this.kind === 'delta' && isEmpty && this.#parts === 0) return undefined
    return this.#part(tokenOf(this.#group.options.stamp, this.at))
  }

  #part(resume: string | undefined): Buffer {
    const { topic, form, indexOf, tellsFiltered } = this.#group.options
    const isFiltered = tellsFiltered && resume !== undefined && this.#lacked.count > 0
    const head: Head = { revision: indexOf(this.at), resume, isFiltered }
    const upserts = this.#upserts
    const removals = this.#removals
    this.#upserts = []
    this.#removals = []
    this.#size = 0
    this.#parts++
    return this.kind === 'snapshot'
      ? form.snapshot(topic.name, upserts, head)
      : form.delta(topic.name, upserts, removals, head)
  }
}

const LOOK_STEPS = 16
