/**
 * HTTP checks: any 2xx is passing, 429 is a warning, everything else is critical.
 *
 * Owns the declaration. What is asked and how answers are judged: http-exchange.ts; sockets:
 * http.run.ts.
 */
import { defineCheck, networkBounds } from './define.ts'
import { runHttp } from './http.run.ts'

export const httpCheck = defineCheck({
  kind: 'http',
  schema: {
    isAskedBy: ({ http }) => http !== undefined,
    fields: [
      'http',
      'method',
      'header',
      'body',
      'disableRedirects',
      'tlsServerName',
      'tlsSkipVerify',
    ],
  },
  bounds: networkBounds,
  startsPrograms: false,
  run: runHttp,
})
