/**
 * OCSP (RFC 6960) for the issuers of a mount: asked by anybody, by POST or in the path of a GET.
 *
 * Owns what is answered. All errors are answers of OCSP, as its clients read nothing else. Of a
 * certificate of an issuer here "good" means that it is not revoked; whether it was ever given is
 * not told, as not all that are given are stored. Who has no leave to sign gives no answer.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import { signBy } from '../../../../x509/algorithm.ts'
import { DerError } from '../../../../x509/der.ts'
import {
  isAskedOf,
  type OcspAnswer,
  type OcspQuestion,
  type OcspRequest,
  ocspBody,
  ocspFailure,
  readOcspRequest,
} from '../../../../x509/ocsp.ts'
import { type Answer, type Call, path, prepared } from '../../../declare.ts'
import { str } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import { choiceOf } from '../algorithm.ts'
import { issuerFor, issuerOfRow, type SigningIssuer } from '../issuer/stored.ts'
import { issuersOf } from '../rows.ts'
import { listIdOf, revokedAt } from './rows.ts'
import { crlConfigOf, durationOf } from './settings.ts'

const TYPE = 'application/ocsp-response'

const failure = (status: number, why: Parameters<typeof ocspFailure>[0]): Answer => ({
  status,
  raw: { body: ocspFailure(why), type: TYPE },
})
const MALFORMED = failure(400, 'malformed')
const UNAUTHORIZED = failure(401, 'unauthorized')

const getFields = { req: str('The request: DER in base64.') }

const help = {
  synopsis: 'Whether a certificate is revoked, by OCSP.',
  description: 'Anybody may ask. Answers are signed by the issuer of the certificate.',
}

/** The paths on a server with these ports. */
export function ocspPaths({ arithmetic }: { readonly arithmetic: Pick<Arithmetic, 'sign'> }) {
  return [
    path({
      pattern: 'ocsp',
      help,
      fields: {},
      access: 'open',
      operations: {
        update: prepared<Record<string, never>, Answer>({
          summary: 'Answers a request of the type application/ocsp-request.',
          effect: 'reads',
          answer: shape.anything,
          prepare: call => answer(call, call.request.body, arithmetic),
          run: call => call.prepared,
        }),
      },
    }),
    path({
      pattern: 'ocsp/{req*}',
      help,
      fields: getFields,
      access: 'open',
      operations: {
        read: prepared<typeof getFields, Answer>({
          summary: 'Answers a request that stands in the path.',
          answer: shape.anything,
          prepare: call => answer(call, bytesIn(textIn(call)), arithmetic),
          run: call => call.prepared,
        }),
      },
    }),
  ]
}

/**
 * The text of a request in a path. In a path that is routed slashes do not stand together, as they
 * do in base64.
 */
function textIn({ fields, request }: Call<typeof getFields>): string {
  const { req = '' } = fields
  const { sentPath = '' } = request
  let at = sentPath.indexOf(MARK)
  // A mount may be called so too, but not without end.
  for (let tries = 0; tries < 4 && at !== -1; tries++) {
    const text = decodeURIComponent(sentPath.slice(at + MARK.length))
    if (text.replaceAll(/\/{2,}/g, '/') === req) return text
    at = sentPath.indexOf(MARK, at + 1)
  }
  return req
}

const MARK = '/ocsp/'

/** The request in a path; clients escape what is special in one, or do not. */
function bytesIn(text: string): Buffer | undefined {
  const plain = text.replaceAll(' ', '+')
  const isText = plain.length < limits.pkiOcspChars && /^[A-Za-z0-9+/]+={0,2}$/.test(plain)
  return isText ? Buffer.from(plain, 'base64') : undefined
}

type Asked = Pick<Call, 'storage' | 'now'>

async function answer(
  call: Asked,
  body: Buffer | undefined,
  arithmetic: Pick<Arithmetic, 'sign'>,
): Promise<Answer> {
  const config = crlConfigOf(call.storage)
  if (config.ocsp_disable) return UNAUTHORIZED
  if (body === undefined || body.length > limits.pkiOcspChars) return MALFORMED
  const request = requestIn(body)
  if (request === undefined) return MALFORMED
  const issuer = signerOf(call.storage, request.questions)
  if (issuer === undefined) return UNAUTHORIZED
  const thisUpdate = wholeSeconds(call.now)
  const forMs = durationOf(config.ocsp_expiry)
  const nextUpdate = forMs === 0 ? undefined : new Date(thisUpdate.getTime() + forMs)
  const answers = request.questions.map(question => ({
    ...{ certId: question.certId, thisUpdate, nextUpdate },
    status: statusOf(call.storage, issuer, question),
  }))
  const { certificate, key, row } = issuer
  const choice = choiceOf(row.revocationAlgorithm, key)
  const content = { answers, producedAt: thisUpdate, nonce: request.nonce }
  const work = ocspBody(content, { certificate, key, ...choice })
  return { raw: { body: await signBy(arithmetic, work, key), type: TYPE } }
}

const wholeSeconds = (atMs: number): Date => new Date(Math.floor(atMs / 1_000) * 1_000)

function requestIn(body: Buffer): OcspRequest | undefined {
  try {
    return readOcspRequest(body)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

/**
 * Who signs: an issuer that is asked about and may; where nobody here is asked about, the default
 * issuer says that it does not know. Undefined where who is asked about may not sign.
 */
function signerOf(storage: Storage, questions: readonly OcspQuestion[]): SigningIssuer | undefined {
  const asked = issuersOf(storage)
    .map(issuerOfRow)
    .filter(({ certificate }) => questions.some(question => isAskedOf(question, certificate)))
  const references = asked.length === 0 ? ['default'] : asked.map(({ row }) => row.id)
  for (const reference of references) {
    const issuer = issuerFor(storage, reference, 'ocsp-signing')
    if (!(issuer instanceof Refusal)) return issuer
  }
  return undefined
}

/** What the signer says of one certificate: of those of other issuers that it does not know. */
function statusOf(
  storage: Storage,
  { certificate }: SigningIssuer,
  question: OcspQuestion,
): OcspAnswer['status'] {
  if (!isAskedOf(question, certificate)) return 'unknown'
  const row = revokedAt(storage, question.serial)
  if (row === undefined || row.list !== listIdOf(certificate)) return 'good'
  const { revokedAtMs, reason } = row
  return { revokedAt: new Date(revokedAtMs), ...(reason !== undefined && { reason }) }
}
