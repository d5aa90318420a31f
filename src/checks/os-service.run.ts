/**
 * One run of a check of a systemd unit: its tool is asked for the unit's state.
 *
 * Owns nothing but what is asked; the process is program.run.ts's.
 */
import { CheckStatus } from '../store/tables/check.ts'
import type { StartRun } from './define.ts'
import { runProgram } from './program.run.ts'
import { tailText } from './program.ts'
import { isUnitName, unitQuestion, unitResult } from './unit-state.ts'

/** Starts one run; see StartRun. */
export const runOsService: StartRun = ({ definition, timeoutMs }, { environment }, report) => {
  const unit = definition.osService ?? ''
  if (!isUnitName(unit)) {
    report({ status: CheckStatus.critical, output: 'error accessing service: not a unit name' })
    return { end() {} }
  }
  const words = unitQuestion(unit)
  return runProgram(
    { words, environment, timeoutMs, outputMaxSizeBytes: ANSWER_SIZE_BYTES },
    (exitCode, output) =>
      exitCode === 0
        ? unitResult(unit, output.text())
        : {
            status: CheckStatus.critical,
            output: `error querying service status: ${tailText(output)}`,
          },
    report,
  )
}

/** Two short lines, or a complaint. */
const ANSWER_SIZE_BYTES = 4_096
