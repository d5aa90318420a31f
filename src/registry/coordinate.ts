/**
 * The rules of network coordinates: what is taken, the reads, and distances between nodes.
 *
 * Owns what is taken and the order that `near` gives to a list; the arithmetic is that of
 * base/vivaldi.ts. A node without a coordinate is farther than all others; where the one to be near
 * to has none, nothing is near. Pure.
 */

import { refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import { DIMENSIONS, distanceS, isCoordinate } from '../base/vivaldi.ts'
import { access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { type Decision, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type CoordinateRow, coordinates } from '../store/tables/coordinate.ts'
import { addressValues, fold, scope } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import type { Reader } from '../store/view.ts'

/** Why a coordinate is not taken; undefined when it is. */
export function refuseCoordinate(
  who: Who,
  { node, coordinate }: CoordinateRow,
): Refusal | undefined {
  if (coordinate.vec.length !== DIMENSIONS) return new Refusal(500, 'incompatible coordinate')
  if (!isCoordinate(coordinate)) return new Refusal(500, 'invalid coordinate')
  return refuse(who, [access('write', 'node', node)])
}

/** Puts coordinates where they changed; a node that is gone meanwhile has none. */
export function putCoordinates(view: Reader, rows: readonly CoordinateRow[]): Decision<true> {
  const changed = rows.filter(row => {
    const key = fold(row.node)
    const existing = view.get(coordinates, key)
    if (existing !== undefined && same(existing.row, row)) return false
    return view.get(nodes, key) !== undefined
  })
  return { txn: changed.map(row => put(coordinates, fold(row.node), row)), answer: true }
}

/** All coordinates of nodes that the asker may see, by node. */
export function allCoordinates(who: Who): Question<Iterable<Cell<CoordinateRow> | undefined>> {
  return {
    key: 'coordinates',
    target: { scope: scope.coordinates },
    newest: view => view.newest(coordinates),
    *read(view) {
      for (const cell of view.entries(coordinates)) {
        yield who.may(access('read', 'node', cell.row.node)) ? cell : undefined
      }
    },
  }
}

/** The coordinate of one node, undefined when it has none, or why it is not told. */
export function nodeCoordinate(
  who: Who,
  node: string,
): Question<Cell<CoordinateRow> | undefined | Refusal> {
  const key = fold(node)
  return {
    key: `coordinate ${key}`,
    target: { scope: scope.coordinate(node) },
    newest: view => view.get(coordinates, key)?.modRevision ?? view.newest(coordinates),
    read(view) {
      const found = view.get(coordinates, key)
      return refuse(who, [access('read', 'node', found?.row.node ?? node)]) ?? found
    },
  }
}

/** The node that has an address, the first by name where several do. */
function nodeAt(view: View, address: string): string | undefined {
  const [value] = addressValues(address)
  return value === undefined ? undefined : view.find(nodes, 'address', value, 1)[0]?.row.node
}

/** What a list is to be near to: a node, or the node that has an address. */
export type Near = { readonly node: string } | { readonly address: string }

/**
 * What a text asks to be near to: a node's name, `_agent` for that of the agent that was asked,
 * `_ip` for the one that has the client's address; undefined where it does not say.
 */
export function nearMeant(
  text: string,
  asked: { readonly node: string; readonly address: () => string },
): Near | undefined {
  if (text === '') return undefined
  if (text === '_ip') return { address: asked.address() }
  return { node: text === '_agent' ? asked.node : text }
}

/**
 * How far each node is from the one that is meant, in seconds; undefined where it is not known or
 * has no coordinate: then a list keeps its order.
 */
export function distancesFrom(view: View, near: Near): ((node: string) => number) | undefined {
  const name = 'node' in near ? near.node : nodeAt(view, near.address)
  const from = name === undefined ? undefined : view.get(coordinates, fold(name))
  if (from === undefined) return undefined
  const { coordinate } = from.row
  return node => distanceS(coordinate, view.get(coordinates, fold(node))?.row.coordinate)
}
