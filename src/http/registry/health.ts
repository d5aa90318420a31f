/**
 * The paths of health: `/v1/health/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { missing } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import {
  checksInState,
  type InstanceHealth,
  nodeChecks,
  serviceChecks,
  serviceHealth,
} from '../../registry/health.ts'
import type { Cell } from '../../store/table.ts'
import type { CheckRow } from '../../store/tables/check.ts'
import { askEach, definePath, type Listing, type PathDeclaration, reading } from '../declare.ts'
import { filtering, switched } from '../query.ts'
import { list } from '../shape.ts'
import { instanceQuery, narrowing } from './catalog.ts'
import { distanceOf, type NearOf } from './near.ts'
import { checkShape, healthShape, type Wire } from './wire.ts'

/** The paths of health. */
export function healthPaths(wire: Wire, near: NearOf): PathDeclaration[] {
  return [servicePath(wire, near), ...checkPaths(wire, near)]
}

function servicePath(wire: Wire, near: NearOf): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/health/service/{service}',
    operations: {
      GET: reading({
        summary: 'The instances of a service with the checks that decide about them.',
        query: {
          ...instanceQuery,
          passing: switched('Only instances that are well.', 'Invalid value for ?passing'),
          filter: filtering(wire.fields.health),
        },
        effective: true,
        cached: true,
        streams: true,
        answers: { 200: { json: list(healthShape), help: 'in the order of the catalog' } },
        access: service => [access('read', 'service', service), access('read', 'node')],
        ask(request) {
          const { name, query, who } = request
          if (name === '') return missing('service name')
          const { tag: tags, passing, filter } = query
          const wanted = { tags, passing, meta: query['node-meta'] }
          const distance = distanceOf<InstanceHealth>(near(request), ({ node }) => node.row.node)
          return askEach(serviceHealth(who, name, wanted), wire.health, { filter, distance })
        },
      }),
    },
  })
}

function checkPaths(wire: Wire, near: NearOf): PathDeclaration[] {
  const answers = { 200: { json: list(checkShape), help: 'checks' } }
  const filter = filtering(wire.fields.check)
  const listing = (request: Parameters<NearOf>[0] & { query: Listing<Cell<CheckRow>> }) => ({
    filter: request.query.filter,
    distance: distanceOf<Cell<CheckRow>>(near(request), ({ row }) => row.node),
  })
  return [
    definePath({
      where: 'servers',
      path: '/v1/health/node/{node}',
      operations: {
        GET: reading({
          summary: "All checks of a node, its services' included.",
          query: { filter },
          effective: true,
          answers,
          access: node => [access('read', 'node', node), access('read', 'service')],
          ask: ({ name, query, who }) =>
            name === '' ? missing('node name') : askEach(nodeChecks(who, name), wire.check, query),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/health/checks/{service}',
      operations: {
        GET: reading({
          summary: "The checks of a service's instances.",
          query: { ...narrowing, filter },
          effective: true,
          answers,
          access: service => [access('read', 'service', service), access('read', 'node')],
          ask(request) {
            const { name, query, who } = request
            if (name === '') return missing('service name')
            const question = serviceChecks(who, name, query['node-meta'])
            return askEach(question, wire.check, listing(request))
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/health/state/{state}',
      operations: {
        GET: reading({
          summary: 'All checks in a state: passing, warning, critical, or any.',
          query: { ...narrowing, filter },
          effective: true,
          answers,
          access: () => [access('read', 'node'), access('read', 'service')],
          ask(request) {
            const { name, query, who } = request
            if (name === '') return missing('check state')
            const question = checksInState(who, name, query['node-meta'])
            return askEach(question, wire.check, listing(request))
          },
        }),
      },
    }),
  ]
}
