/**
 * HTTP/2 checks: a PING that is acknowledged is passing. With TLS unless it is switched off.
 *
 * Owns the declaration; sockets are h2ping.run.ts's.
 */
import { defineCheck, networkBounds } from './define.ts'
import { runH2ping } from './h2ping.run.ts'

export const h2pingCheck = defineCheck({
  kind: 'h2ping',
  schema: {
    isAskedBy: ({ h2ping }) => h2ping !== undefined,
    fields: ['h2ping', 'h2pingUseTls', 'tlsServerName', 'tlsSkipVerify'],
  },
  bounds: networkBounds,
  startsPrograms: false,
  run: runH2ping,
})
