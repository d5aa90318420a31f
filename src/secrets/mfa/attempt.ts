/**
 * Attempts: passcodes that somebody gives for his secret.
 *
 * Owns that each is taken once, and that nobody tries for long: both are rows with an end, so they
 * hold on every server and after a restart. What is wrong about a passcode, used or not right, is
 * told in the same words. Pure.
 */
import { SECOND_MS } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { RowEnd } from '../deadline.ts'
import type { Draft } from '../storage.ts'
import type { FactorOutcome } from './factor/factor.ts'
import type { MethodRow, TotpConfig } from './method.ts'
import { attemptRows, type EntityAt, placeOf, secretOf } from './secret.ts'
import { stepAt, stepsAround, type TotpSecret, totpCode } from './totp.ts'

interface AttemptRow {
  /** In the present window; beyond what is allowed none is looked at. */
  readonly tries: number
  readonly windowEndsMs: number
  /** Steps whose passcodes were taken, as long as they would be taken again. */
  readonly used: readonly number[]
}

const NONE: AttemptRow = { tries: 0, windowEndsMs: 0, used: [] }

const MFA_KIND = 'mfa'

/** How a row of this room is over. */
export const dueAt = (dueMs: number) => ({ kind: MFA_KIND, dueMs })

/** What ends rows that are over: attempts, and logins that nobody finished. */
export const mfaEnd: RowEnd = {
  kind: MFA_KIND,
  end: (draft, { namespaceId, area, path }) => draft.area(namespaceId, area).delete(path),
}

/** The words for a passcode that is missing, wrong, used, or of another form. */
const BAD = 'MFA credentials not supplied or incorrect'

const failed = (reason: string): FactorOutcome => ({ passed: false, reason })

/** Looks at a passcode, and counts that. */
export function tryPasscode(
  draft: Draft,
  at: EntityAt,
  method: MethodRow & { readonly config: TotpConfig },
  passcode: string | undefined,
): FactorOutcome {
  const secret = secretOf(draft, at, method.id)
  if (secret === undefined) {
    const { entityId } = at
    const name = JSON.stringify(method.name)
    return failed(`MFA secret for method name ${name} not present in entity "${entityId}"`)
  }
  if (passcode?.length !== secret.digits) return failed(BAD)
  const rows = attemptRows(draft, at.namespaceId)
  const place = placeOf(at.entityId, method.id)
  const before = stillCounting(rows.get<AttemptRow>(place) ?? NONE, draft.now, secret)
  const tries = before.tries + 1
  const max = method.config.maxAttempts
  if (tries > max) {
    put({ ...before, tries })
    const leftS = Math.ceil((before.windowEndsMs - draft.now) / SECOND_MS)
    return failed(
      `maximum TOTP validation attempts ${tries} exceeded the allowed attempts ${max}. ` +
        `Please try again in ${leftS} seconds`,
    )
  }
  const step = stepOf(secret, passcode, draft.now, before.used)
  if (step === undefined) {
    put({ ...before, tries })
    return failed(BAD)
  }
  put({ ...NONE, used: [...before.used, step] })
  return { passed: true }

  function put(row: AttemptRow): void {
    const lastMs = Math.max(row.windowEndsMs, ...row.used.map(one => endOf(secret!, one)))
    rows.put(place, row, dueAt(lastMs))
  }
}

/** When the passcode of a step is taken no more. */
const endOf = ({ periodS, skew }: TotpSecret, step: number): number =>
  (step + skew + 1) * periodS * SECOND_MS

/** A count as it is by now: its window may be over, and steps too old. */
function stillCounting(row: AttemptRow, nowMs: number, secret: TotpSecret): AttemptRow {
  const used = row.used.filter(step => endOf(secret, step) > nowMs)
  if (row.windowEndsMs > nowMs) return { ...row, used }
  return { tries: 0, windowEndsMs: nowMs + secret.periodS * SECOND_MS, used }
}

/** The step of a passcode; undefined where it has none, or one that was used. */
function stepOf(
  secret: TotpSecret,
  passcode: string,
  nowMs: number,
  used: readonly number[],
): number | undefined {
  const key = Buffer.from(secret.keyBase64, 'base64')
  const isOf = (step: number): boolean => isSameSecret(totpCode(key, step, secret), passcode)
  // Two steps may have the same passcode: it is used up for both.
  const found = stepsAround(nowMs, secret).filter(isOf)
  const isUsed = used.some(isOf)
  key.fill(0)
  return isUsed ? undefined : (found.find(step => step === stepAt(nowMs, secret)) ?? found[0])
}

/** Whether a service may be asked for somebody: not if it was in vain too often, and just now. */
export function mayAsk(draft: Draft, { namespaceId, entityId }: EntityAt, id: string): boolean {
  const row = attemptRows(draft, namespaceId).get<AttemptRow>(placeOf(entityId, id))
  return row === undefined || row.windowEndsMs <= draft.now || row.tries < limits.mfaAsks
}

/** Counts what came of asking a service for somebody. */
export function countAsked(
  draft: Draft,
  { namespaceId, entityId }: EntityAt,
  id: string,
  { passed }: FactorOutcome,
): void {
  const rows = attemptRows(draft, namespaceId)
  const place = placeOf(entityId, id)
  const before = rows.get<AttemptRow>(place)
  if (passed) {
    if (before !== undefined) rows.delete(place)
    return
  }
  const counting = before !== undefined && before.windowEndsMs > draft.now ? before : NONE
  const windowEndsMs = counting.windowEndsMs || draft.now + limits.mfaAsksMs
  rows.put(place, { tries: counting.tries + 1, windowEndsMs, used: [] }, dueAt(windowEndsMs))
}
