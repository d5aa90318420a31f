/**
 * One run of a script check: a program, until it ends or its time is over.
 *
 * Owns nothing but which program; the process is program.run.ts's.
 */
import type { StartRun } from './define.ts'
import { programResult } from './program.ts'

/** Starts one run; see StartRun. */
export const runScript: StartRun = (request, { programs }, report) => {
  const { definition, timeoutMs, outputMaxSizeBytes } = request
  const words = definition.scriptArgs ?? []
  return programs.start({ words, outputMaxSizeBytes }, end => report(programResult(end, timeoutMs)))
}
