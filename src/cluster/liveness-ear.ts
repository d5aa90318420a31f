/**
 * What one server hears: the heartbeats of the agents that are connected to it.
 *
 * Owns who is heard, when one counts as silent, and what of it the timekeeper's holder has not been
 * told. What was told and may not have arrived is told again: a difference says how things are, so
 * that hearing it twice changes nothing. No clock, no I/O; a beat costs the same however many
 * agents there are.
 */
import { limits } from '../base/limits.ts'
import type { Difference } from './liveness.ts'

/** What an agent found that looked after another. */
export interface Finding {
  readonly prober: string
  readonly target: string
  readonly isReachable: boolean
}

export interface EarReport extends Difference {
  readonly findings: readonly Finding[]
}

interface Agent {
  readonly id: string
  address: string
  /** The stream that counts: a newer one of the same agent replaces it. */
  stream: number
  heardMs: number
  /** The stream ended, and no other one has come. */
  isClosed: boolean
}

type News = 'came' | 'silent' | 'left'

export class Ear {
  /** In the order in which they were last heard. */
  readonly #agents = new Map<string, Agent>()
  readonly #closed = new Map<string, Agent>()
  #news = new Map<string, { news: News; address: string }>()
  #findings: Finding[] = []
  #streams = 0
  /** Those that a whole report has still to list; undefined where none is under way. */
  #unlisted: string[] | undefined
  #isFirstPage = false
  #isFull = false

  /** How many are heard. */
  get size(): number {
    return this.#agents.size
  }

  /** How long agents are to wait between two beats, so that hearing all costs a bounded part. */
  get paceMs(): number {
    const spread = (this.#agents.size / limits.heartbeatsPerSecond) * 1000
    return Math.min(Math.max(limits.heartbeatMs, spread), limits.heartbeatMaxMs)
  }

  /** An agent connected, reached at `address`; gives the stream's number. */
  opened(id: string, address: string, nowMs: number): number {
    const stream = ++this.#streams
    const known = this.#agents.get(id)
    this.#agents.delete(id)
    this.#closed.delete(id)
    this.#agents.set(id, { id, address, stream, heardMs: nowMs, isClosed: false })
    if (known?.address !== address) this.#news.set(id, { news: 'came', address })
    return stream
  }

  /** Whether a stream is the one that counts for its agent. */
  isCurrent(id: string, stream: number): boolean {
    return this.#agents.get(id)?.stream === stream
  }

  /** A beat came. False where the agent was given up meanwhile, and has to connect anew. */
  beat(id: string, stream: number, nowMs: number): boolean {
    const agent = this.#agents.get(id)
    if (agent === undefined || agent.stream !== stream) return false
    agent.heardMs = nowMs
    this.#agents.delete(id)
    this.#agents.set(id, agent)
    return true
  }

  /** A stream ended. Its agent is silent soon, unless it connects again. */
  closed(id: string, stream: number, nowMs: number): void {
    const agent = this.#agents.get(id)
    if (agent === undefined || agent.stream !== stream || agent.isClosed) return
    agent.isClosed = true
    agent.heardMs = nowMs
    this.#closed.set(id, agent)
  }

  /** An agent said that it leaves for good. */
  left(id: string, stream: number): void {
    if (this.isCurrent(id, stream)) this.#drop(id, 'left')
  }

  #drop(id: string, news: News): void {
    this.#agents.delete(id)
    this.#closed.delete(id)
    this.#news.set(id, { news, address: '' })
  }

  found(finding: Finding): void {
    if (this.#findings.length < limits.livenessReportNodes) this.#findings.push(finding)
  }

  /** The holder knows nothing of this server: what is told from now on lists everybody. */
  startWhole(): void {
    this.#unlisted = [...this.#agents.keys()]
    this.#isFirstPage = true
    // Those who are heard are listed anyway; those who are not, are not.
    for (const [id, { news }] of this.#news) if (news !== 'left') this.#news.delete(id)
  }

  /** Whether the report that was taken last could not hold everything. */
  get hasMore(): boolean {
    return this.#unlisted !== undefined || this.#isFull
  }

  /** What the holder should be told now. */
  take(nowMs: number): EarReport {
    this.#giveUp(nowMs)
    const came: { id: string; address: string }[] = []
    const [silent, left]: [string[], string[]] = [[], []]
    let room: number = limits.livenessReportNodes
    for (const [id, { news, address }] of this.#news) {
      if (room === 0) break
      room--
      this.#news.delete(id)
      if (news === 'came') came.push({ id, address })
      else if (news === 'silent') silent.push(id)
      else left.push(id)
    }
    this.#isFull = this.#news.size > 0
    const findings = this.#findings
    this.#findings = []
    const report = { came, silent, left, findings }
    if (this.#unlisted === undefined) return report
    const isFirst = this.#isFirstPage
    this.#isFirstPage = false
    for (; room > 0; room--) {
      const id = this.#unlisted.pop()
      if (id === undefined) break
      const agent = this.#agents.get(id)
      if (agent !== undefined) came.push({ id, address: agent.address })
    }
    const isLast = this.#unlisted.length === 0 && this.#news.size === 0
    if (isLast) this.#unlisted = undefined
    return { ...report, whole: { isFirst, isLast } }
  }

  /** A report may not have arrived: what it said is told again, unless something newer is known. */
  untold({ came, silent, left, findings, whole }: EarReport): void {
    const again = new Map<string, { news: News; address: string }>()
    for (const { id, address } of came) again.set(id, { news: 'came', address })
    for (const id of silent) again.set(id, { news: 'silent', address: '' })
    for (const id of left) again.set(id, { news: 'left', address: '' })
    for (const [id, news] of this.#news) again.set(id, news)
    this.#news = again
    this.#findings = [...findings, ...this.#findings].slice(0, limits.livenessReportNodes)
    if (whole !== undefined) this.startWhole()
  }

  #giveUp(nowMs: number): void {
    const silenceMs = Math.max(limits.silenceMs, limits.silenceBeats * this.paceMs)
    for (const { id, heardMs } of this.#agents.values()) {
      if (nowMs - heardMs < silenceMs) break
      this.#drop(id, 'silent')
    }
    for (const { id, heardMs } of this.#closed.values()) {
      if (nowMs - heardMs < limits.reconnectMs) break
      this.#drop(id, 'silent')
    }
  }
}
