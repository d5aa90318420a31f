/**
 * TTL checks: the client reports, and silence for too long is critical.
 *
 * Owns the texts. The deadlines are the runner's, since no run is ever started. A time to live
 * starts over with every report, whatever it says, and when the agent starts. Pure.
 */
import { CheckStatus } from '../store/tables/check.ts'
import { type CheckResult, defineCheck } from './define.ts'

export const ttlCheck = defineCheck({
  kind: 'ttl',
  schema: { isAskedBy: ({ ttlMs = 0 }) => ttlMs > 0, fields: ['ttlMs'] },
})

/** What a check says when nobody reported in time; `lastOutput` is the last report's, if any. */
export function lapsed(lastOutput: string): CheckResult {
  const before = lastOutput === '' ? '' : ` (last output before timeout follows): ${lastOutput}`
  return { status: CheckStatus.critical, output: `TTL expired${before}` }
}

/** A report's text as it is kept: its beginning, and how much there was. */
export function clipOutput(output: string, maxSizeBytes: number): string {
  const bytes = Buffer.from(output, 'utf8')
  if (bytes.length <= maxSizeBytes) return output
  // A character that the cut went through is left out.
  const kept = bytes.toString('utf8', 0, maxSizeBytes).replace(/\ufffd$/, '')
  return `${kept} ... (captured ${maxSizeBytes} of ${bytes.length} bytes)`
}
