/**
 * Authorizations of ACME (RFC 8555, 7.5): what shows that an identifier is an account's.
 *
 * Owns what becomes of a challenge once it was looked at; looking is validate.run.ts's. Pure.
 */
import { limits } from '../../../../base/limits.ts'
import type { PathSpec } from '../../../declare.ts'
import { str } from '../../../field.ts'
import type { Storage } from '../../../storage.ts'
import { momentText } from '../role/times.ts'
import { thumbprintOf } from './jws.ts'
import type { AcmePorts } from './ports.ts'
import { Problem, problemBody } from './problem.ts'
import { type AcmeAnswer, type Asked, signedPaths, signerOf } from './request.run.ts'
import {
  type AuthorizationRow,
  authorizationAt,
  type Challenge,
  putAuthorization,
  type ValidationRow,
  validationRows,
} from './rows.ts'
import { authorizationShape, challengeShape } from './shapes.ts'

const fields = { auth_id: str('The id of the authorization.') }

export const authorizationPaths = (ports: AcmePorts): readonly PathSpec[] => [
  ...signedPaths(ports, {
    pattern: 'authorization/{auth_id}',
    synopsis: 'Reads an authorization, or gives it up.',
    description: 'By its own account alone.',
    fields,
    answer: authorizationShape,
    signer: 'account',
    handle: changeAuthorization,
  }),
  ...signedPaths(ports, {
    pattern: 'challenge/{auth_id}/{challenge_type}',
    synopsis: 'Reads a challenge, or has it looked at.',
    description: 'A request that asks for something says that the client is ready.',
    fields: { ...fields, challenge_type: str('http-01, dns-01 or tls-alpn-01.') },
    answer: challengeShape,
    signer: 'account',
    handle: changeChallenge,
  }),
]

function ownAuthorization({ call, account }: Asked): AuthorizationRow | Problem {
  const { auth_id: id } = call.fields as { auth_id?: string }
  const row = authorizationAt(call.storage, account!.id, id ?? '')
  return row ?? new Problem('malformed', 'there is no such authorization', { status: 404 })
}

const statusNow = ({ status, expiresMs }: AuthorizationRow, nowMs: number): string =>
  status === 'pending' || status === 'valid' ? (expiresMs <= nowMs ? 'expired' : status) : status

function shown({ call, directory }: Asked, row: AuthorizationRow): AcmeAnswer {
  const { id, identifier, expiresMs, challenges } = row
  const { type, value, isWildcard } = identifier
  return {
    body: {
      identifier: { type, value },
      status: statusNow(row, call.now),
      expires: momentText(expiresMs),
      challenges: challenges.map(one => challengeShown(directory.url, id, one)),
      ...(isWildcard && { wildcard: true }),
    },
  }
}

const challengeShown = (
  url: string,
  authorizationId: string,
  { type, token, status, validatedMs, error }: Challenge,
) => ({
  ...{ type, token, status },
  url: `${url}/challenge/${authorizationId}/${type}`,
  ...(validatedMs !== undefined && { validated: momentText(validatedMs) }),
  ...(error !== undefined && { error }),
})

function changeAuthorization(asked: Asked): AcmeAnswer | Problem {
  const row = ownAuthorization(asked)
  if (row instanceof Problem) return row
  const { call, payload } = asked
  if (payload === undefined || payload.status === undefined) return shown(asked, row)
  if (payload.status !== 'deactivated') {
    return new Problem('malformed', 'the only status to be asked for is deactivated')
  }
  if (row.status !== 'pending' && row.status !== 'valid') return shown(asked, row)
  const ended: AuthorizationRow = { ...row, status: 'deactivated' }
  putAuthorization(call.storage, ended)
  return shown(asked, ended)
}

function changeChallenge(asked: Asked): AcmeAnswer | Problem {
  const row = ownAuthorization(asked)
  if (row instanceof Problem) return row
  const { call, directory, payload } = asked
  const { challenge_type: type } = call.fields as { challenge_type?: string }
  const challenge = row.challenges.find(one => one.type === type)
  if (challenge === undefined) {
    return new Problem('malformed', 'there is no such challenge', { status: 404 })
  }
  const links = [`<${directory.url}/authorization/${row.id}>;rel="up"`]
  const told = (one: Challenge): AcmeAnswer => ({
    body: challengeShown(directory.url, row.id, one),
    links,
    ...(one.status === 'processing' && { headers: { 'Retry-After': '1' } }),
  })
  const isOpen = challenge.status === 'pending' && statusNow(row, call.now) === 'pending'
  if (payload === undefined || !isOpen) return told(challenge)
  const begun: Challenge = { ...challenge, status: 'processing' }
  const queue = validationRows(call.draft)
  if (queue.keys('', limits.acmeWaiting).length >= limits.acmeWaiting) {
    return new Problem('rateLimited', 'too many challenges wait: try again')
  }
  putAuthorization(call.storage, withChallenge(row, begun))
  const account = signerOf(asked)
  const waiting: ValidationRow = {
    mount: call.mount,
    accountId: account.id,
    authorizationId: row.id,
    type: challenge.type,
    identifier: row.identifier,
    token: challenge.token,
    keyAuthorization: `${challenge.token}.${thumbprintOf(account.jwk)}`,
    tries: 0,
    nextMs: call.now,
  }
  queue.put(`${row.id}/${challenge.type}`, waiting)
  return told(begun)
}

const withChallenge = (row: AuthorizationRow, challenge: Challenge): AuthorizationRow => ({
  ...row,
  challenges: row.challenges.map(one => (one.type === challenge.type ? challenge : one)),
})

/** Writes down what became of a challenge that was looked at. */
export function settleChallenge(
  storage: Storage,
  { accountId, authorizationId, type }: ValidationRow,
  problem: Problem | undefined,
  nowMs: number,
): void {
  const row = authorizationAt(storage, accountId, authorizationId)
  const challenge = row?.challenges.find(one => one.type === type)
  if (row === undefined || challenge?.status !== 'processing' || row.status !== 'pending') return
  const settled: Challenge =
    problem === undefined
      ? { ...challenge, status: 'valid', validatedMs: nowMs }
      : { ...challenge, status: 'invalid', error: problemBody(problem) }
  const status = problem === undefined ? 'valid' : 'invalid'
  putAuthorization(storage, { ...withChallenge(row, settled), status })
}
