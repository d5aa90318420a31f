/**
 * Undoes what others write over this agent's entries in the catalog.
 *
 * Owns which entries may be wrong: those that the feed tells of, gathered for a moment so that two
 * who fight over an entry do not spin, and now and then all of them; then entries of this node that
 * the agent knows nothing of are removed, as a node's agent owns what stands on it. Compares with
 * the durable view first: what is right costs no write. Each entry is written for whoever publishes
 * it (publishers.ts); the server's own are the server's. The rules are registry/local.ts's and
 * registry/self.ts's.
 */
import { refuse } from '../base/denied.ts'
import { messageOf, type Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { Who } from '../base/who.ts'
import { asRegistration } from '../registry/asked.ts'
import {
  definedInFile,
  dropUnknownCheck,
  dropUnknownService,
  type Entry,
  publishAccess,
  restoreCheck,
  restoreService,
  type Said,
} from '../registry/local.ts'
import { announceSelf, type Self } from '../registry/self.ts'
import { Overlay } from '../store/overlay.ts'
import { type Decision, isRefusal, type Op, type Store } from '../store/store.ts'
import { checks } from '../store/tables/check.ts'
import { localChecks, localServices } from '../store/tables/local.ts'
import { underNode } from '../store/tables/names.ts'
import { services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import type { Part, Writer } from '../store/writer.ts'
import type { Publishers } from './publishers.ts'

export interface LocalSyncPorts {
  readonly store: Store
  readonly timeouts: Timeouts
  readonly log: Log
  readonly writer: Writer
  readonly publishers: Publishers
  /** What the agent knows a check to say. */
  readonly said: (checkId: string) => Said | undefined
}

/** Entries that one write puts right at most. */
const ENTRIES_PER_WRITE = 100

export class LocalSync {
  readonly #ports: LocalSyncPorts
  #self: Self
  #services = new Set<string>()
  #checks = new Set<string>()
  #isWhole = false
  #delay: Timeout | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(ports: LocalSyncPorts, self: Self) {
    this.#ports = ports
    this.#self = self
  }

  /** What the server says of itself changed: the next `announce` writes it. */
  describe(self: Self): void {
    this.#self = self
  }

  /** An entry may be wrong; without a name it is the server's own. It is looked at soon. */
  suspect(what: { readonly service?: string; readonly check?: string }): void {
    if (what.service !== undefined) this.#services.add(what.service)
    if (what.check !== undefined) this.#checks.add(what.check)
    this.#delay ??= this.#ports.timeouts.after(limits.agentSyncDelayMs, () => {
      this.#delay = undefined
      void this.run()
    })
  }

  /** Any entry may be wrong. */
  suspectAll(): void {
    const view = this.#ports.store.view()
    const under = underNode(this.#self.node)
    for (const { row } of view.prefix(localServices, under)) this.#services.add(row.service.id)
    for (const { row } of view.prefix(localChecks, under)) this.#checks.add(row.check.checkId)
    this.#isWhole = true
    this.suspect({})
  }

  /** Looks at what may be wrong. Faults of the store are logged: the next time comes by itself. */
  run(): Promise<void> {
    this.#running = this.#running
      .then(() => this.#run())
      .catch((error: unknown) =>
        this.#ports.log.warn('entries of this agent were not put right', {
          error: messageOf(error),
        }),
      )
    return this.#running
  }

  /** Starts nothing any more; resolves when what is under way is over. */
  stop(): Promise<void> {
    this.#delay?.cancel()
    this.#services.clear()
    this.#checks.clear()
    return this.#running
  }

  /** Puts the server's own entries where they differ. */
  async announce(): Promise<true | Refusal> {
    const { store } = this.#ports
    const decide = (view: Reader): Decision<true> | Refusal =>
      announceSelf(view, this.#self, !store.supports.shared)
    const looked = decide(store.view())
    if (!isRefusal(looked) && looked.txn.length === 0) return true
    const written = await store.write(decide)
    return isRefusal(written) ? written : true
  }

  async #run(): Promise<void> {
    const suspects: Entry[] = [
      ...[...this.#services].map(service => ({ service })),
      ...[...this.#checks].map(check => ({ check })),
    ]
    const isWhole = this.#isWhole
    this.#services = new Set()
    this.#checks = new Set()
    this.#isWhole = false
    const { store, log } = this.#ports
    const announced = await this.announce()
    if (isRefusal(announced)) log.error(announced.text)
    const view = store.view()
    if (isWhole) suspects.push(...this.#strangers(view))
    const wrong: Entry[] = []
    // A service that is put right brings its checks: each is looked at with those before it.
    const after = new Overlay(view)
    await inSlices(suspects, one => {
      const ops = this.#restore(after, one)
      after.apply(ops)
      if (ops.length > 0) wrong.push(one)
      else this.#ports.publishers.settled(one)
    })
    for (const [who, entries] of this.#byPublisher(view, wrong)) {
      for (let at = 0; at < entries.length; at += ENTRIES_PER_WRITE) {
        await this.#putRight(who, entries.slice(at, at + ENTRIES_PER_WRITE))
      }
    }
  }

  /** Entries by whom they are written for; those that nobody may write are told of and left. */
  #byPublisher(view: Reader, wrong: readonly Entry[]): ReadonlyMap<Who, Entry[]> {
    const { publishers } = this.#ports
    const groups = new Map<Who, Entry[]>()
    for (const one of wrong) {
      const who = publishers.of(view, one)
      if (isRefusal(who)) publishers.heldBack(one, who)
      else if (groups.has(who)) groups.get(who)!.push(one)
      else groups.set(who, [one])
    }
    return groups
  }

  async #putRight(who: Who, entries: readonly Entry[]): Promise<void> {
    const { log, publishers, writer } = this.#ports
    const parts = entries.map(one => this.#partOf(who, one))
    const written = await writer.writeEach(who, parts)
    if (isRefusal(written)) {
      for (const one of entries) publishers.heldBack(one, written)
      return
    }
    const right: Entry[] = []
    for (const [at, answer] of written.answer.entries()) {
      const one = entries[at]!
      if (isRefusal(answer)) publishers.heldBack(one, answer)
      else if (answer) right.push(one)
    }
    if (right.length > 0)
      log.info('entries of this agent were put right', { entries: right.length })
    for (const one of right) {
      publishers.settled(one)
      if ('unknownService' in one || 'unknownCheck' in one) {
        log.warn('removed from the catalog what this agent does not know on its node', one)
      }
    }
  }

  /**
   * An entry that is written for somebody; the answer is whether anything was wrong. What files
   * define is judged as if it were registered; what clients registered was judged then.
   */
  #partOf(who: Who, one: Entry): Part<boolean> {
    const { node, address } = this.#self
    return {
      who: view => {
        const defined = definedInFile(view, node, one)
        return defined === undefined ? who : asRegistration(who, defined, address)
      },
      decide: (view, by) => {
        const refusal = refuse(by, publishAccess(view, node, one))
        if (refusal !== undefined) return refusal
        const ops = this.#restore(view, one)
        return { txn: ops, answer: ops.length > 0 }
      },
    }
  }

  /** What stands on this node; services first, since their checks go with them. */
  #strangers(view: Reader): Entry[] {
    const under = underNode(this.#self.node)
    return [
      ...view.prefix(services, under).map(({ row }) => ({ unknownService: row.id })),
      ...view.prefix(checks, under).map(({ row }) => ({ unknownCheck: row.checkId })),
    ]
  }

  /** What a check says is asked at the last moment: an older word must not overwrite a newer. */
  #restore(view: Reader, suspect: Entry): Op[] {
    const { node } = this.#self
    if ('service' in suspect) return restoreService(view, node, suspect.service)
    if ('unknownService' in suspect) return dropUnknownService(view, node, suspect.unknownService)
    if ('unknownCheck' in suspect) return dropUnknownCheck(view, node, suspect.unknownCheck)
    const said = this.#ports.said(suspect.check)
    if (said === undefined) return []
    const isHeldBack = this.#ports.publishers.isHeldBack(suspect)
    return restoreCheck(view, node, suspect.check, said, isHeldBack)
  }
}
