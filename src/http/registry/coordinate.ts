/**
 * The paths of network coordinates: `/v1/coordinate/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { missing, Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import { allCoordinates, nodeCoordinate } from '../../registry/coordinate.ts'
import type { Registry } from '../../registry/room.run.ts'
import { isRefusal } from '../../store/store.ts'
import type { CoordinateRow } from '../../store/tables/coordinate.ts'
import {
  acting,
  anonymous,
  askEach,
  askOne,
  definePath,
  json,
  type PathDeclaration,
  plain,
  reading,
} from '../declare.ts'
import { list, nullable, object, text } from '../shape.ts'
import type { AgentIdentity } from './self.ts'
import { enterpriseFields } from './service-body.ts'
import { coordinateJson, coordinateShape } from './wire.ts'

const entryShape = object({ Node: text, Segment: text, Coord: coordinateShape })

/** The paths of coordinates. */
export function coordinatePaths(room: Registry, identity: AgentIdentity): PathDeclaration[] {
  return [updatePath(room), datacentersPath(room, identity), ...listPaths()]
}

const updateShape = object({
  Node: text,
  Segment: text,
  Coord: nullable(coordinateShape),
  ...enterpriseFields,
})

function updatePath(room: Registry): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/coordinate/update',
    operations: {
      PUT: acting({
        summary: 'Says where a node stands. It can be read a moment later.',
        isRenewal: true,
        query: {},
        body: { shape: updateShape, failure: 'Request decode failed' },
        answers: { 200: { empty: 'Taken.' } },
        access: () => [access('write', 'node')],
        run({ body, who }) {
          if (body.Segment !== '') {
            const words = 'Network segments are not supported in this version of Consul'
            return new Refusal(500, words)
          }
          const given = body.Coord
          const coordinate = {
            vec: given?.Vec ?? [],
            error: given?.Error ?? 0,
            adjustment: given?.Adjustment ?? 0,
            height: given?.Height ?? 0,
          }
          const taken = room.updateCoordinate(who, { node: body.Node, coordinate })
          return isRefusal(taken) ? taken : { status: 200, body: '' }
        },
      }),
    },
  })
}

function datacentersPath(room: Registry, identity: AgentIdentity): PathDeclaration {
  const { datacenter, nodeName } = identity
  const shape = object({ Datacenter: text, AreaID: text, Coordinates: list(entryShape) })
  return definePath({
    where: 'servers',
    path: '/v1/coordinate/datacenters',
    operations: {
      GET: acting({
        summary: 'Where the servers of all datacenters stand.',
        query: {},
        body: undefined,
        answers: { 200: { json: list(shape), help: 'datacenters' } },
        access: anonymous,
        run() {
          const Coord = coordinateJson(room.coordinateOf(nodeName))
          const Coordinates = [{ Node: `${nodeName}.${datacenter}`, Segment: '', Coord }]
          return json([{ Datacenter: datacenter, AreaID: 'wan', Coordinates }])
        },
      }),
    },
  })
}

function listPaths(): PathDeclaration[] {
  const answer = { json: list(entryShape), help: 'coordinates' }
  return [
    definePath({
      where: 'servers',
      path: '/v1/coordinate/nodes',
      operations: {
        GET: reading({
          summary: 'Where the nodes stand, by name.',
          query: {},
          answers: { 200: answer },
          access: () => [access('read', 'node')],
          ask: ({ who }) =>
            askEach(allCoordinates(who), ({ row }) => JSON.stringify(entryJson(row))),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/coordinate/node/{node}',
      operations: {
        GET: reading({
          summary: 'Where a node stands.',
          query: {},
          answers: { 200: answer, 404: { empty: 'It is not known where.' } },
          access: node => [access('read', 'node', node)],
          ask({ name, who }) {
            if (name === '') return missing('node name')
            return askOne(nodeCoordinate(who, name), found => {
              if (isRefusal(found)) return plain(found.text, found.status)
              return found === undefined ? { status: 404, body: '' } : json([entryJson(found.row)])
            })
          },
        }),
      },
    }),
  ]
}

const entryJson = ({ node, coordinate }: CoordinateRow) => ({
  Node: node,
  Segment: '',
  Coord: coordinateJson(coordinate),
})
