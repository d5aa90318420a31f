/**
 * The paths that an agent without a store may answer from the part of one that it keeps.
 *
 * Owns the list. Whether a request is answered so is for the pipeline to say; others are forwarded.
 */
import type { PathDeclaration } from '../declare.ts'
import { catalogReads } from './catalog.ts'
import { healthPaths } from './health.ts'
import { nearOn } from './near.ts'
import { createWire } from './wire.ts'

/** Reads of catalog and health, as servers declare them. */
export function keptPaths(datacenter: string, agentNode: string): PathDeclaration[] {
  const wire = createWire(datacenter)
  const near = nearOn(agentNode)
  return [...catalogReads(wire, near), ...healthPaths(wire, near)]
}
