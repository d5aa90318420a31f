/**
 * Orders of ACME (RFC 8555, 7.4): made of identifiers, finalized with a request for a certificate,
 * and the certificate taken.
 *
 * Owns which identifiers may be ordered, and that a request asks for them and nothing else. Pure
 * but for the signature, which is made before the transaction.
 */
import { isIP } from 'node:net'
import { limits } from '../../../../base/limits.ts'
import type { PathSpec } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { addressOf } from '../role/names.ts'
import { momentOf, momentText } from '../role/times.ts'
import {
  type Issued,
  issueForAcme,
  putIssuedCertificate,
  refuseIdentifiers,
} from './authority.run.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import { type AcmeAnswer, type Asked, signedPaths, signerOf } from './request.run.ts'
import {
  type AuthorizationRow,
  type Challenge,
  type ChallengeType,
  type Identifier,
  type OrderRow,
  orderAt,
  putAccount,
  putAuthorization,
  putIssued,
  putOrder,
  statusOf,
} from './rows.ts'
import { nothing, orderShape } from './shapes.ts'

const fields = { order_id: str('The id of the order.') }

export const orderPaths = (ports: AcmePorts): readonly PathSpec[] => [
  ...signedPaths(ports, {
    pattern: 'new-order',
    synopsis: 'Orders a certificate for identifiers.',
    description: 'That they are the account’s must be shown before it is given.',
    fields: {},
    answer: orderShape,
    signer: 'account',
    handle: makeOrder,
  }),
  ...signedPaths(ports, {
    pattern: 'order/{order_id}',
    synopsis: 'What became of an order.',
    description: 'By its own account alone.',
    fields,
    answer: orderShape,
    signer: 'account',
    handle: readOrder,
  }),
  ...signedPaths<typeof fields, Issued | undefined>(ports, {
    pattern: 'order/{order_id}/finalize',
    synopsis: 'Gives the certificate of an order, for a signed request.',
    description: 'The request must name what was ordered and nothing else.',
    fields,
    answer: orderShape,
    signer: 'account',
    prepare: issue,
    handle: finalize,
  }),
  ...signedPaths(ports, {
    pattern: 'order/{order_id}/cert',
    synopsis: 'The certificate of an order, with its chain.',
    description: 'By its own account alone.',
    fields,
    answer: nothing,
    signer: 'account',
    handle: readCertificate,
  }),
]

const CREATED = 201
const malformed = (text: string): Problem => new Problem('malformed', text)

function makeOrder(asked: Asked): AcmeAnswer | Problem {
  const { call, directory, payload = {} } = asked
  const account = signerOf(asked)
  const identifiers = identifiersIn(payload.identifiers)
  if (identifiers instanceof Problem) return identifiers
  const refused = refuseIdentifiers(call, directory, identifiers)
  if (refused !== undefined) return refused
  const [notBeforeMs, notAfterMs] = [timeIn(payload.notBefore), timeIn(payload.notAfter)]
  if (notBeforeMs instanceof Problem) return notBeforeMs
  if (notAfterMs instanceof Problem) return notAfterMs
  if (notAfterMs !== undefined && notAfterMs <= Math.max(call.now, notBeforeMs ?? 0)) {
    return malformed('notAfter is over')
  }
  const expiresMs = call.now + limits.acmeOrderMs
  const authorizations = identifiers.map(identifier =>
    authorizationFor(asked, identifier, expiresMs),
  )
  const order: OrderRow = {
    ...{ id: call.random.uuid(), accountId: account.id, directory: directory.place, identifiers },
    authorizationIds: authorizations.map(({ id }) => id),
    ...{ notBeforeMs, notAfterMs, createdMs: call.now, expiresMs, issued: undefined },
  }
  for (const authorization of authorizations) putAuthorization(call.storage, authorization)
  putOrder(call.storage, order, expiresMs)
  putAccount(call.storage, { ...account, usedMs: call.now })
  return { ...shown(asked, order), status: CREATED }
}

function authorizationFor(
  { call: { random }, account }: Asked,
  identifier: Identifier,
  expiresMs: number,
): AuthorizationRow {
  const challenges = challengesOf(identifier).map(
    (type): Challenge => ({
      ...{ type, status: 'pending' },
      token: random.bytes(limits.acmeTokenSizeBytes).toString('base64url'),
    }),
  )
  const id = random.uuid()
  return { id, accountId: account!.id, identifier, status: 'pending', expiresMs, challenges }
}

/** RFC 8555, 8: a wildcard is shown by DNS alone; RFC 8738: an address is not shown by DNS. */
function challengesOf({ type, isWildcard }: Identifier): readonly ChallengeType[] {
  if (isWildcard) return ['dns-01']
  return type === 'ip' ? ['http-01', 'tls-alpn-01'] : ['http-01', 'dns-01', 'tls-alpn-01']
}

function identifiersIn(sent: unknown): readonly Identifier[] | Problem {
  if (!Array.isArray(sent) || sent.length === 0) return malformed('there are no identifiers')
  if (sent.length > limits.acmeIdentifiers) {
    return malformed(`an order has at most ${limits.acmeIdentifiers} identifiers`)
  }
  const found: Identifier[] = []
  for (const one of sent as unknown[]) {
    const identifier = identifierIn(one)
    if (identifier instanceof Problem) return identifier
    const isKnown = found.some(
      ({ value, isWildcard }) => value === identifier.value && isWildcard === identifier.isWildcard,
    )
    if (!isKnown) found.push(identifier)
  }
  return found
}

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/

function identifierIn(sent: unknown): Identifier | Problem {
  const { type, value } = (sent ?? {}) as Readonly<Record<string, unknown>>
  if (typeof type !== 'string' || typeof value !== 'string') {
    return malformed('an identifier has a type and a value')
  }
  if (type === 'ip') {
    return addressOf(value) === value
      ? { type, value, isWildcard: false }
      : malformed('an identifier is no address in its usual form')
  }
  if (type !== 'dns') {
    return new Problem('unsupportedIdentifier', 'identifiers are of the type dns or ip')
  }
  const lower = value.toLowerCase()
  const isWildcard = lower.startsWith('*.')
  const name = isWildcard ? lower.slice('*.'.length) : lower
  const labels = name.split('.')
  const isName = name.length <= 253 && labels.every(label => LABEL.test(label))
  const isAddress = isIP(name) !== 0 || /^\d+$/.test(labels.at(-1)!)
  return isName && !isAddress
    ? { type, value: name, isWildcard }
    : new Problem('rejectedIdentifier', 'an identifier is no name of a host')
}

function timeIn(sent: unknown): number | undefined | Problem {
  if (sent === undefined || sent === '') return undefined
  const timeMs = typeof sent === 'string' ? momentOf(sent) : undefined
  return timeMs ?? malformed('times are written as RFC 3339 says')
}

const identifierShown = ({ type, value, isWildcard }: Identifier) => ({
  type,
  value: isWildcard ? `*.${value}` : value,
})

function shown({ call, directory }: Asked, order: OrderRow): AcmeAnswer {
  const { id, identifiers, notBeforeMs, notAfterMs, expiresMs, authorizationIds } = order
  const status = statusOf(call.storage, order, call.now)
  const url = `${directory.url}/order/${id}`
  return {
    headers: { Location: url },
    body: {
      status,
      expires: momentText(expiresMs),
      identifiers: identifiers.map(identifierShown),
      ...(notBeforeMs !== undefined && { notBefore: momentText(notBeforeMs) }),
      ...(notAfterMs !== undefined && { notAfter: momentText(notAfterMs) }),
      authorizations: authorizationIds.map(one => `${directory.url}/authorization/${one}`),
      finalize: `${url}/finalize`,
      ...(status === 'valid' && { certificate: `${url}/cert` }),
    },
  }
}

/** The order that a path names, if it is the asker's. */
function ownOrder({ call, account }: Asked): OrderRow | Problem {
  const { order_id: id } = call.fields as { order_id?: string }
  const order = orderAt(call.storage, account!.id, id ?? '')
  return order ?? new Problem('malformed', 'there is no such order', { status: 404 })
}

function readOrder(asked: Asked): AcmeAnswer | Problem {
  const order = ownOrder(asked)
  return order instanceof Problem ? order : shown(asked, order)
}

/** Why an order cannot be finalized; undefined where it can. */
function refuseFinal({ call }: Asked, order: OrderRow): Problem | undefined {
  const status = statusOf(call.storage, order, call.now)
  return status === 'ready' ? undefined : new Problem('orderNotReady', `the order is ${status}`)
}

async function issue(asked: Asked): Promise<Issued | undefined | Problem> {
  const order = ownOrder(asked)
  // What is wrong is told once more, and to be told, in the transaction.
  if (order instanceof Problem || refuseFinal(asked, order) !== undefined) return undefined
  const { csr } = asked.payload ?? {}
  if (typeof csr !== 'string' || !/^[\w-]+$/.test(csr)) return malformed('there is no csr')
  const request = Buffer.from(csr, 'base64url')
  return issueForAcme(asked, order, request)
}

function finalize(asked: Asked, issued: Issued | undefined): AcmeAnswer | Problem {
  const order = ownOrder(asked)
  if (order instanceof Problem) return order
  const refused = refuseFinal(asked, order)
  if (refused !== undefined) return refused
  if (issued === undefined) return new Problem('serverInternal', 'the order changed: try again')
  const { call } = asked
  const { chain, serial, notAfterMs } = issued
  const done: OrderRow = { ...order, issued: { chain, serial } }
  const stored = putIssuedCertificate(call, issued)
  if (stored instanceof Problem) return stored
  putIssued(call.storage, serial, order.accountId, notAfterMs)
  // It is kept as long as the certificate holds: it may be taken again.
  putOrder(call.storage, done, Math.max(notAfterMs, order.expiresMs))
  return shown(asked, done)
}

function readCertificate(asked: Asked): AcmeAnswer | Problem {
  const order = ownOrder(asked)
  if (order instanceof Problem) return order
  const { issued } = order
  if (issued === undefined) return new Problem('orderNotReady', 'there is no certificate yet')
  return { raw: { body: issued.chain, type: 'application/pem-certificate-chain' } }
}
