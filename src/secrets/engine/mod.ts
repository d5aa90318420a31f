/**
 * All engines and auth methods: adding one touches its folder and this list.
 *
 * Owns the list alone.
 */
import type { Engine } from '../declare.ts'
import { identityEngine } from './identity/engine.ts'
import { kvEngine } from './kv/engine.ts'
import { systemEngine } from './sys/engine.ts'
import type { SystemPorts } from './sys/ports.ts'
import { tokenEngine } from './token/engine.ts'

/** All engines on a server with these ports. */
export function enginesOn(ports: SystemPorts): readonly Engine[] {
  const engines: Engine[] = [kvEngine, identityEngine]
  engines.push(systemEngine(ports, engines), tokenEngine(engines))
  return engines
}
