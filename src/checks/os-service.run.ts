/**
 * One run of a check of a systemd unit: its tool is asked for the unit's state.
 *
 * Owns nothing but what is asked; the process is program.run.ts's.
 */
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult, StartRun } from './define.ts'
import { outputText, type ProgramEnd, programResult } from './program.ts'
import { isUnitName, unitQuestion, unitResult } from './unit-state.ts'

/** Starts one run; see StartRun. */
export const runOsService: StartRun = ({ definition, timeoutMs }, { programs }, report) => {
  const unit = definition.osService ?? ''
  if (!isUnitName(unit)) {
    report({ status: CheckStatus.critical, output: 'error accessing service: not a unit name' })
    return { end() {} }
  }
  const request = { words: unitQuestion(unit), outputMaxSizeBytes: ANSWER_SIZE_BYTES }
  return programs.start(request, end => report(unitEnd(unit, end, timeoutMs)))
}

/** Two short lines, or a complaint. */
const ANSWER_SIZE_BYTES = 4_096

function unitEnd(unit: string, end: ProgramEnd, timeoutMs: number): CheckResult {
  if (end.what !== 'exit') return programResult(end, timeoutMs)
  if (end.code === 0) return unitResult(unit, end.output.text)
  const output = `error querying service status: ${outputText(end.output)}`
  return { status: CheckStatus.critical, output }
}
