/**
 * The row of `config/crl`.
 *
 * Owns what holds where nobody set anything: as in OpenBao.
 */
import { toDurationMs } from '../../../field.ts'
import type { Storage } from '../../../storage.ts'

/** The settings as they are told; durations are as somebody wrote them. */
export interface CrlConfig {
  readonly expiry: string
  readonly disable: boolean
  readonly ocsp_disable: boolean
  readonly ocsp_expiry: string
  readonly auto_rebuild: boolean
  readonly auto_rebuild_grace_period: string
  readonly enable_delta: boolean
  readonly delta_rebuild_interval: string
  readonly allow_expired_cert_revocation: boolean
  /** -1 for any number. */
  readonly max_crl_entries: number
}

const CONFIG = 'config/crl'

const initial: CrlConfig = {
  expiry: '72h',
  disable: false,
  ocsp_disable: false,
  ocsp_expiry: '12h',
  auto_rebuild: false,
  auto_rebuild_grace_period: '12h',
  enable_delta: false,
  delta_rebuild_interval: '15m',
  allow_expired_cert_revocation: false,
  max_crl_entries: -1,
}

export const crlConfigOf = (storage: Storage): CrlConfig =>
  storage.kept<CrlConfig>(CONFIG) ?? initial

/** A duration of the settings, which was looked at when it was written. */
export const durationOf = (text: string): number => toDurationMs(text) ?? 0

export const putCrlConfig = (storage: Storage, config: CrlConfig): void =>
  storage.put(CONFIG, config)
