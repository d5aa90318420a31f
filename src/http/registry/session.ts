/**
 * The paths of sessions: `/v1/session/`.
 *
 * Owns parsing into and rendering out of the room's functions, and what a session has when its
 * creator did not say.
 */

import { parseDurationMs } from '../../base/duration.ts'
import { missing } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import { completeSession } from '../../registry/definition.ts'
import type { Registry } from '../../registry/room.run.ts'
import { allSessions, sessionById, sessionsOnNode } from '../../registry/session.ts'
import { isRefusal } from '../../store/store.ts'
import { acting, askEach, definePath, json, type PathDeclaration, reading } from '../declare.ts'
import { bool, list, object, optional, type Shape, ShapeError, text } from '../shape.ts'
import { sessionShape, type Wire } from './wire.ts'

const SECONDS_BELOW = 1_000

/** A duration as text, or a number: of seconds when it is small, else of nanoseconds. */
const lockDelayShape: Shape<number | undefined> = {
  zero: () => undefined,
  decode(value, at) {
    if (typeof value === 'number') return value < SECONDS_BELOW ? value * 1_000 : value / 1e6
    const durationMs = typeof value === 'string' ? parseDurationMs(value) : undefined
    if (durationMs === undefined) throw new ShapeError(`${at}: time: invalid duration`)
    return Math.max(0, durationMs)
  },
  check: () => [],
  schema: { type: ['string', 'number'] },
}

const creationShape = object(
  {
    Name: text,
    Node: text,
    LockDelay: lockDelayShape,
    Behavior: text,
    TTL: text,
    Checks: optional(list(text)),
    NodeChecks: optional(list(text)),
    ServiceChecks: list(object({ ID: text, Namespace: text }, { ignoreUnknown: true })),
  },
  { ignoreUnknown: true },
)

/** `node`: this agent's, on which sessions are created unless another is named or asked. */
export function sessionPaths(room: Registry, wire: Wire, node: string): PathDeclaration[] {
  return [createPath(room, node), ...changePaths(room, wire), ...readPaths(wire)]
}

function createPath(room: Registry, ownNode: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/session/create',
    operations: {
      PUT: acting({
        summary: 'Creates a session.',
        query: {},
        body: { shape: creationShape, failure: 'Request decode failed', optional: true },
        answers: { 200: { json: object({ ID: text }), help: "the session's id" } },
        access: () => [access('write', 'session')],
        async run({ body, who, forwarder }) {
          const given = {
            name: body.Name,
            node: body.Node,
            lockDelayMs: body.LockDelay,
            behavior: body.Behavior,
            ttl: body.TTL,
            nodeChecks: body.NodeChecks ?? body.Checks,
            serviceChecks: body.ServiceChecks.map(check => ({
              id: check.ID,
              namespace: check.Namespace,
            })),
          }
          const id = await room.createSession(
            who,
            completeSession(given, forwarder?.node ?? ownNode),
          )
          return isRefusal(id) ? id : json({ ID: id })
        },
      }),
    },
  })
}

function changePaths(room: Registry, wire: Wire): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/session/destroy/{session}',
      operations: {
        PUT: acting({
          summary: 'Ends a session.',
          query: {},
          body: undefined,
          answers: { 200: { json: bool, help: 'true, also when there was none' } },
          access: () => [access('write', 'session')],
          async run({ name, who }) {
            if (name === '') return missing('session')
            const answer = await room.destroySession(who, name)
            return isRefusal(answer) ? answer : json(answer)
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/session/renew/{session}',
      operations: {
        PUT: acting({
          summary: "Starts a session's TTL over.",
          isRenewal: true,
          query: {},
          body: undefined,
          answers: {
            200: { json: list(sessionShape), help: 'the session' },
            404: { text: 'There is no such session.' },
          },
          access: () => [access('write', 'session')],
          async run({ name, who }) {
            if (name === '') return missing('session')
            const session = await room.renewSession(who, name)
            if (isRefusal(session)) return session
            return { status: 200, body: `[${wire.session(session)}]` }
          },
        }),
      },
    }),
  ]
}

function readPaths(wire: Wire): PathDeclaration[] {
  const answers = { 200: { json: list(sessionShape), help: 'sessions' } }
  return [
    definePath({
      where: 'servers',
      path: '/v1/session/info/{session}',
      operations: {
        GET: reading({
          summary: 'A session, as a list of one or none.',
          query: {},
          answers,
          access: () => [access('read', 'session')],
          ask: ({ name, who }) =>
            name === '' ? missing('session') : askEach(sessionById(who, name), wire.session),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/session/node/{node}',
      operations: {
        GET: reading({
          summary: 'The sessions of a node.',
          query: {},
          answers,
          access: node => [access('read', 'session', node)],
          ask: ({ name, who }) =>
            name === '' ? missing('node name') : askEach(sessionsOnNode(who, name), wire.session),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/session/list',
      operations: {
        GET: reading({
          summary: 'All sessions.',
          query: {},
          answers,
          access: () => [access('read', 'session')],
          ask: ({ who }) => askEach(allSessions(who), wire.session),
        }),
      },
    }),
  ]
}
