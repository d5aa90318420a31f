/**
 * Revoking issuers: they give nothing any more, and stand in the lists of whoever signed them here.
 *
 * Owns the path. It cannot be undone. Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, path } from '../../../declare.ts'
import { issuerRef } from '../issuer/fields.ts'
import { replaceIssuer } from '../issuer/keep.ts'
import { issuerShape, tellIssuer } from '../issuer/manage.ts'
import { storedIssuer } from '../issuer/stored.ts'
import { issuerOf, putRevoked } from './revoke.ts'
import { revokedAt } from './rows.ts'

const fields = { issuer_ref: issuerRef }

/** The path. */
export const revokeIssuerPath = path({
  pattern: 'issuer/{issuer_ref}/revoke',
  help: {
    synopsis: 'Revokes an issuer.',
    description:
      'It gives no certificates any more; its own list goes on. Cannot be undone, but by importing it anew.',
  },
  fields,
  access: 'authorized',
  operations: { update: { summary: 'Revokes an issuer.', answer: issuerShape, run: revoke } },
})

function revoke(call: Call<typeof fields>): Outcome {
  const { storage, now } = call
  const issuer = storedIssuer(storage, call.fields.issuer_ref!)
  if (issuer instanceof Refusal) return issuer
  const { row, certificate } = issuer
  if (row.revokedAtMs !== undefined) return tellIssuer(storage, row)
  const usages = row.usages.filter(usage => usage !== 'issuing-certificates')
  const revoked = replaceIssuer(storage, { ...row, usages, revokedAtMs: now, modifiedAtMs: now })
  const above = certificate.isSelfIssued ? undefined : issuerOf(storage, certificate)
  if (above !== undefined && revokedAt(storage, certificate.serial) === undefined) {
    putRevoked(call, certificate, above)
  }
  return tellIssuer(storage, revoked)
}
