/**
 * How long what a mount gives may live.
 *
 * Owns the system's bounds and how a mount's own stand to them. Pure.
 */
import type { MountRow } from './mount.ts'

const HOUR_MS = 3_600_000
/** What lives as long as nobody says otherwise, and the longest that it may, as in Vault. */
export const SYSTEM_LEASE_TTL_MS = 768 * HOUR_MS
export const SYSTEM_MAX_LEASE_TTL_MS = 768 * HOUR_MS

export interface MountTtls {
  readonly defaultMs: number
  readonly maxMs: number
}

/** What holds for a mount: its own bounds where it has them, the maximum above the system's too. */
export function ttlsOf({ config }: Pick<MountRow, 'config'>): MountTtls {
  const maxMs = config.maxLeaseTtlMs === 0 ? SYSTEM_MAX_LEASE_TTL_MS : config.maxLeaseTtlMs
  const ownMs = config.defaultLeaseTtlMs === 0 ? SYSTEM_LEASE_TTL_MS : config.defaultLeaseTtlMs
  return { defaultMs: Math.min(ownMs, maxMs), maxMs }
}
