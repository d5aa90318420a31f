/**
 * What is wrong with a request of ACME, as its clients read it (RFC 7807; RFC 8555, 6.7).
 *
 * Owns the kinds and the status of each. Pure.
 */

const STATUS = {
  accountDoesNotExist: 400,
  alreadyRevoked: 400,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  connection: 400,
  dns: 400,
  externalAccountRequired: 403,
  incorrectResponse: 403,
  invalidContact: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  serverInternal: 500,
  tls: 400,
  unauthorized: 401,
  unsupportedContact: 400,
  unsupportedIdentifier: 400,
  userActionRequired: 403,
} as const

export type ProblemKind = keyof typeof STATUS

interface ProblemMore {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly [member: string]: unknown
}

/** A refusal that tells its kind. The text must quote no secret. */
export class Problem {
  readonly kind: ProblemKind
  readonly text: string
  readonly status: number
  /** Members beside those that every problem has. */
  readonly more: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    kind: ProblemKind,
    text: string,
    { status, headers = {}, ...more }: ProblemMore = {},
  ) {
    this.kind = kind
    this.text = text
    this.status = status ?? STATUS[kind]
    this.more = more
    this.headers = headers
  }
}

/** A problem as JSON: in an answer, or as the error of a challenge. */
export const problemBody = ({ kind, text, status, more }: Problem) => ({
  type: `urn:ietf:params:acme:error:${kind}`,
  detail: text,
  status,
  ...more,
})
