/**
 * The paths of health: `/v1/health/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { access } from '../../base/who.ts'
import { checksInState, nodeChecks, serviceChecks, serviceHealth } from '../../registry/health.ts'
import { askEach, definePath, type PathDeclaration, reading } from '../declare.ts'
import { filtering, switched } from '../query.ts'
import { list } from '../shape.ts'
import { instanceQuery, missing, narrowing } from './catalog.ts'
import { checkShape, healthShape, type Wire } from './wire.ts'

/** The paths of health. */
export function healthPaths(wire: Wire): PathDeclaration[] {
  return [servicePath(wire), ...checkPaths(wire)]
}

function servicePath(wire: Wire): PathDeclaration {
  return definePath({
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
        answers: { 200: { json: list(healthShape), help: 'in the order of the catalog' } },
        access: service => [access('read', 'service', service), access('read', 'node')],
        ask({ name, query, who }) {
          if (name === '') return missing('service name')
          const { tag: tags, passing, filter } = query
          const wanted = { tags, passing, meta: query['node-meta'] }
          return askEach(serviceHealth(who, name, wanted), wire.health, { filter })
        },
      }),
    },
  })
}

function checkPaths(wire: Wire): PathDeclaration[] {
  const answers = { 200: { json: list(checkShape), help: 'checks' } }
  const filter = filtering(wire.fields.check)
  return [
    definePath({
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
      path: '/v1/health/checks/{service}',
      operations: {
        GET: reading({
          summary: "The checks of a service's instances.",
          query: { ...narrowing, filter },
          effective: true,
          answers,
          access: service => [access('read', 'service', service)],
          ask({ name, query, who }) {
            if (name === '') return missing('service name')
            return askEach(serviceChecks(who, name, query['node-meta']), wire.check, query)
          },
        }),
      },
    }),
    definePath({
      path: '/v1/health/state/{state}',
      operations: {
        GET: reading({
          summary: 'All checks in a state: passing, warning, critical, or any.',
          query: { ...narrowing, filter },
          effective: true,
          answers,
          access: () => [access('read', 'node'), access('read', 'service')],
          ask({ name, query, who }) {
            if (name === '') return missing('check state')
            return askEach(checksInState(who, name, query['node-meta']), wire.check, query)
          },
        }),
      },
    }),
  ]
}
