/**
 * What operators have said of how servers are to be looked after: one row.
 *
 * Owns row and codec. The names are those that clients know from Consul's autopilot.
 */
import { defineTable, jsonCodec } from '../table.ts'

export interface AutopilotRow {
  readonly cleanupDeadServers: boolean
  readonly lastContactThresholdMs: number
  readonly maxTrailingLogs: number
  readonly minQuorum: number
  readonly serverStabilizationTimeMs: number
  readonly redundancyZoneTag: string
  readonly disableUpgradeMigration: boolean
  readonly upgradeVersionTag: string
}

/** The key is `AUTOPILOT_KEY`. */
export const autopilot = defineTable<AutopilotRow>({
  name: 'autopilot',
  prefix: 'operator/autopilot/',
  codec: jsonCodec(),
})

export const AUTOPILOT_KEY = 'config'
