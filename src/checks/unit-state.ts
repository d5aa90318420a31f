/**
 * What `systemctl show` says of a unit, and what that means for a check.
 *
 * Owns the words that are asked and read. Pure.
 */
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult } from './define.ts'

/** Whether a text can be the name of one unit; a pattern would stand for many. */
export const isUnitName = (text: string): boolean => /^[\w:.\\@-]{1,255}$/.test(text)

/** The command that asks for a unit's state; the unit can only be a name to it. */
export const unitQuestion = (unit: string): readonly string[] => [
  'systemctl',
  'show',
  '--property=LoadState',
  '--property=ActiveState',
  '--',
  unit,
]

/** Reads the answer. */
export function unitResult(unit: string, answer: string): CheckResult {
  const states = new Map(
    answer.split('\n').map(line => line.split('=', 2) as [string, string | undefined]),
  )
  const active = states.get('ActiveState') ?? ''
  const state = states.get('LoadState') === 'not-found' ? 'not-found' : active
  if (RUNNING.includes(state)) {
    return { status: CheckStatus.passing, output: `Service ${JSON.stringify(unit)} is healthy` }
  }
  const text = `service status: ${state === '' ? 'unknown' : state}`
  if (BETWEEN.includes(state)) return { status: CheckStatus.warning, output: text }
  return { status: CheckStatus.critical, output: `${text} - OS Service unhealthy` }
}

const RUNNING = ['active', 'reloading', 'refreshing']
const BETWEEN = ['activating', 'deactivating', 'maintenance']
