/**
 * What answers of ACME hold (RFC 8555, 7.1): all may be missing, where the answer is a problem.
 *
 * Owns the shapes. Pure.
 */
import {
  anyObject,
  bool,
  int,
  list,
  object,
  optional,
  type Shape,
  text,
  texts,
  time,
} from '../../../shape.ts'

/** Every answer may be a problem in its place. */
const orProblem = (parts: Readonly<Record<string, Shape>>): Shape =>
  object(Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, optional(part)])))

const identifier = object({ type: text, value: text })
const challengeParts = {
  type: text,
  token: text,
  status: text,
  url: text,
  validated: time,
  error: anyObject,
}

export const challengeShape = orProblem(challengeParts)

export const directoryShape = orProblem({
  newNonce: text,
  newAccount: text,
  newOrder: text,
  revokeCert: text,
  keyChange: text,
  meta: object({ externalAccountRequired: bool }),
})

export const accountShape = orProblem({
  status: text,
  contact: texts,
  termsOfServiceAgreed: bool,
  orders: text,
  externalAccountBinding: anyObject,
})

export const ordersShape = orProblem({ orders: texts })

export const orderShape = orProblem({
  status: text,
  expires: time,
  identifiers: list(identifier),
  notBefore: time,
  notAfter: time,
  authorizations: texts,
  finalize: text,
  certificate: text,
})

export const authorizationShape = orProblem({
  identifier,
  status: text,
  expires: time,
  challenges: list(challengeShape),
  wildcard: bool,
})

/** Nothing, or a body that is no JSON. */
export const nothing = orProblem({ status: int })
