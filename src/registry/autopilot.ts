/**
 * The rules of the autopilot's configuration: what operators say of how servers are looked after.
 *
 * Owns its defaults and when it is written. Semantics follow Consul's operator API. Pure.
 */

import { refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import type { Refusal } from '../base/errors.ts'
import { access, type Who } from '../base/who.ts'
import { type Decision, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { AUTOPILOT_KEY, type AutopilotRow, autopilot } from '../store/tables/autopilot.ts'
import type { Reader } from '../store/view.ts'

/** What holds while nobody has said anything. */
export const autopilotDefaults: AutopilotRow = {
  cleanupDeadServers: true,
  lastContactThresholdMs: 200,
  maxTrailingLogs: 250,
  minQuorum: 0,
  serverStabilizationTimeMs: 10_000,
  redundancyZoneTag: '',
  disableUpgradeMigration: false,
  upgradeVersionTag: '',
}

/** What was said; undefined where the defaults hold. */
export function autopilotConfig(view: Reader, who: Who): Cell<AutopilotRow> | undefined | Refusal {
  return refuse(who, [access('read', 'operator')]) ?? view.get(autopilot, AUTOPILOT_KEY)
}

/** Writes what a configuration says, where operators have said nothing yet. */
export function firstAutopilot(view: Reader, row: AutopilotRow): Decision<boolean> {
  const isSaid = view.get(autopilot, AUTOPILOT_KEY) !== undefined || same(row, autopilotDefaults)
  return isSaid
    ? { txn: [], answer: false }
    : { txn: [put(autopilot, AUTOPILOT_KEY, row)], answer: true }
}

export interface AutopilotPut {
  readonly row: AutopilotRow
  /** Writes only at this ModifyIndex; 0: only while the defaults hold. */
  readonly cas: number | undefined
}

/** Writes the configuration as a whole; false where the condition does not hold. */
export function putAutopilot(
  view: Reader,
  who: Who,
  { row, cas }: AutopilotPut,
): Decision<boolean> | Refusal {
  const lacking = refuse(who, [access('write', 'operator')])
  if (lacking !== undefined) return lacking
  const existing = view.get(autopilot, AUTOPILOT_KEY)
  if (cas !== undefined && (existing?.modifyIndex ?? 0) !== cas) return { txn: [], answer: false }
  if (existing !== undefined && same(existing.row, row)) return { txn: [], answer: true }
  return { txn: [put(autopilot, AUTOPILOT_KEY, row)], answer: true }
}
