/**
 * The paths of the agent's own services and checks: `/v1/agent/service/`, `/v1/agent/check/`.
 *
 * Owns parsing into and rendering out of the agent's port, nothing else. These paths speak of
 * what this agent keeps registered, which is not the same as what the catalog says.
 */
import { missing, Refusal } from '../../base/errors.ts'
import { keptInSlices } from '../../base/slices.ts'
import { access, type Who } from '../../base/who.ts'
import type { Fields } from '../../filter/fields.ts'
import { localService } from '../../registry/definition.ts'
import type { AgentPort } from '../../registry/local.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { LocalServiceRow } from '../../store/tables/local.ts'
import {
  type Answer,
  acting,
  askOne,
  definePath,
  EMPTY,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { filtering, optionalString, string } from '../query.ts'
import { map, object, type Shape, text } from '../shape.ts'
import { checkBodyShape, checkGiven, serviceBodyShape, serviceGiven } from './agent-body.ts'
import { readStatus } from './service-body.ts'
import { agentServiceShape, checkShape, contentHashOf, type Wire } from './wire.ts'

const done = (answer: true | Refusal): Reply | Refusal => (isRefusal(answer) ? answer : EMPTY)

const notFound: Answer = { text: 'There is none of this id.' }
const DONE: Readonly<Record<number, Answer>> = { 200: { empty: 'Done.' } }
const DONE_OR_NOT: Readonly<Record<number, Answer>> = { ...DONE, 404: notFound }
const writeRights = () => [access('write', 'service'), access('write', 'node')]

/** The paths of one agent. */
export function agentPaths(agent: AgentPort, wire: Wire): PathDeclaration[] {
  return [
    listPath('/v1/agent/services', "The agent's own services by their ids.", {
      shape: agentServiceShape,
      fields: wire.fields.service,
      list: who => agent.services(who),
      render: ({ row }) => entry(row.id, wire.agentService(row)),
    }),
    listPath('/v1/agent/checks', "The agent's own checks by their ids.", {
      shape: checkShape,
      fields: wire.fields.check,
      list: who => agent.checks(who).map(row => ({ row })),
      render: ({ row }) => entry(row.checkId, wire.agentCheck(row)),
    }),
    servicePath(agent, wire),
    registerServicePath(agent),
    registerCheckPath(agent),
    namedPath('/v1/agent/service/deregister/{service}', 'Deregisters a service.', (who, id) =>
      agent.deregisterService(who, id),
    ),
    namedPath('/v1/agent/check/deregister/{check}', 'Deregisters a check.', (who, id) =>
      agent.deregisterCheck(who, id),
    ),
    ...ttlPaths(agent),
    maintenancePath(agent, '/v1/agent/maintenance'),
    maintenancePath(agent, '/v1/agent/service/maintenance/{service}'),
  ]
}

interface AgentList<T> {
  readonly shape: Shape<unknown>
  readonly fields: Fields<T>
  /** What the asker may see. */
  readonly list: (who: Who) => readonly T[]
  readonly render: (item: T) => string
}

/** A list as a map by id: what the asker may see of it, and of that what the filter keeps. */
function listPath<T>(path: string, summary: string, of: AgentList<T>): PathDeclaration {
  const { shape, fields, list, render } = of
  return definePath({
    where: 'agent',
    path,
    operations: {
      GET: acting({
        summary,
        query: { filter: filtering(fields) },
        body: undefined,
        answers: { 200: { json: map(shape), help: 'by id' } },
        access: () => [access('read', 'service'), access('read', 'node')],
        run({ who, query: { filter } }) {
          const reply = (items: readonly T[]): Reply => ({
            status: 200,
            body: `{${items.map(render).join(',')}}`,
          })
          const items = list(who)
          return filter === undefined ? reply(items) : keptInSlices(items, filter.keeps).then(reply)
        },
      }),
    },
  })
}

const entry = (id: string, value: string): string => `${JSON.stringify(id)}:${value}`

/** The one path of the agent that blocks: while the content's hash is the one that was given. */
function servicePath(agent: AgentPort, wire: Wire): PathDeclaration {
  const render = (found: Cell<LocalServiceRow> | Refusal): Reply => {
    if (isRefusal(found)) return plain(found.text, found.status)
    const { service } = found.row
    const hash = contentHashOf(service)
    const headers = { 'X-Consul-ContentHash': hash }
    return { status: 200, body: wire.agentService(service, hash), headers }
  }
  return definePath({
    where: 'agent',
    path: '/v1/agent/service/{service}',
    operations: {
      GET: reading({
        summary: "One of the agent's own services.",
        query: { hash: string('Blocks while this is the ContentHash of the answer.') },
        answers: { 200: { json: agentServiceShape, help: 'the service' }, 404: notFound },
        access: () => [access('read', 'service')],
        ask({ name, query, who }) {
          if (name === '') return missing('service ID')
          const question = localService(who, agent.node, name)
          if (query.hash === '') return askOne(question, render)
          const of = (found: Cell<LocalServiceRow> | Refusal): string =>
            isRefusal(found) ? '' : contentHashOf(found.row.service)
          return askOne(question, render, { hash: { given: query.hash, of } })
        },
      }),
    },
  })
}

function registerServicePath(agent: AgentPort): PathDeclaration {
  return definePath({
    where: 'agent',
    path: '/v1/agent/service/register',
    operations: {
      PUT: acting({
        summary: 'Keeps a service registered, with its checks.',
        query: { 'replace-existing-checks': optionalString('Checks not named here are removed.') },
        body: { shape: serviceBodyShape, failure: 'Request decode failed' },
        answers: DONE,
        access: writeRights,
        async run({ body, query, who, token }) {
          const given = serviceGiven(agent.node, body)
          if (isRefusal(given)) return given
          const replaceChecks = ['', 'true'].includes(query['replace-existing-checks'] ?? 'false')
          return done(await agent.registerService(who, { ...given, replaceChecks, token }))
        },
      }),
    },
  })
}

function registerCheckPath(agent: AgentPort): PathDeclaration {
  return definePath({
    where: 'agent',
    path: '/v1/agent/check/register',
    operations: {
      PUT: acting({
        summary: 'Keeps a check registered, of the node or of one of its services.',
        query: {},
        body: { shape: checkBodyShape, failure: 'Request decode failed' },
        answers: DONE_OR_NOT,
        access: writeRights,
        async run({ body, who, token }) {
          const given = checkGiven(body)
          return isRefusal(given)
            ? given
            : done(await agent.registerCheck(who, { ...given, token }))
        },
      }),
    },
  })
}

function namedPath(
  path: string,
  summary: string,
  run: (who: Who, id: string) => Promise<true | Refusal>,
): PathDeclaration {
  return definePath({
    where: 'agent',
    path,
    operations: {
      PUT: acting({
        summary,
        query: {},
        body: undefined,
        answers: DONE_OR_NOT,
        access: writeRights,
        run: async ({ name, who }) => done(await run(who, name)),
      }),
    },
  })
}

const SHORT_FORMS = { pass: 'passing', warn: 'warning', fail: 'critical' } as const

function ttlPaths(agent: AgentPort): PathDeclaration[] {
  const short = Object.entries(SHORT_FORMS).map(([verb, status]) =>
    definePath({
      where: 'agent',
      path: `/v1/agent/check/${verb}/{check}`,
      operations: {
        PUT: acting({
          summary: `Says of a TTL check that it is ${status}.`,
          isRenewal: true,
          query: { note: string('What the check says, for people.') },
          body: undefined,
          answers: DONE_OR_NOT,
          access: writeRights,
          run: async ({ name, query, who }) =>
            done(await agent.updateTtl(who, name, { status, output: query.note })),
        }),
      },
    }),
  )
  const update = definePath({
    where: 'agent',
    path: '/v1/agent/check/update/{check}',
    operations: {
      PUT: acting({
        summary: 'Says the status of a TTL check.',
        isRenewal: true,
        query: {},
        body: { shape: object({ Status: text, Output: text }), failure: 'Request decode failed' },
        answers: DONE_OR_NOT,
        access: writeRights,
        async run({ name, body, who }) {
          const status = readStatus(body.Status)
          if (isRefusal(status)) return status
          if (status === undefined) return new Refusal(400, "Invalid check status: ''")
          return done(await agent.updateTtl(who, name, { status, output: body.Output }))
        },
      }),
    },
  })
  return [...short, update]
}

function maintenancePath(agent: AgentPort, path: string): PathDeclaration {
  const isOfNode = path === '/v1/agent/maintenance'
  return definePath({
    where: 'agent',
    path,
    operations: {
      PUT: acting({
        summary: `Takes ${isOfNode ? 'the node' : 'a service'} out of service, or back.`,
        query: {
          enable: string('true takes it out, false back.'),
          reason: string('Why, for people.'),
        },
        body: undefined,
        answers: DONE_OR_NOT,
        access: writeRights,
        async run({ name, query, who, token }) {
          if (!isOfNode && name === '') return missing('service ID')
          const enable = readEnable(query.enable)
          if (isRefusal(enable)) return enable
          const { reason } = query
          const serviceId = isOfNode ? undefined : name
          return done(await agent.setMaintenance(who, { serviceId, enable, reason, token }))
        },
      }),
    },
  })
}

const SHOWN_CHARS = 64

function readEnable(value: string): boolean | Refusal {
  if (value === '') return new Refusal(400, 'Missing value for enable')
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false
  const shown = JSON.stringify(value.slice(0, SHOWN_CHARS))
  return new Refusal(400, `Invalid value for enable: ${shown}`)
}
