/**
 * A tidy as it goes: how far it came, what it did, and what is told of it.
 *
 * Owns its row, and the queue of mounts that are tidied. Pure.
 */
import type { MountRow } from '../../../mount/mount.ts'
import * as shape from '../../../shape.ts'
import type { Draft, Storage } from '../../../storage.ts'
import { momentText } from '../role/times.ts'
import { settingsParts, settingsShown, type TidySettings } from './settings.ts'

/** What is done one after the other. */
export const phases = ['certificates', 'revoked', 'issuers', 'acme'] as const
export type Phase = (typeof phases)[number]

export interface TidyRun {
  readonly settings: TidySettings
  readonly isAutomatic: boolean
  readonly state: 'Running' | 'Cancelling' | 'Finished' | 'Cancelled' | 'Error'
  readonly startedMs: number
  readonly finishedMs?: number
  readonly error?: string
  /** How far it came: the phase, and the serial number that was looked at last. */
  readonly phase: Phase
  readonly after: string
  readonly counts: TidyCounts
}

export interface TidyCounts {
  readonly storedDeleted: number
  readonly revokedDeleted: number
  readonly issuersMissing: number
  readonly stored: number
  readonly revoked: number
  readonly accountsRevoked: number
  readonly accountsDeleted: number
  readonly accounts: number
}

const NOTHING_YET: TidyCounts = {
  ...{ storedDeleted: 0, revokedDeleted: 0, issuersMissing: 0, stored: 0, revoked: 0 },
  ...{ accountsRevoked: 0, accountsDeleted: 0, accounts: 0 },
}

const RUN = 'tidy/run'
const AUTOMATIC = 'tidy/automatic'

export const runOf = (storage: Storage): TidyRun | undefined => storage.kept<TidyRun>(RUN)

/** Keeps how far a tidy came. */
export function putRun(storage: Storage, run: TidyRun): void {
  storage.put(RUN, run)
  if (run.isAutomatic && run.finishedMs !== undefined) {
    storage.put(AUTOMATIC, { finishedMs: run.finishedMs })
  }
}

export const isRunning = (run: TidyRun | undefined): boolean =>
  run?.state === 'Running' || run?.state === 'Cancelling'

/** Mounts that are to be tidied, by their id. */
export const tidyQueue = (draft: Draft): Storage => draft.area('root', 'pki-tidies')

export interface QueuedTidy {
  readonly mount: MountRow
}

/** Has a mount be tidied; false where that is under way. */
export function beginTidy(
  draft: Draft,
  storage: Storage,
  mount: MountRow,
  settings: TidySettings,
  isAutomatic: boolean,
): boolean {
  // One that nobody goes on with, since its mount was elsewhere meanwhile, is begun anew.
  if (isRunning(runOf(storage)) && tidyQueue(draft).has(mount.uuid)) return false
  putRun(storage, {
    ...{ settings, isAutomatic, state: 'Running', startedMs: draft.now },
    ...{ phase: phases[0], after: '', counts: NOTHING_YET },
  })
  tidyQueue(draft).put(mount.uuid, { mount } satisfies QueuedTidy)
  return true
}

const maybe = shape.nullable

export const statusShape = shape.object({
  ...settingsParts(maybe),
  state: shape.text,
  error: maybe(shape.text),
  message: maybe(shape.text),
  time_started: maybe(shape.time),
  time_finished: maybe(shape.time),
  last_auto_tidy_finished: shape.optional(shape.time),
  internal_backend_uuid: shape.text,
  cert_store_deleted_count: maybe(shape.int),
  revoked_cert_deleted_count: maybe(shape.int),
  missing_issuer_cert_count: maybe(shape.int),
  current_cert_store_count: maybe(shape.int),
  current_revoked_cert_count: maybe(shape.int),
  acme_orders_deleted_count: maybe(shape.int),
  acme_account_revoked_count: maybe(shape.int),
  acme_account_deleted_count: maybe(shape.int),
  total_acme_account_count: maybe(shape.int),
})

const MESSAGES: Readonly<Record<Phase, string>> = {
  certificates: 'Tidying certificate store',
  revoked: 'Tidying revoked certificates',
  issuers: 'Tidying expired issuers',
  acme: 'Tidying ACME accounts',
}

const NO_SETTINGS = Object.fromEntries(
  Object.keys(settingsParts(part => part)).map(name => [name, null]),
)

/** What is told of the newest tidy of a mount. */
export function statusShown(storage: Storage, { uuid }: MountRow, countsStored: boolean) {
  const run = runOf(storage)
  const automatic = storage.kept<{ finishedMs: number }>(AUTOMATIC)
  const isOver = run?.finishedMs !== undefined
  const counted = run !== undefined && countsStored && isOver
  return {
    ...(run === undefined ? NO_SETTINGS : settingsShown(run.settings)),
    state: run?.state ?? 'Inactive',
    error: run?.error ?? null,
    message: run === undefined || isOver ? null : MESSAGES[run.phase],
    time_started: run === undefined ? null : momentText(run.startedMs),
    time_finished: run?.finishedMs === undefined ? null : momentText(run.finishedMs),
    ...(automatic && { last_auto_tidy_finished: momentText(automatic.finishedMs) }),
    internal_backend_uuid: uuid,
    cert_store_deleted_count: run?.counts.storedDeleted ?? null,
    revoked_cert_deleted_count: run?.counts.revokedDeleted ?? null,
    missing_issuer_cert_count: run?.counts.issuersMissing ?? null,
    current_cert_store_count: counted ? run.counts.stored : null,
    current_revoked_cert_count: counted ? run.counts.revoked : null,
    // Orders go by themselves when they are over.
    acme_orders_deleted_count: run === undefined ? null : 0,
    acme_account_revoked_count: run?.counts.accountsRevoked ?? null,
    acme_account_deleted_count: run?.counts.accountsDeleted ?? null,
    total_acme_account_count: run?.counts.accounts ?? null,
  }
}
