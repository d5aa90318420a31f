/**
 * The health of the agent's own services as a status code, for load balancers that ask an agent:
 * `/v1/agent/health/service/`.
 *
 * Owns which code and word stand for which health. An operator's maintenance is told apart in
 * words, and counts as critical.
 */
import { fromText } from '../../base/bytes.ts'
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { access, everybody } from '../../base/who.ts'
import type { AgentPort } from '../../registry/local.ts'
import type { Cell } from '../../store/table.ts'
import { type CheckRow, CheckStatus } from '../../store/tables/check.ts'
import type { ServiceRow } from '../../store/tables/service.ts'
import {
  type ActingRequest,
  type Answer,
  acting,
  definePath,
  type PathDeclaration,
  plain,
  type Reply,
} from '../declare.ts'
import { string } from '../query.ts'
import { list, nullable, object, type Shape, text } from '../shape.ts'
import { agentServiceShape, checkShape, type Wire } from './wire.ts'

const MAINTENANCE = 'maintenance'
/** From well to ill, with the code that each has. */
const CODES = {
  [CheckStatus.passing]: 200,
  [CheckStatus.warning]: 429,
  [CheckStatus.critical]: 503,
  [MAINTENANCE]: 503,
} as const
type Health = keyof typeof CODES
const worstLast = Object.keys(CODES) as Health[]
const worst = (all: readonly Health[]): Health =>
  worstLast.findLast(health => all.includes(health)) ?? CheckStatus.passing

const infoShape = object({
  AggregatedStatus: text,
  Service: nullable(agentServiceShape),
  Checks: nullable(list(checkShape)),
})

const query = { format: string('text for a single word instead of JSON.') }

/** The paths of the agent's view on health. */
export function agentHealthPaths(agent: AgentPort, wire: Wire): PathDeclaration[] {
  return [byIdPath(agent, wire), byNamePath(agent, wire)]
}

function byIdPath(agent: AgentPort, wire: Wire): PathDeclaration {
  return definePath({
    where: 'agent',
    path: '/v1/agent/health/service/id/{service}',
    operations: {
      GET: acting({
        summary: 'How one of the services of this agent fares.',
        query,
        body: undefined,
        answers: answersOf(infoShape),
        access: () => [access('read', 'service')],
        run(request) {
          const { name, who } = request
          if (name === '') return new Refusal(500, 'Missing serviceID')
          const service = agent.services(everybody).find(({ row }) => row.id === name)
          if (service === undefined) {
            const none = '{"AggregatedStatus":"critical","Service":null,"Checks":null}'
            return reply(request, 404, `ServiceId ${name} not found`, none)
          }
          const denied = refuse(who, [access('read', 'service', service.row.name)])
          if (denied !== undefined) return denied
          const info = infoOf(service, agent.checks(everybody), wire)
          return reply(request, CODES[info.health], info.health, info.text)
        },
      }),
    },
  })
}

function byNamePath(agent: AgentPort, wire: Wire): PathDeclaration {
  return definePath({
    where: 'agent',
    path: '/v1/agent/health/service/name/{service}',
    operations: {
      GET: acting({
        summary: 'How the instances of a service on this agent fare.',
        query,
        body: undefined,
        answers: answersOf(list(infoShape)),
        access: service => [access('read', 'service', service)],
        run(request) {
          const { name, who } = request
          if (name === '') return new Refusal(500, 'Missing service Name')
          const denied = refuse(who, [access('read', 'service', name)])
          if (denied !== undefined) return denied
          const found = agent.services(everybody).filter(({ row }) => row.name === name)
          if (found.length === 0) {
            return reply(request, 404, `ServiceName ${name} Not Found`, '[]')
          }
          const checks = agent.checks(everybody)
          const infos = found.map(service => infoOf(service, checks, wire))
          const health = worst(infos.map(info => info.health))
          const body = `[${infos.map(info => info.text).join(',')}]`
          return reply(request, CODES[health], health, body)
        },
      }),
    },
  })
}

function answersOf(json: Shape<unknown>): Readonly<Record<number, Answer>> {
  const answer = (help: string): Answer => ({ json, help, orText: 'The word alone.' })
  return {
    200: answer('passing'),
    404: answer('There is none of this name.'),
    429: answer('warning'),
    503: answer('critical, or in maintenance'),
  }
}

function reply(
  { query: { format }, accept }: ActingRequest<{ readonly format: string }, undefined>,
  status: number,
  word: string,
  body: string,
): Reply {
  // Headers are bytes: the word goes as UTF-8.
  const headers = { 'X-Consul-Reason': fromText(word) }
  return format === 'text' || accept.startsWith('text/plain')
    ? { ...plain(word, status), headers }
    : { status, body, headers }
}

/** A service with the checks that decide about it: its own and its node's. */
function infoOf(
  { row: service }: Cell<ServiceRow>,
  all: readonly CheckRow[],
  wire: Wire,
): { readonly health: Health; readonly text: string } {
  const own = all.filter(({ serviceId }) => serviceId === service.id || serviceId === '')
  const health = worst(own.map(({ type, status }) => (type === MAINTENANCE ? MAINTENANCE : status)))
  const checks = own.map(wire.agentCheck).join(',')
  const text =
    `{"AggregatedStatus":"${health}","Service":${wire.agentService(service)},` +
    `"Checks":[${checks}]}`
  return { health, text }
}
