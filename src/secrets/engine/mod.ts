/**
 * All engines and auth methods: adding one touches its folder and this list.
 *
 * Owns the list alone.
 */
import type { Engine } from '../declare.ts'
import { approleEngine } from './approle/engine.ts'
import { cubbyholeEngine } from './cubbyhole/engine.ts'
import { identityEngine } from './identity/engine.ts'
import { kvEngine } from './kv/engine.ts'
import { pkiEngine } from './pki/engine.ts'
import { systemEngine } from './sys/engine.ts'
import type { SystemPorts } from './sys/ports.ts'
import { tokenEngine } from './token/engine.ts'
import { transitEngine } from './transit/engine.ts'
import { userpassEngine } from './userpass/engine.run.ts'

/** All engines on a server with these ports. */
export function enginesOn(ports: SystemPorts): readonly Engine[] {
  const engines: Engine[] = [
    kvEngine,
    cubbyholeEngine,
    identityEngine({
      arithmetic: ports.arithmetic,
      address: ports.server.apiAddress,
      addresses: () => ports.cluster.servers().map(({ apiAddress }) => apiAddress),
    }),
    approleEngine(ports.logins.lockout),
    userpassEngine(ports.logins),
    transitEngine(ports),
    pkiEngine(ports),
  ]
  engines.push(systemEngine(ports, engines), tokenEngine(engines))
  return engines
}
