/**
 * What a tidy is to do: the fields of `tidy` and of `config/auto-tidy` (Vault's PKI API).
 *
 * Owns their defaults and bounds, and the rows of both. Pure.
 */
import { DAY_MS, SECOND_MS } from '../../../../base/duration.ts'
import type { Refusal } from '../../../../base/errors.ts'
import { bool, dur, int, str, toDurationMs, toSeconds, type Values } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'

/** What may be tidied. */
const operations = [
  'tidy_cert_store',
  'tidy_revoked_certs',
  'tidy_invalid_certs',
  'tidy_revoked_cert_issuer_associations',
  'tidy_expired_issuers',
  'tidy_move_legacy_ca_bundle',
  'tidy_acme',
] as const

export const tidyFields = {
  tidy_cert_store: bool('Forget certificates that are over.'),
  tidy_revoked_certs: bool('Forget revoked certificates that are over.'),
  tidy_revocation_list: bool('As tidy_revoked_certs.', { isDeprecated: true }),
  tidy_invalid_certs: bool('Forget what is kept as a certificate and is none.'),
  tidy_revoked_cert_issuer_associations: bool('Look for the issuers of revoked certificates.'),
  tidy_expired_issuers: bool('Forget issuers that are long over; never the default one.'),
  tidy_move_legacy_ca_bundle: bool('Does nothing: there is no such bundle here.'),
  tidy_acme: bool('Revoke accounts of ACME that nobody uses, and forget revoked ones.'),
  safety_buffer: dur('How long something must be over.', { initial: 3 * DAY_MS }),
  revoked_safety_buffer: dur('The same for revoked certificates; safety_buffer where not said.'),
  issuer_safety_buffer: dur('The same for issuers.', { initial: 365 * DAY_MS }),
  acme_account_safety_buffer: dur('The same for accounts.', { initial: 30 * DAY_MS }),
  pause_duration: str('How long to rest between pages.', { initial: '0s' }),
  page_size: int('How many certificates are looked at in one step.', { initial: 1_000 }),
}

export const autoFields = {
  ...tidyFields,
  enabled: bool('Whether it is done again and again.'),
  interval_duration: dur('From the start of one to that of the next.'),
  min_startup_backoff_duration: dur('Taken, and means nothing: rows say when it is due.'),
  max_startup_backoff_duration: dur('Taken, and means nothing: rows say when it is due.'),
  maintain_stored_certificate_counts: bool('Whether the status tells how many there are.'),
  publish_stored_certificate_count_metrics: bool('Kept, and means nothing: the status tells them.'),
}

export interface TidySettings {
  readonly tidy_cert_store: boolean
  readonly tidy_revoked_certs: boolean
  readonly tidy_invalid_certs: boolean
  readonly tidy_revoked_cert_issuer_associations: boolean
  readonly tidy_expired_issuers: boolean
  readonly tidy_move_legacy_ca_bundle: boolean
  readonly tidy_acme: boolean
  readonly safetyBufferMs: number
  readonly revokedSafetyBufferMs: number
  readonly issuerSafetyBufferMs: number
  readonly accountSafetyBufferMs: number
  /** As it was written. */
  readonly pause: string
  readonly pageRows: number
}

export interface AutoSettings extends TidySettings {
  readonly isEnabled: boolean
  readonly intervalMs: number
  readonly countsStored: boolean
  readonly publishesCounts: boolean
}

const INITIAL: AutoSettings = {
  tidy_cert_store: false,
  tidy_revoked_certs: false,
  tidy_invalid_certs: false,
  tidy_revoked_cert_issuer_associations: false,
  tidy_expired_issuers: false,
  tidy_move_legacy_ca_bundle: false,
  tidy_acme: false,
  safetyBufferMs: 3 * DAY_MS,
  revokedSafetyBufferMs: 3 * DAY_MS,
  issuerSafetyBufferMs: 365 * DAY_MS,
  accountSafetyBufferMs: 30 * DAY_MS,
  pause: '0s',
  pageRows: 1_000,
  isEnabled: false,
  intervalMs: DAY_MS / 2,
  countsStored: false,
  publishesCounts: false,
}

const AUTO = 'config/auto-tidy'

export const autoSettingsOf = (storage: Storage): AutoSettings =>
  storage.kept<AutoSettings>(AUTO) ?? INITIAL

/** What has the next automatic tidy begin: its row is over when it is due. */
export const AUTO_KIND = 'pki-auto-tidy'

/** Keeps the settings, and when the next one is due. */
export const putAutoSettings = (storage: Storage, settings: AutoSettings, dueMs: number): void =>
  storage.put(AUTO, settings, settings.isEnabled ? { kind: AUTO_KIND, dueMs } : {})

type Said = Values<typeof autoFields>
type IsGiven = (name: keyof typeof autoFields & string) => boolean

/** What is said, in place of what was there. */
export function readSettings(
  said: Partial<Said>,
  isGiven: IsGiven,
  before: AutoSettings = INITIAL,
): AutoSettings | Refusal {
  const pick = <T>(name: keyof Said & string, was: T): T =>
    isGiven(name) ? ((said[name] as T | undefined) ?? was) : was
  const bufferMs = pick('safety_buffer', before.safetyBufferMs)
  const settings: AutoSettings = {
    tidy_cert_store: pick('tidy_cert_store', before.tidy_cert_store),
    tidy_revoked_certs:
      pick('tidy_revoked_certs', before.tidy_revoked_certs) || pick('tidy_revocation_list', false),
    tidy_invalid_certs: pick('tidy_invalid_certs', before.tidy_invalid_certs),
    tidy_revoked_cert_issuer_associations: pick(
      'tidy_revoked_cert_issuer_associations',
      before.tidy_revoked_cert_issuer_associations,
    ),
    tidy_expired_issuers: pick('tidy_expired_issuers', before.tidy_expired_issuers),
    tidy_move_legacy_ca_bundle: pick(
      'tidy_move_legacy_ca_bundle',
      before.tidy_move_legacy_ca_bundle,
    ),
    tidy_acme: pick('tidy_acme', before.tidy_acme),
    safetyBufferMs: bufferMs,
    revokedSafetyBufferMs: pick(
      'revoked_safety_buffer',
      isGiven('safety_buffer') ? bufferMs : before.revokedSafetyBufferMs,
    ),
    issuerSafetyBufferMs: pick('issuer_safety_buffer', before.issuerSafetyBufferMs),
    accountSafetyBufferMs: pick('acme_account_safety_buffer', before.accountSafetyBufferMs),
    pause: pick('pause_duration', before.pause),
    pageRows: pick('page_size', before.pageRows),
    isEnabled: pick('enabled', before.isEnabled),
    intervalMs: pick('interval_duration', before.intervalMs),
    countsStored: pick('maintain_stored_certificate_counts', before.countsStored),
    publishesCounts: pick('publish_stored_certificate_count_metrics', before.publishesCounts),
  }
  return refuse(settings) ?? settings
}

function refuse(settings: AutoSettings): Refusal | undefined {
  const bounds = [
    ['safety_buffer', settings.safetyBufferMs],
    ['revoked_safety_buffer', settings.revokedSafetyBufferMs],
    ['issuer_safety_buffer', settings.issuerSafetyBufferMs],
    ['acme_account_safety_buffer', settings.accountSafetyBufferMs],
    ['interval_duration', settings.intervalMs],
  ] as const
  const wrong = bounds.find(([, ms]) => ms < SECOND_MS)
  if (wrong !== undefined) return bad(`${wrong[0]} must be greater than zero`)
  const pauseMs = toDurationMs(settings.pause)
  if (pauseMs === undefined || pauseMs < 0) return bad('pause_duration must be a duration')
  if (settings.pageRows < 1) return bad('page_size must be greater than zero')
  if (settings.isEnabled && !hasOperations(settings)) return bad(`Auto-tidy enabled but ${NONE}`)
  return settings.publishesCounts && !settings.countsStored
    ? bad(
        'publish_stored_certificate_count_metrics cannot be enabled without maintain_stored_certificate_counts',
      )
    : undefined
}

/** Whether anything is to be done at all. */
export const hasOperations = (settings: TidySettings): boolean =>
  operations.some(name => settings[name])

/** What is said where nothing is. */
export const NONE =
  'no tidy operations were requested. Enable at least one tidy operation to be run ' +
  `(${operations.join(' / ')}).`

/** Settings as they are told. */
export const settingsShown = (settings: TidySettings) => ({
  ...Object.fromEntries(operations.map(name => [name, settings[name]])),
  safety_buffer: toSeconds(settings.safetyBufferMs),
  revoked_safety_buffer: toSeconds(settings.revokedSafetyBufferMs),
  issuer_safety_buffer: toSeconds(settings.issuerSafetyBufferMs),
  acme_account_safety_buffer: toSeconds(settings.accountSafetyBufferMs),
  pause_duration: settings.pause,
  page_size: settings.pageRows,
})

export const autoShown = (settings: AutoSettings) => ({
  ...settingsShown(settings),
  enabled: settings.isEnabled,
  interval_duration: toSeconds(settings.intervalMs),
  maintain_stored_certificate_counts: settings.countsStored,
  publish_stored_certificate_count_metrics: settings.publishesCounts,
})

/** The parts of settings in an answer; null where there was no tidy yet. */
export const settingsParts = (of: (part: shape.Shape) => shape.Shape) => ({
  ...Object.fromEntries(operations.map(name => [name, of(shape.bool)])),
  safety_buffer: of(shape.int),
  revoked_safety_buffer: of(shape.int),
  issuer_safety_buffer: of(shape.int),
  acme_account_safety_buffer: of(shape.int),
  pause_duration: of(shape.text),
  page_size: of(shape.int),
})
