/**
 * The paths of events: `/v1/event/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { missing } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { access } from '../../base/who.ts'
import type { Events } from '../../registry/event.run.ts'
import { eventIndex } from '../../registry/event.ts'
import { isRefusal } from '../../store/store.ts'
import type { EventRow } from '../../store/tables/event.ts'
import { acting, askEach, definePath, json, type PathDeclaration, reading } from '../declare.ts'
import { string } from '../query.ts'
import { base64, int, list, nullable, object, text } from '../shape.ts'

/** The part of the events that faces use. */
export type EventsPort = Pick<Events, 'fire' | 'list'>

const eventShape = object({
  ID: text,
  Name: text,
  Payload: nullable(base64),
  NodeFilter: text,
  ServiceFilter: text,
  TagFilter: text,
  Version: int,
  LTime: int,
})

const eventJson = (event: EventRow) => ({
  ID: event.id,
  Name: event.name,
  Payload: event.payload === '' ? null : event.payload,
  NodeFilter: event.nodeFilter,
  ServiceFilter: event.serviceFilter,
  TagFilter: event.tagFilter,
  Version: event.version,
  LTime: event.ltime,
})

/** The paths of events. */
export function eventPaths(events: EventsPort): PathDeclaration[] {
  return [firePath(events), listPath(events)]
}

function firePath(events: EventsPort): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/event/fire/{name}',
    operations: {
      PUT: acting({
        summary: 'Fires an event, on all agents that its filters mean.',
        query: {
          node: string('A regular expression: only on nodes with such a name.'),
          service: string('A regular expression: only where such a service is registered.'),
          tag: string('With service, a regular expression: only where it has such a tag.'),
        },
        body: { raw: 'The payload.' },
        bodySizeBytes: limits.eventPayloadSizeBytes,
        answers: { 200: { json: eventShape, help: 'the event; its LTime is 0 here' } },
        access: name => [access('write', 'event', name)],
        async run({ name, query, body, who }) {
          if (name === '') return missing('name')
          const event = await events.fire(who, {
            name,
            payload: body.toString('base64'),
            nodeFilter: query.node,
            serviceFilter: query.service,
            tagFilter: query.tag,
          })
          return isRefusal(event) ? event : json({ ...eventJson(event), LTime: 0 })
        },
      }),
    },
  })
}

function listPath(events: EventsPort): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/event/list',
    operations: {
      GET: reading({
        summary: 'The last events that this agent knows, oldest first.',
        query: {
          name: string('Only events of this name.'),
          node: string('Only events fired with this node filter or without one.'),
          service: string('Only events fired with this service filter or without one.'),
          tag: string('Only events fired with this tag filter or without one.'),
        },
        answers: { 200: { json: list(eventShape), help: 'events; the index has no order' } },
        access: () => [access('read', 'event')],
        ask({ query: { name, node, service, tag }, who }) {
          const question = events.list(who, { name, node, service, tag })
          return {
            ...askEach(question, event => JSON.stringify(eventJson(event))),
            ownIndex: view => eventIndex(question.read(view)),
          }
        },
      }),
    },
  })
}
