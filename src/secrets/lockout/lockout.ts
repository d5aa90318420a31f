/**
 * Lockout: who fails to log in too often is refused for a while, right or wrong.
 *
 * Owns the count of failures and its end. There is one for all spellings of a name, and one for
 * names that nobody has too: whether somebody is there cannot be told from it. The counts are rows,
 * so they hold on every server and after a restart. Pure.
 */
import { MINUTE_MS } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { RowEnd } from '../deadline.ts'
import { oneSpelling, placeOf } from '../identity/rows.ts'
import type { MountConfig, MountRow } from '../mount/mount.ts'
import type { Draft, Storage } from '../storage.ts'

/** When names of a mount are locked out. */
export type Lockout = NonNullable<MountConfig['userLockout']>

/** Vault's, where neither the configuration nor the mount says otherwise. */
export const DEFAULT_LOCKOUT: Lockout = {
  thresholdCount: 5,
  durationMs: 15 * MINUTE_MS,
  counterResetMs: 15 * MINUTE_MS,
  isDisabled: false,
}

/** What a server was told of lockout: the stanza `user_lockout`, and the environment. */
export interface LockoutSettings {
  /** `VAULT_DISABLE_USER_LOCKOUT`, `BAO_DISABLE_USER_LOCKOUT`: nobody is locked out anywhere. */
  readonly isDisabled: boolean
  /** By the type of the method; `all` for every one. */
  readonly byType: Readonly<Record<string, Partial<Lockout>>>
}

/** The settings of a server without a stanza: what the environment says. */
export const lockoutFrom = (
  environment: Readonly<Record<string, string | undefined>>,
  byType: LockoutSettings['byType'] = {},
): LockoutSettings => ({
  isDisabled: SWITCHES.some(name => TRUE.includes(environment[name] ?? '')),
  byType,
})

const SWITCHES = ['BAO_DISABLE_USER_LOCKOUT', 'VAULT_DISABLE_USER_LOCKOUT']
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True']

/** What holds for a mount: as it is tuned, else as the server was told, else as in Vault. */
export function lockoutOf(settings: LockoutSettings, { type, config }: MountRow): Lockout {
  if (settings.isDisabled) return { ...DEFAULT_LOCKOUT, isDisabled: true }
  if (config.userLockout !== undefined) return config.userLockout
  const told = (name: string) =>
    Object.hasOwn(settings.byType, name) ? settings.byType[name] : undefined
  return { ...DEFAULT_LOCKOUT, ...told('all'), ...told(type) }
}

interface FailureRow {
  readonly name: string
  readonly failures: number
  /** 0 while it is not locked. */
  readonly lockedUntilMs: number
}

const LOCKOUT_KIND = 'lockout'

/** What ends counts that are over. */
export const lockoutEnd: RowEnd = {
  kind: LOCKOUT_KIND,
  end: (draft, { namespaceId, area, path }) => draft.area(namespaceId, area).delete(path),
}

const rowsOf = (draft: Draft, namespaceId: string): Storage => draft.area(namespaceId, 'lockouts')

/** What is said to who is locked out. */
export const LOCKED = new Refusal(403, 'permission denied')

/** The count of a name; undefined where there is none, or none that still counts. */
function countAt(rows: Storage, place: string, nowMs: number): FailureRow | undefined {
  const dueMs = rows.dueMs(place)
  return dueMs === undefined || dueMs <= nowMs ? undefined : rows.kept<FailureRow>(place)
}

/** Whether a name is locked out at a mount. */
export function isLocked(draft: Draft, mount: MountRow, name: string, lockout: Lockout): boolean {
  if (lockout.isDisabled) return false
  const rows = rowsOf(draft, mount.namespaceId)
  return (countAt(rows, placeOf(draft, mount.accessor, name), draft.now)?.lockedUntilMs ?? 0) > 0
}

/** Counts a failure, which may lock the name out. */
export function countFailure(draft: Draft, mount: MountRow, name: string, lockout: Lockout): void {
  if (lockout.isDisabled || lockout.thresholdCount === 0) return
  const rows = rowsOf(draft, mount.namespaceId)
  const place = placeOf(draft, mount.accessor, name)
  const failures = (countAt(rows, place, draft.now)?.failures ?? 0) + 1
  const isOver = failures >= lockout.thresholdCount
  const dueMs = draft.now + (isOver ? lockout.durationMs : lockout.counterResetMs)
  const row: FailureRow = { name: oneSpelling(name), failures, lockedUntilMs: isOver ? dueMs : 0 }
  rows.put(place, row, { kind: LOCKOUT_KIND, dueMs })
}

/** Forgets the failures of a name: it has logged in, or somebody unlocks it. */
export function forgetFailures(
  draft: Draft,
  { namespaceId, accessor }: Pick<MountRow, 'namespaceId' | 'accessor'>,
  name: string,
): void {
  const rows = rowsOf(draft, namespaceId)
  const place = placeOf(draft, accessor, name)
  if (rows.has(place)) rows.delete(place)
}

/** The names that are locked out, by the accessor of their mount. */
export function lockedNames(draft: Draft, namespaceId: string): ReadonlyMap<string, string[]> {
  const rows = rowsOf(draft, namespaceId)
  const found = new Map<string, string[]>()
  for (const place of rows.keys()) {
    const count = countAt(rows, place, draft.now)
    if (count === undefined || count.lockedUntilMs === 0) continue
    const accessor = place.slice(0, place.indexOf('/'))
    found.set(accessor, [...(found.get(accessor) ?? []), count.name])
  }
  return found
}
