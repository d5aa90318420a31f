/**
 * Script checks: a program whose exit code is the status, as Nagios plugins have it: 0 is passing,
 * 1 a warning, everything else critical.
 *
 * Owns the declaration. The program is run by its words, never by a shell: script.run.ts; what it
 * says is read by program.ts. Off unless the agent is configured to run such checks.
 */
import { defineCheck, programBounds } from './define.ts'
import { runScript } from './script.run.ts'

export const scriptCheck = defineCheck({
  kind: 'script',
  schema: { isAskedBy: ({ scriptArgs }) => scriptArgs !== undefined, fields: ['scriptArgs'] },
  bounds: programBounds,
  startsPrograms: true,
  run: runScript,
})
