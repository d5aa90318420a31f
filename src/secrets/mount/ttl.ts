/**
 * How long what a mount gives may live.
 *
 * Owns the system's bounds and how a mount's own stand to them. Pure.
 */
import { HOUR_MS } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'
import type { Draft } from '../storage.ts'
import type { MountRow } from './mount.ts'

/** What lives as long as nobody says otherwise, and the longest that it may. */
export interface SystemTtls {
  readonly defaultMs: number
  readonly maxMs: number
  /** The same of a login's token. */
  readonly loginMs: number
}

/** Vault's, where the server was told nothing else. */
export const VAULT_TTLS: SystemTtls = {
  defaultMs: 768 * HOUR_MS,
  maxMs: 768 * HOUR_MS,
  loginMs: limits.loginTtlMs,
}

export interface MountTtls {
  readonly defaultMs: number
  readonly maxMs: number
}

/** What holds for a mount: its own bounds where it has them, the maximum above the system's too. */
export function ttlsOf({ ttls }: Pick<Draft, 'ttls'>, mount: Pick<MountRow, 'config'>): MountTtls {
  const { config } = mount
  const maxMs = config.maxLeaseTtlMs === 0 ? ttls.maxMs : config.maxLeaseTtlMs
  const ownMs = config.defaultLeaseTtlMs === 0 ? ttls.defaultMs : config.defaultLeaseTtlMs
  return { defaultMs: Math.min(ownMs, maxMs), maxMs }
}
