/**
 * What servers do for agents that are none: take in what those keep on their nodes, tell them what
 * others did there, and remove them as they leave.
 *
 * Owns the order of one exchange (the node first, then entries by whom they are written for, then
 * what the agent does not know) and the one look at the feed for all agents that listen. The rules
 * are agent-sync.ts's.
 */

import { type Clock, sleep } from '../base/clock.ts'
import { messageOf, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import {
  type Authority,
  Caller,
  everybody,
  nothingUnmet,
  principalOf,
  type Who,
} from '../base/who.ts'
import { isRefusal, type Store } from '../store/store.ts'
import { fold } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import type { Reader } from '../store/view.ts'
import type { Part, Writer } from '../store/writer.ts'
import {
  announceAgent,
  definedBy,
  driftBy,
  removeAgent,
  type SyncEntry,
  type SyncOutcome,
  strangersOn,
  syncEntry,
} from './agent-sync.ts'
import { advisoriesOf, asRegistration } from './asked.ts'

/** An agent as its certificate names it. */
export interface SyncingAgent {
  readonly nodeId: string
  /** The other end of its connection. */
  readonly remote: string
}

/** Entries that are written for the same token; '' is nobody's. */
export interface SyncGroup {
  /** A secret. */
  readonly token: string
  readonly entries: readonly SyncEntry[]
}

export interface SyncRequest {
  readonly node: NodeRow
  readonly groups: readonly SyncGroup[]
  /** For what the agent does not know on its node; undefined where not all is looked at. */
  readonly whole:
    | {
        /** The agent's own token: a secret. */
        readonly token: string
        readonly services: ReadonlySet<string>
        readonly checks: ReadonlySet<string>
      }
    | undefined
}

export interface SyncAnswer {
  /** One for each entry, in the order of the groups. */
  readonly outcomes: readonly SyncOutcome[]
  /** Entries that the agent did not know and that are gone now. */
  readonly dropped: number
  /** How many nodes there are: whoever is one of many asks for everything less often. */
  readonly nodes: number
}

export interface AgentSyncOptions {
  readonly store: Store
  readonly writer: Writer
  readonly authority: Pick<Authority, 'authenticate'>
  readonly clock: Clock
  readonly log: Log
}

/** Entries that one write puts right at most. */
const ENTRIES_PER_WRITE = 100

export class AgentSync {
  readonly #options: AgentSyncOptions
  readonly #stopping = new AbortController()
  /** Whoever listens, by the folded name of its node. */
  readonly #listeners = new Map<string, Set<() => void>>()
  #following: Promise<void> = Promise.resolve()

  constructor(options: AgentSyncOptions) {
    this.#options = options
  }

  /** Looks at the feed from now on, for those who listen. */
  start(): void {
    this.#following = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
  }

  /** Takes in what an agent keeps on its node; a refusal where the node itself cannot be. */
  async sync(agent: SyncingAgent, request: SyncRequest): Promise<SyncAnswer | Refusal> {
    const { store } = this.#options
    const node = { ...request.node, id: agent.nodeId }
    const announced = await store.write(view => announceAgent(view, node))
    if (isRefusal(announced)) return announced
    const outcomes: SyncOutcome[] = []
    for (const group of request.groups) {
      outcomes.push(...(await this.#write(agent, node.node, group)))
    }
    const dropped = await this.#dropStrangers(agent, node.node, request.whole)
    return { outcomes, dropped, nodes: store.view().count(nodes) }
  }

  async #dropStrangers(
    agent: SyncingAgent,
    node: string,
    whole: SyncRequest['whole'],
  ): Promise<number> {
    if (whole === undefined) return 0
    const entries = strangersOn(this.#options.store.view(), node, whole)
    if (entries.length === 0) return 0
    const outcomes = await this.#write(agent, node, { token: whole.token, entries })
    return outcomes.filter(({ kind }) => kind === 'stands').length
  }

  async #write(
    agent: SyncingAgent,
    node: string,
    { token, entries }: SyncGroup,
  ): Promise<SyncOutcome[]> {
    const who = this.#whoOf(agent, node, token, entries)
    if (who instanceof Refusal) return entries.map(() => refusedBy(who))
    const outcomes: SyncOutcome[] = []
    for (let at = 0; at < entries.length; at += ENTRIES_PER_WRITE) {
      const some = entries.slice(at, at + ENTRIES_PER_WRITE)
      const parts = some.map(entry => new SyncPart(agent, node, who, entry))
      const written = await this.#options.writer.writeEach(who, parts)
      const answers = isRefusal(written) ? some.map(() => written) : written.answer
      outcomes.push(...answers.map(one => (isRefusal(one) ? refusedBy(one) : one)))
      for (const part of isRefusal(written) ? [] : parts) this.#tellAdvisories(part)
    }
    return outcomes
  }

  #tellAdvisories({ node, entry, by }: SyncPart): void {
    const conditions = by === undefined ? [] : advisoriesOf(by)
    if (conditions.length === 0) return
    const what = 'service' in entry ? { service: entry.service.id } : {}
    const entryName = 'check' in entry ? { check: entry.check.checkId } : what
    this.#options.log.warn('conditions do not hold for what an agent registers', {
      ...{ node, ...entryName, conditions: conditions.join(', ') },
    })
  }

  /** What checks say is recorded by nobody; definitions are, with the agent that brought them. */
  #whoOf(
    agent: SyncingAgent,
    node: string,
    token: string,
    entries: readonly SyncEntry[],
  ): Who | Refusal {
    const who = this.#options.authority.authenticate(token)
    if (who instanceof Refusal || who === everybody) return who
    const isRecorded = entries.some(entry => !('check' in entry) || entry.isFresh)
    if (!isRecorded) return who
    return new Caller(who, {
      ...{ id: '', operation: 'SYNC /agent/{node}', name: node, query: '', body: undefined },
      ...{ remote: agent.remote, forwarder: agent.nodeId, bodySizeBytes: 0, overrides: false },
      ...{ isRenewal: false, recorded: false, ...nothingUnmet },
    })
  }

  /** An agent leaves: its node goes with all that is on it. False where it was gone already. */
  async leave({ nodeId }: SyncingAgent, node: string): Promise<boolean> {
    const written = await this.#options.store.write(view => removeAgent(view, node, nodeId))
    return isRefusal(written) ? false : written.answer
  }

  /** Calls whenever others did something on a node; gives what ends that. */
  listen(node: string, changed: () => void): () => void {
    const key = fold(node)
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(changed))
    return () => {
      listeners.delete(changed)
      if (listeners.size === 0) this.#listeners.delete(key)
    }
  }

  async #follow(): Promise<void> {
    const { store, clock, log } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        const feed = store.feed(store.view().revision)
        let change = await feed.next(signal)
        while (change !== undefined && change !== 'resync') {
          if (this.#listeners.size > 0) {
            for (const event of change.events) this.#tell(driftBy(event))
          }
          const soon = feed.next(signal)
          change = soon instanceof Promise ? await soon : soon
        }
        if (change === undefined) return
        // Anything may have happened.
        for (const node of this.#listeners.keys()) this.#tellListeners(node)
      } catch (error) {
        log.warn('following the store for the agents', { error: messageOf(error) })
        await sleep(clock, limits.agentSyncDelayMs)
      }
    }
  }

  #tell(node: string | undefined): void {
    if (node !== undefined) this.#tellListeners(fold(node))
  }

  #tellListeners(key: string): void {
    for (const changed of this.#listeners.get(key) ?? []) changed()
  }
}

/** One entry of an agent's node, as it is judged: a definition like a registration. */
class SyncPart implements Part<SyncOutcome> {
  readonly node: string
  readonly entry: SyncEntry
  readonly #agent: SyncingAgent
  readonly #who: Who
  /** Whom it was decided for, where it was a definition. */
  by: Who | undefined

  constructor(agent: SyncingAgent, node: string, who: Who, entry: SyncEntry) {
    this.#agent = agent
    this.node = node
    this.#who = who
    this.entry = entry
  }

  readonly who = (view: Reader): Who => {
    const defined = definedBy(view, this.node, this.entry)
    this.by = defined && asRegistration(this.#who, defined, this.#agent.remote)
    // What a check says is governed by nobody.
    return this.by ?? ('check' in this.entry ? principalOf(this.#who) : this.#who)
  }

  readonly decide = (view: Reader, by: Who) => syncEntry(view, by, this.node, this.entry)
}

const refusedBy = ({ status, text }: Refusal): SyncOutcome => ({ kind: 'refused', status, text })
