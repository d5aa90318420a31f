/**
 * TCP checks: a connection that comes about is passing; with TLS, one whose handshake succeeds.
 *
 * Owns the declaration; sockets are tcp.run.ts's.
 */
import { defineCheck, networkBounds } from './define.ts'
import { runTcp } from './tcp.run.ts'

export const tcpCheck = defineCheck({
  kind: 'tcp',
  schema: {
    isAskedBy: ({ tcp }) => tcp !== undefined,
    fields: ['tcp', 'tcpUseTls', 'tlsServerName', 'tlsSkipVerify'],
  },
  bounds: networkBounds,
  startsPrograms: false,
  run: runTcp,
})
