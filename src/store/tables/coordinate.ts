/**
 * Network coordinates: where each node stands in a space in which distances are round-trip times.
 *
 * Owns row, codec and scopes. What a coordinate means stands in
 * base/vivaldi.ts; here it is numbers that belong to a node.
 */
import type { Coordinate } from '../../base/vivaldi.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { scope } from './names.ts'

export interface CoordinateRow {
  readonly node: string
  readonly coordinate: Coordinate
}

/** The key is the folded name of the node. */
export const coordinates = defineTable<CoordinateRow>({
  name: 'coordinates',
  prefix: 'registry/coordinate/',
  codec: jsonCodec(),
  scopes: row => [scope.coordinates, scope.coordinate(row.node)],
})
