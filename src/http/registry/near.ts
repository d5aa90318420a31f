/**
 * `near`: lists by their distance from a node.
 *
 * Owns the parameter, and what it stands on; what its values mean is src/registry/coordinate.ts.
 */
import { distancesFrom, type Near, nearMeant } from '../../registry/coordinate.ts'
import type { Distance, Request } from '../declare.ts'
import { string } from '../query.ts'

/** The parameter of lists that can be sorted. */
export const nearParameter = string(
  'Nearest first from this node, _agent (this one) or _ip (the one with your address).',
)

type NearRequest = Pick<Request<{ readonly near: string }>, 'query' | 'sourceIp' | 'forwarder'>

/** What a request wants to be near to; undefined where it does not say. */
export type NearOf = (request: NearRequest) => Near | undefined

/** Reads the parameter on one agent; others may forward what they were asked. */
export function nearOn(agentNode: string): NearOf {
  return ({ query: { near }, sourceIp, forwarder }) =>
    nearMeant(near, { node: forwarder?.node ?? agentNode, address: sourceIp })
}

/** How far the items of a list are, by the nodes that they are on. */
export function distanceOf<T>(
  near: Near | undefined,
  nodeOf: (item: T) => string,
): Distance<T> | undefined {
  if (near === undefined) return undefined
  return view => {
    const distances = distancesFrom(view, near)
    return distances && (item => distances(nodeOf(item)))
  }
}
