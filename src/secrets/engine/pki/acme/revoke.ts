/**
 * Revoking by ACME (RFC 8555, 7.6): by the account that ordered, or by the certificate's own key.
 *
 * Owns who may. Pure.
 */
import { readCertificate } from '../../../../x509/certificate.ts'
import { DerError } from '../../../../x509/der.ts'
import type { PathSpec } from '../../../declare.ts'
import { revokeIssued } from './authority.run.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import { type AcmeAnswer, type Asked, signedPaths } from './request.run.ts'
import { issuedFor } from './rows.ts'
import { nothing } from './shapes.ts'

export const revokePaths = (ports: AcmePorts): readonly PathSpec[] =>
  signedPaths(ports, {
    pattern: 'revoke-cert',
    synopsis: 'Takes a certificate back.',
    description: 'By the account that ordered it, or by its own key.',
    fields: {},
    answer: nothing,
    signer: 'either',
    handle: revoke,
  })

/** RFC 5280, 5.3.1: what a client may say of why. */
const REASONS = [0, 1, 3, 4, 5, 9]

function revoke(asked: Asked): AcmeAnswer | Problem {
  const { call, account, key, payload = {} } = asked
  const { certificate: sent, reason } = payload
  if (typeof sent !== 'string' || !/^[\w-]+$/.test(sent)) {
    return new Problem('malformed', 'there is no certificate')
  }
  if (reason !== undefined && !REASONS.includes(reason as number)) {
    return new Problem('badRevocationReason', `the reason must be one of ${REASONS.join(', ')}`)
  }
  const der = Buffer.from(sent, 'base64url')
  const parsed = parse(der)
  if (parsed === undefined) return new Problem('malformed', 'the certificate cannot be read')
  const isAllowed =
    account === undefined
      ? parsed.publicKey.equals(key)
      : issuedFor(call.storage, parsed.serial) === account.id
  if (!isAllowed) return new Problem('unauthorized', 'the certificate is somebody else’s')
  return (
    revokeIssued(call, parsed, reason as number | undefined) ?? {
      raw: { body: '', type: 'application/json' },
    }
  )
}

function parse(der: Buffer) {
  try {
    return readCertificate(der)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
