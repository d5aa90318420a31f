/**
 * Network coordinates: where each node stands in a space in which distances are round-trip times.
 *
 * Owns row, codec and scopes. What a coordinate means is the rules' business
 * (registry/coordinate.ts); here it is numbers that belong to a node.
 */
import { defineTable, jsonCodec } from '../table.ts'
import { scope } from './names.ts'

export interface Coordinate {
  /** Seconds along each axis. */
  readonly vec: readonly number[]
  /** How sure it is: 1.5 says not at all, and less is better. */
  readonly error: number
  /** Seconds that are added to a distance. */
  readonly adjustment: number
  /** Seconds from the node to the space, as of a slow access link. */
  readonly height: number
}

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
