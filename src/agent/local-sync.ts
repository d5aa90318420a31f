/**
 * Undoes what others write over this agent's entries in the catalog.
 *
 * Owns which entries may be wrong: those that the feed tells of, gathered for a moment so that two
 * who fight over an entry do not spin, and now and then all of them; then entries of this node that
 * the agent knows nothing of are removed, as a node's agent owns what stands on it. Compares with
 * the durable view first: what is right costs no write. The rules are registry/local.ts's and
 * registry/self.ts's.
 */
import { messageOf, type Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import {
  dropUnknownCheck,
  dropUnknownService,
  restoreCheck,
  restoreService,
  type Said,
} from '../registry/local.ts'
import { announceSelf, type Self } from '../registry/self.ts'
import { type Decision, isRefusal, type Op, type Store } from '../store/store.ts'
import { checks } from '../store/tables/check.ts'
import { localChecks, localServices } from '../store/tables/local.ts'
import { underNode } from '../store/tables/names.ts'
import { services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'

export interface LocalSyncPorts {
  readonly store: Store
  readonly timeouts: Timeouts
  readonly log: Log
  /** What the agent knows a check to say. */
  readonly said: (checkId: string) => Said | undefined
}

/** Entries that one write puts right at most. */
const ENTRIES_PER_WRITE = 100

type Suspect =
  | { readonly service: string }
  | { readonly check: string }
  | { readonly unknownService: string }
  | { readonly unknownCheck: string }

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
    const suspects: Suspect[] = [
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
    const wrong: Suspect[] = []
    await inSlices(suspects, one => {
      if (this.#restore(view, one).length > 0) wrong.push(one)
    })
    for (let at = 0; at < wrong.length; at += ENTRIES_PER_WRITE) {
      const some = wrong.slice(at, at + ENTRIES_PER_WRITE)
      await store.write(head => ({
        txn: some.flatMap(one => this.#restore(head, one)),
        answer: undefined,
      }))
      log.info('entries of this agent were put right', { entries: some.length })
    }
    for (const one of wrong) {
      if ('unknownService' in one || 'unknownCheck' in one) {
        log.warn('removed from the catalog what this agent does not know on its node', one)
      }
    }
  }

  /** What stands on this node; services first, since their checks go with them. */
  #strangers(view: Reader): Suspect[] {
    const under = underNode(this.#self.node)
    return [
      ...view.prefix(services, under).map(({ row }) => ({ unknownService: row.id })),
      ...view.prefix(checks, under).map(({ row }) => ({ unknownCheck: row.checkId })),
    ]
  }

  /** What a check says is asked at the last moment: an older word must not overwrite a newer. */
  #restore(view: Reader, suspect: Suspect): Op[] {
    const { node } = this.#self
    if ('service' in suspect) return restoreService(view, node, suspect.service)
    if ('unknownService' in suspect) return dropUnknownService(view, node, suspect.unknownService)
    if ('unknownCheck' in suspect) return dropUnknownCheck(view, node, suspect.unknownCheck)
    const said = this.#ports.said(suspect.check)
    return said === undefined ? [] : restoreCheck(view, node, suspect.check, said)
  }
}
