/**
 * UDP checks: a datagram that nobody refuses is passing, answered or not.
 *
 * Owns the declaration; sockets are udp.run.ts's. Silence is no failure, since most services say
 * nothing to a datagram that they do not know.
 */
import { defineCheck, networkBounds } from './define.ts'
import { runUdp } from './udp.run.ts'

export const udpCheck = defineCheck({
  kind: 'udp',
  schema: { isAskedBy: ({ udp }) => udp !== undefined, fields: ['udp'] },
  bounds: networkBounds,
  startsPrograms: false,
  run: runUdp,
})
