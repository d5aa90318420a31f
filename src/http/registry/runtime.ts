/**
 * The paths of the running process: its log as it comes, the machine it runs on, and what ends or
 * renews it.
 *
 * Owns their words. What is done stands behind the port: the faces know no signal and no file.
 */

import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { LineQueue } from '../../base/line-queue.ts'
import { type LiveLog, logLevelOf } from '../../base/log.ts'
import { access } from '../../base/who.ts'
import type { ClusterPort } from '../../cluster/port.ts'
import {
  type Acted,
  acting,
  definePath,
  EMPTY,
  json,
  type PathDeclaration,
  type StreamedReply,
} from '../declare.ts'
import { flag, string } from '../query.ts'
import { anything, int, list, map, object } from '../shape.ts'

/** The process, as far as its paths need it. */
export interface RuntimePort {
  readonly nodeName: string
  readonly log: Pick<LiveLog, 'follow'>
  /** What there is to tell of the machine. */
  host(): Promise<Readonly<Record<string, unknown>>>
  /** Reads the configuration anew; gives what is wrong with it, in which case nothing changed. */
  reload(): Promise<readonly string[]>
  /**
   * Has the agent leave the cluster and end, soon. A refusal where that would take from the others
   * what they need to decide, unless it is forced.
   */
  leave(force: boolean): Promise<true | Refusal>
  /** Has the process take no new work, finish what it has, and end, soon. It does not leave. */
  drain(): void
}

const TEXT = 'text/plain; charset=utf-8'
const hostShape = object({
  Memory: map(anything),
  CPU: list(map(anything)),
  Host: map(anything),
  Disk: map(anything),
  CollectionTime: int,
  Errors: list(anything),
})

/** Those that every agent answers for its own process. */
export const runtimePaths = (port: RuntimePort): PathDeclaration[] => [
  monitorPath(port),
  hostPath(port),
  reloadPath(port),
  leavePath(port),
  drainPath(port),
]

function monitorPath({ nodeName, log }: RuntimePort): PathDeclaration {
  const rights = () => [access('read', 'agent', nodeName)]
  return definePath({
    where: 'agent',
    path: '/v1/agent/monitor',
    operations: {
      GET: acting({
        summary: "The agent's log from now on, until the client leaves.",
        query: {
          loglevel: string('trace, debug, info, warn or err; info by default.'),
          logjson: flag('One JSON object a line.'),
        },
        body: undefined,
        answers: { 200: { stream: 'log lines as they come', type: TEXT } },
        access: rights,
        run({ query, who }): Acted {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const level = logLevelOf(query.loglevel === '' ? 'info' : query.loglevel)
          if (level === undefined) {
            return new Refusal(400, `Unknown log level: ${query.loglevel.slice(0, SHOWN_CHARS)}`)
          }
          return followed(log, level, query.logjson)
        },
      }),
    },
  })
}

const SHOWN_CHARS = 64

function followed(
  log: RuntimePort['log'],
  level: NonNullable<ReturnType<typeof logLevelOf>>,
  asJson: boolean,
): StreamedReply {
  const lost = (lines: number): string =>
    asJson
      ? `${JSON.stringify({ '@level': 'warn', '@message': 'lines were dropped', lines })}\n`
      : `[WARN]  lines were dropped, as they were not read in time: lines=${lines}\n`
  return {
    status: 200,
    type: TEXT,
    async *parts(signal) {
      const queue = new LineQueue()
      const stop = log.follow({ level, json: asJson, take: line => queue.push(line) })
      try {
        yield* queue.pieces(signal, lost)
      } finally {
        stop()
      }
    },
  }
}

function hostPath(port: RuntimePort): PathDeclaration {
  const rights = () => [access('read', 'operator')]
  return definePath({
    where: 'agent',
    path: '/v1/agent/host',
    operations: {
      GET: acting({
        summary: 'Memory, processors, system and disk of the machine.',
        query: {},
        body: undefined,
        answers: { 200: { json: hostShape, help: 'the machine' } },
        access: rights,
        run: async ({ who }) => refuse(who, rights()) ?? json(await port.host()),
      }),
    },
  })
}

function reloadPath(port: RuntimePort): PathDeclaration {
  const rights = () => [access('write', 'agent', port.nodeName)]
  return definePath({
    where: 'agent',
    path: '/v1/agent/reload',
    operations: {
      PUT: acting({
        summary: 'Reads the configuration anew and takes over what needs no restart.',
        query: {},
        body: { raw: 'Not read.' },
        answers: {
          200: { empty: 'Taken over; the log says what.' },
          500: { text: 'What is wrong; nothing was changed.' },
        },
        access: rights,
        async run({ who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const problems = await port.reload()
          if (problems.length === 0) return EMPTY
          return new Refusal(500, `Reload failed: ${problems.join('\n')}`)
        },
      }),
    },
  })
}

function leavePath(port: RuntimePort): PathDeclaration {
  const rights = () => [access('write', 'agent', port.nodeName)]
  return definePath({
    path: '/v1/agent/leave',
    where: 'agent',
    operations: {
      PUT: acting({
        summary: 'Has the agent leave the cluster, drain and end.',
        query: { force: flag('Also where the other servers could not decide without it.') },
        body: { raw: 'Not read.' },
        answers: {
          200: { empty: 'It ends now.' },
          500: { text: 'The others need it to decide.' },
        },
        access: rights,
        async run({ query, who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const left = await port.leave(query.force)
          return left instanceof Refusal ? left : EMPTY
        },
      }),
    },
  })
}

function drainPath(port: RuntimePort): PathDeclaration {
  const rights = () => [access('write', 'agent', port.nodeName)]
  return definePath({
    path: '/v1/agent/drain',
    where: 'agent',
    operations: {
      PUT: acting({
        summary: 'Has the agent take no new work, finish what it has, and end; it stays a member.',
        query: {},
        body: { raw: 'Not read.' },
        answers: { 200: { empty: 'It ends now.' } },
        access: rights,
        run({ who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          port.drain()
          return EMPTY
        },
      }),
    },
  })
}

/** The path that takes others off the list of members. */
export function forceLeavePath(cluster: ClusterPort): PathDeclaration {
  const rights = () => [access('write', 'operator')]
  return definePath({
    path: '/v1/agent/force-leave/{node}',
    where: 'servers',
    operations: {
      PUT: acting({
        summary: 'Takes a member that failed for one that left.',
        query: {
          prune: flag('Forgets it altogether.'),
          wan: flag('Among the servers of all datacenters.'),
        },
        body: { raw: 'Not read.' },
        answers: {
          200: { empty: 'Done; a living member stays.' },
          500: { text: 'Nobody has that name.' },
        },
        access: rights,
        async run({ name, query, who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const [node = '', ...rest] = query.wan ? name.split('.') : [name]
          const made =
            rest.length > 1 ? undefined : await cluster.forceLeave(who, node, query.prune)
          if (made instanceof Refusal) return made
          if (made !== undefined) return EMPTY
          const shown = name.slice(0, SHOWN_CHARS)
          return new Refusal(500, `agent: No node found with name '${shown}'`)
        },
      }),
    },
  })
}
