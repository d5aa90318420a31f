/**
 * Sinks that are declared by the API: kept in the store, run by the one server that holds the
 * timekeeper's role, for as long as it does.
 *
 * Owns the sealing of their secrets, which nobody is ever shown again, and the telling of their
 * status to the other servers. What one follows is seen with the rights of its own token, never of
 * whoever wrote it.
 */
import { fromText } from '../../base/bytes.ts'
import { refuse } from '../../base/denied.ts'
import { same } from '../../base/equal.ts'
import { messageOf, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { pause } from '../../base/pause.ts'
import type { Sealer } from '../../base/sealer.ts'
import type { Who } from '../../base/who.ts'
import { type Decide, del, isRefusal, put, type Store } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import { type SinkRow, type SinkStatusRow, sinkStatuses, sinks } from '../../store/tables/sink.ts'
import type { Duty } from '../../store/timekeeper.ts'
import type { Reader } from '../../store/view.ts'
import type { Writer } from '../../store/writer.ts'
import type { SinkKind } from './declare.ts'
import { type Once, planOnce } from './once.run.ts'
import {
  deleteSink,
  mayReadSinks,
  mayWriteSinks,
  noSink,
  putSink,
  withKept,
  withoutSecrets,
  withSecrets,
} from './stored.ts'
import type { SinkTask } from './task.run.ts'
import { problemsText, readTask, type TaskDefinition } from './task-definition.ts'
import type { TaskStatus } from './task-status.ts'
import { SinkTasks, type TasksPorts } from './tasks.run.ts'

export interface StoredSinksPorts extends TasksPorts {
  readonly store: Store
  readonly writer: Writer
  readonly sealer: Sealer
  readonly kinds: readonly SinkKind[]
  /** The node of this server, for the status. */
  readonly nodeName: string
}

/** A stored sink as it may be shown. */
export interface ShownSink {
  readonly name: string
  readonly kind: string
  readonly definition: Readonly<Record<string, unknown>>
  /** Undefined while no server has told of it. */
  readonly status: TaskStatus | undefined
  /** The node of the server that runs it, '' for none yet. */
  readonly server: string
  readonly createIndex: number
  readonly modifyIndex: number
}

type Fenced = <A>(decide: Decide<A>) => Decide<A>
type Given = Readonly<Record<string, unknown>>

export class StoredSinks {
  readonly #ports: StoredSinksPorts
  #tasks: SinkTasks | undefined

  constructor(ports: StoredSinksPorts) {
    this.#ports = ports
  }

  /** Writes a sink in the place of the one with its name. */
  async put(who: Who, name: string, given: Given): Promise<true | Refusal> {
    const read = this.#readBody(who, name, given)
    if (isRefusal(read)) return read
    const { definition, whole, sealedBefore } = read
    const { open, secrets } = withoutSecrets(definition.kind, whole)
    const sealed =
      Object.keys(secrets).length === 0 ? '' : this.#ports.sealer.seal(JSON.stringify(secrets))
    const row: SinkRow = { name, given: open, sealed }
    const written = await this.#ports.writer.write(who, (view, by) =>
      putSink(view, by, row, sealedBefore),
    )
    return isRefusal(written) ? written : written.answer
  }

  /** What a sink would change if it were written so; writes nothing, touches nothing. */
  async planOf(who: Who, name: string, given: Given): Promise<Once | Refusal> {
    const read = this.#readBody(who, name, given)
    return isRefusal(read) ? read : this.#plan(read.definition)
  }

  async delete(who: Who, name: string): Promise<true | Refusal> {
    const written = await this.#ports.writer.write(who, (view, by) => deleteSink(view, by, name))
    return isRefusal(written) ? written : written.answer
  }

  /** All of them, by name. */
  async list(who: Who): Promise<readonly ShownSink[] | Refusal> {
    const view = await this.#view(who)
    if (isRefusal(view)) return view
    return view.prefix(sinks, '').map(cell => this.#shown(view, cell))
  }

  async get(who: Who, name: string): Promise<ShownSink | Refusal> {
    const view = await this.#view(who)
    if (isRefusal(view)) return view
    const cell = view.get(sinks, fromText(name))
    return cell === undefined ? noSink(name) : this.#shown(view, cell)
  }

  /** What a stored sink would change now, as this server sees its target. */
  async plan(who: Who, name: string): Promise<Once | Refusal> {
    const lacking = refuse(who, mayWriteSinks)
    if (lacking !== undefined) return lacking
    const view = await this.#view(who)
    if (isRefusal(view)) return view
    const row = view.get(sinks, fromText(name))?.row
    if (row === undefined) return noSink(name)
    const definition = this.#definitionOf(row)
    return typeof definition === 'string' ? new Refusal(500, definition) : this.#plan(definition)
  }

  #plan(definition: TaskDefinition): Promise<Once> {
    const { clock, portsOf, followAs } = this.#ports
    return planOnce(definition, { clock, portsOf, follow: followAs(definition.token) })
  }

  async #view(who: Who): Promise<Reader | Refusal> {
    const lacking = refuse(who, mayReadSinks)
    if (lacking !== undefined) return lacking
    await this.#ports.store.readIndex()
    return this.#ports.store.view()
  }

  #readBody(who: Who, name: string, given: Given) {
    // Before a word of the body is judged: what a machine has is nobody's guess.
    const lacking = refuse(who, mayWriteSinks)
    if (lacking !== undefined) return lacking
    const before = this.#ports.store.view().get(sinks, fromText(name))?.row
    const whole = withKept(given, (before && this.#secretsOf(before)) ?? {})
    const definition = readTask(name, whole, 'api', this.#ports.kinds)
    if ('problems' in definition) return new Refusal(400, problemsText(definition.problems))
    return { definition, whole, sealedBefore: before?.sealed }
  }

  /** Undefined where they were sealed by another key, such as that of another cluster. */
  #secretsOf({ sealed }: SinkRow): Readonly<Record<string, unknown>> | undefined {
    if (sealed === '') return {}
    const text = this.#ports.sealer.open(sealed)
    return text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>)
  }

  #definitionOf(row: SinkRow): TaskDefinition | string {
    const secrets = this.#secretsOf(row)
    if (secrets === undefined) return SEALED_ELSEWHERE
    const whole = withSecrets(row.given, secrets)
    const read = readTask(row.name, whole, 'api', this.#ports.kinds)
    return 'problems' in read ? problemsText(read.problems) : read
  }

  #shown(view: Reader, { row, createIndex, modifyIndex }: Cell<SinkRow>): ShownSink {
    const told = view.get(sinkStatuses, fromText(row.name))?.row
    const definition = this.#definitionOf(row)
    const isBad = typeof definition === 'string'
    return {
      name: row.name,
      kind: String(row.given.kind),
      definition: isBad ? { problem: definition } : definition.shown,
      status: told?.status as TaskStatus | undefined,
      server: told?.server ?? '',
      ...{ createIndex, modifyIndex },
    }
  }

  // --- the one server that runs them

  /** Those that this server runs now. */
  get running(): readonly SinkTask[] {
    return this.#tasks?.all() ?? []
  }

  /** Runs all of them until the signal aborts. */
  readonly duty: Duty = async (signal, fenced) => {
    const tasks = new SinkTasks(this.#ports)
    this.#tasks = tasks
    const telling = this.#tell(tasks, signal, fenced)
    const { clock, log } = this.#ports
    while (!signal.aborted) {
      try {
        await this.#run(tasks, signal)
      } catch (error) {
        log.warn('sinks could not be read from the store', { error: messageOf(error) })
        await pause(clock, limits.sinkStatusMs, signal)
      }
    }
    await tasks.stop()
    await telling
  }

  /** Follows the rows; ends where the feed of the store cannot go on. */
  async #run(tasks: SinkTasks, signal: AbortSignal): Promise<void> {
    const { store } = this.#ports
    const feed = store.feed(store.view().revision)
    await tasks.configure(this.#definitions())
    for (;;) {
      const soon = feed.next(signal)
      const change = soon instanceof Promise ? await soon : soon
      if (change === undefined || change === 'resync') return
      if (!change.events.some(({ table }) => table === sinks)) continue
      await tasks.configure(this.#definitions())
    }
  }

  #definitions(): TaskDefinition[] {
    return this.#ports.store
      .view()
      .prefix(sinks, '')
      .flatMap(({ row }) => {
        const definition = this.#definitionOf(row)
        if (typeof definition !== 'string') return [definition]
        this.#ports.log.warn('a stored sink does not run', { sink: row.name, problem: definition })
        return []
      })
  }

  /** Tells the other servers how the tasks stand, where that changed. */
  async #tell(tasks: SinkTasks, signal: AbortSignal, fenced: Fenced): Promise<void> {
    const { store, clock, log, nodeName: server } = this.#ports
    const told = new Map<string, unknown>()
    while (!signal.aborted) {
      await pause(clock, limits.sinkStatusMs, signal)
      for (const task of tasks.all()) {
        const status = task.status()
        if (signal.aborted || same(told.get(status.name), status)) continue
        told.set(status.name, status)
        const row: SinkStatusRow = { status: { ...status }, server }
        await store
          .write(fenced(view => tellStatus(view, status.name, row)))
          .catch((error: unknown) => {
            told.delete(status.name)
            log.debug('the status of a sink was not told', { error: messageOf(error) })
          })
      }
    }
  }
}

/** Without its secrets a sink would do something else than it was told. */
const SEALED_ELSEWHERE = 'its secrets were sealed by another key: write it again with them'

/** Keeps the status of a sink, unless the sink is gone. */
function tellStatus(view: Reader, name: string, row: SinkStatusRow) {
  const key = fromText(name)
  if (view.get(sinks, key) !== undefined)
    return { txn: [put(sinkStatuses, key, row)], answer: true }
  const isThere = view.get(sinkStatuses, key) !== undefined
  return { txn: isThere ? [del(sinkStatuses, key)] : [], answer: true }
}
