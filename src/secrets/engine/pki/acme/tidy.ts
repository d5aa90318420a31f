/**
 * Accounts of ACME that nobody uses: revoked, and later forgotten.
 *
 * Owns what is unused. Pure.
 */
import type { Storage } from '../../../storage.ts'
import { thumbprintOf } from './jws.ts'
import {
  accountAt,
  accountIds,
  deleteAccount,
  orderIds,
  putAccount,
  unnameAccount,
} from './rows.ts'

/** What was done to how many accounts. */
export interface TidiedAccounts {
  readonly all: number
  readonly revoked: number
  readonly deleted: number
}

/** Tidies all accounts that were not used for so long. */
export function tidyAccounts(storage: Storage, nowMs: number, bufferMs: number): TidiedAccounts {
  let [revoked, deleted] = [0, 0]
  const ids = accountIds(storage)
  for (const id of ids) {
    const account = accountAt(storage, id)!
    if (orderIds(storage, id).length > 0) continue
    if (account.status === 'valid') {
      if (Math.max(account.usedMs, account.createdMs) + bufferMs >= nowMs) continue
      putAccount(storage, { ...account, status: 'revoked', endedMs: nowMs })
      revoked++
    } else if ((account.endedMs ?? account.createdMs) + bufferMs < nowMs) {
      unnameAccount(storage, account.directory, thumbprintOf(account.jwk))
      deleteAccount(storage, id)
      deleted++
    }
  }
  return { all: ids.length - deleted, revoked, deleted }
}
