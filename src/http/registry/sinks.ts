/**
 * The paths of sinks: `/v1/sinks`, those that are stored, and `/v1/agent/sinks`, those of the
 * agent's own configuration. Ours; Consul has neither.
 *
 * Owns how a sink and its status are told. What may be declared by a request, and that secrets are
 * never shown again, is the feed room's (feed/sink/).
 */
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { access, type Who } from '../../base/who.ts'
import type { Once } from '../../feed/sink/once.run.ts'
import type { ShownSink, StoredSinks } from '../../feed/sink/stored.run.ts'
import { mayReadSinks, mayWriteSinks } from '../../feed/sink/stored.ts'
import type { SinkTask } from '../../feed/sink/task.run.ts'
import type { TaskStatus } from '../../feed/sink/task-status.ts'
import type { SinkTasks } from '../../feed/sink/tasks.run.ts'
import { isRefusal } from '../../store/store.ts'
import { acting, definePath, json, type PathDeclaration } from '../declare.ts'
import { flag } from '../query.ts'
import { anything, bool, either, int, list, map, object, text } from '../shape.ts'

const countsShape = object({
  States: int,
  Applied: int,
  Unchanged: int,
  Refused: int,
  Failed: int,
  Held: int,
})
const eventShape = object({ At: text, What: text, Revision: int, Text: text })
const planShape = object({ At: text, Changes: list(text) })
const errorShape = object({ At: text, Revision: int, Text: text })
const statusShape = object({
  Phase: text,
  Detail: text,
  Revision: int,
  AppliedRevision: int,
  AppliedAt: text,
  NextTryAt: text,
  Summary: text,
  Problems: list(text),
  LastPlan: planShape,
  LastError: errorShape,
  Counts: countsShape,
  Events: list(eventShape),
})
const common = { Name: text, Kind: text, Definition: map(anything), Status: statusShape }
const storedShape = object({ ...common, Server: text, CreateIndex: int, ModifyIndex: int })
const ownShape = object(common)
const onceShape = object({
  Outcome: text,
  Text: text,
  Changes: list(text),
  Problems: list(text),
  Summary: text,
  Revision: int,
})

const plan = flag('What would change in its target, instead; nothing is touched.')

/** The paths of stored sinks. */
export function sinkPaths(stored: StoredSinks): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/sinks',
      operations: {
        GET: acting({
          summary: 'The stored sinks, by name, with their status.',
          query: {},
          body: undefined,
          answers: { 200: { json: list(storedShape), help: 'sinks' } },
          access: () => mayReadSinks,
          async run({ who }) {
            const sinks = await stored.list(who)
            return isRefusal(sinks) ? sinks : json(sinks.map(storedJson))
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/sinks/{name}',
      operations: {
        GET: acting({
          summary: 'A stored sink with its status.',
          query: { plan },
          body: undefined,
          answers: {
            200: { json: either<unknown, unknown>(storedShape, onceShape), help: 'the sink' },
            404: { text: 'There is no such sink.' },
          },
          access: () => mayReadSinks,
          async run({ name, query, who }) {
            const found = query.plan ? await stored.plan(who, name) : await stored.get(who, name)
            if (isRefusal(found)) return found
            return json('how' in found ? onceJson(found) : storedJson(found))
          },
        }),
        PUT: putOperation(stored),
        DELETE: acting({
          summary: 'Deletes a stored sink; its target stays as it is.',
          query: {},
          body: undefined,
          answers: { 200: { json: bool, help: 'true' }, 404: { text: 'There is no such sink.' } },
          access: () => mayWriteSinks,
          async run({ name, who }) {
            const deleted = await stored.delete(who, name)
            return isRefusal(deleted) ? deleted : json(true)
          },
        }),
      },
    }),
  ]
}

const putOperation = (stored: StoredSinks) =>
  acting({
    summary: 'Writes a sink in the place of the one with its name.',
    query: { plan },
    body: { shape: map(anything), failure: 'Sink decoding failed' },
    answers: {
      200: {
        json: either<unknown, unknown>(bool, onceShape),
        help: 'true, or with plan what it is',
      },
    },
    access: () => mayWriteSinks,
    async run({ name, body, query, who }) {
      const done = query.plan
        ? await stored.planOf(who, name, body)
        : await stored.put(who, name, body)
      if (isRefusal(done)) return done
      return json(done === true ? true : onceJson(done))
    },
  })

/** The sinks of an agent's own configuration, as its paths see them. */
export type AgentSinksPort = Pick<SinkTasks, 'all' | 'get'>

/** The paths of the sinks that an agent runs by its configuration. */
export function agentSinkPaths(tasks: AgentSinksPort, nodeName: string): PathDeclaration[] {
  const reading = [access('read', 'agent', nodeName)]
  const refuseReader = (who: Who): Refusal | undefined => refuse(who, reading)
  return [
    definePath({
      where: 'agent',
      path: '/v1/agent/sinks',
      operations: {
        GET: acting({
          summary: 'The sinks of the configuration of this agent, by name, with their status.',
          query: {},
          body: undefined,
          answers: { 200: { json: list(ownShape), help: 'sinks' } },
          access: () => reading,
          run: ({ who }) => refuseReader(who) ?? json(tasks.all().map(ownSinkJson)),
        }),
      },
    }),
    definePath({
      where: 'agent',
      path: '/v1/agent/sinks/{name}',
      operations: {
        GET: acting({
          summary: 'A sink of the configuration of this agent, with its status.',
          query: { plan },
          body: undefined,
          answers: {
            200: { json: either<unknown, unknown>(ownShape, onceShape), help: 'the sink' },
            404: { text: 'There is no such sink.' },
          },
          access: () => reading,
          async run({ name, query, who }) {
            const lacking = refuseReader(who)
            if (lacking !== undefined) return lacking
            const task = tasks.get(name)
            if (task === undefined) return new Refusal(404, 'this agent has no such sink')
            return json(query.plan ? onceJson(await task.plan()) : ownSinkJson(task))
          },
        }),
      },
    }),
  ]
}

/** A sink of a configuration with its status. */
export const ownSinkJson = (task: SinkTask) => ({
  Name: task.definition.name,
  Kind: task.definition.kind.kind,
  Definition: task.definition.shown,
  Status: statusJson(task.status()),
})

const storedJson = (sink: ShownSink) => ({
  Name: sink.name,
  Kind: sink.kind,
  Definition: sink.definition,
  Status: statusJson(sink.status ?? UNTOLD),
  Server: sink.server,
  CreateIndex: sink.createIndex,
  ModifyIndex: sink.modifyIndex,
})

/** Of a sink that no server runs yet. */
const UNTOLD: TaskStatus = {
  ...{ name: '', kind: '', phase: 'waiting', detail: 'no server has told of it yet' },
  ...{ revision: 0, appliedRevision: 0, appliedAtMs: undefined, summary: '', problems: [] },
  ...{ lastPlan: undefined, lastError: undefined, nextTryAtMs: undefined, events: [] },
  counts: { states: 0, applied: 0, unchanged: 0, refused: 0, failed: 0, held: 0 },
}

const timeText = (atMs: number | undefined): string =>
  atMs === undefined ? '' : new Date(atMs).toISOString()

/** How a task stands, as it is told; times are '' for never. */
function statusJson(status: TaskStatus) {
  const { lastPlan, lastError, counts } = status
  return {
    Phase: status.phase,
    Detail: status.detail,
    Revision: status.revision,
    AppliedRevision: status.appliedRevision,
    AppliedAt: timeText(status.appliedAtMs),
    NextTryAt: timeText(status.nextTryAtMs),
    Summary: status.summary,
    Problems: status.problems,
    LastPlan: { At: timeText(lastPlan?.atMs), Changes: lastPlan?.changes ?? [] },
    LastError: {
      At: timeText(lastError?.atMs),
      Revision: lastError?.revision ?? 0,
      Text: lastError?.text ?? '',
    },
    Counts: {
      States: counts.states,
      Applied: counts.applied,
      Unchanged: counts.unchanged,
      Refused: counts.refused,
      Failed: counts.failed,
      Held: counts.held,
    },
    Events: status.events.map(({ atMs, what, revision, text: said }) => {
      return { At: timeText(atMs), What: what, Revision: revision, Text: said }
    }),
  }
}

/** What was found, or why nothing was. */
export const onceJson = (once: Once) => ({
  Outcome: once.how,
  Text: 'text' in once ? once.text : '',
  Changes: 'changes' in once ? once.changes : [],
  Problems: 'problems' in once ? once.problems : [],
  Summary: 'summary' in once ? once.summary : '',
  Revision: 'revision' in once ? once.revision : 0,
})
