/**
 * The rules of checks that servers run for nodes without an agent.
 *
 * Owns which nodes those are (by the meta that consul-esm goes by), and what results and failures
 * that last change in the catalog. How a check is run is none of its business. Pure.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Decision } from '../store/store.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import type { NodeRow } from '../store/tables/node.ts'
import type { Reader } from '../store/view.ts'
import { checkOps, dropServiceOps } from './catalog.ts'
import type { Said } from './local.ts'

/** Whether no agent lives on a node, so that servers run its checks. */
export const isExternal = ({ meta }: NodeRow): boolean => meta['external-node'] === 'true'

/** Writes what a check says, if it is there; one that turns critical ends the sessions on it. */
export function updateExternalCheck(
  view: Reader,
  key: Bytes,
  { status, output }: Said,
): Decision<boolean> {
  const row = view.get(checks, key)?.row
  if (row === undefined) return { txn: [], answer: false }
  return { txn: checkOps(view, { ...row, status, output }), answer: true }
}

/** Deregisters the service of a check that still is critical; gives what was deregistered. */
export function reapExternal(
  view: Reader,
  key: Bytes,
): Decision<Pick<CheckRow, 'node' | 'serviceId'> | undefined> {
  const row = view.get(checks, key)?.row
  if (row === undefined || row.serviceId === '' || row.status !== CheckStatus.critical) {
    return { txn: [], answer: undefined }
  }
  const { node, serviceId } = row
  return { txn: dropServiceOps(view, node, serviceId), answer: { node, serviceId } }
}
