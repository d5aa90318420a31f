/**
 * What ends tokens and leases that are over, for the timekeeper of the role `secrets`.
 *
 * Owns the two kinds. Pure.
 */
import type { RowEnd } from '../deadline.ts'
import { endToken } from '../token/end.ts'
import { TOKEN_KIND } from '../token/token.ts'
import { endLease, LEASE_KIND, type LeaseRow, leaseRows } from './lease.ts'

/** Tokens, with all that hangs on them: what one transaction cannot hold is over again soon. */
export const tokenEnd: RowEnd = {
  kind: TOKEN_KIND,
  end(draft, { namespaceId, path }) {
    endToken(draft, { namespaceId, hash: path })
  },
}

/** Leases of engines: they wait to be taken back from then on. */
export const leaseEnd: RowEnd = {
  kind: LEASE_KIND,
  end(draft, { namespaceId, path }) {
    const lease = leaseRows(draft, namespaceId).kept<LeaseRow>(path)
    if (lease !== undefined) endLease(draft, lease)
  },
}
