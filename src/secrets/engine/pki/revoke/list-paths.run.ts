/**
 * Lists of revoked certificates as anybody may fetch them, and what makes them anew.
 *
 * Owns the forms of the answers. A raw path never answers in JSON but with an error; where there is
 * no issuer or no list of that kind it is empty.
 */
import { Refusal } from '../../../../base/errors.ts'
import { pemOf } from '../../../../x509/pem.ts'
import { type Answer, type Call, type Outcome, path, prepared } from '../../../declare.ts'
import * as shape from '../../../shape.ts'
import { issuerRef } from '../issuer/fields.ts'
import { issuersConfigOf } from '../rows.ts'
import { refreshList } from './list.ts'
import type { Lists, MadeList } from './lists.run.ts'
import { LISTS } from './rows.ts'

const DER = 'application/pkix-crl'
const PEM = 'application/x-pem-file'

/** How a list is told; undefined for one that is not there. */
type Told = (list: MadeList | undefined) => Answer

const textOf = ({ der }: MadeList): string => pemOf('X509 CRL', der)

const asDer: Told = list => rawOf(list?.der, DER)
const asPem: Told = list => rawOf(list && textOf(list), PEM)
/** Without a line end, as certificates are told beside it. */
const asTrimmedPem: Told = list => rawOf(list && textOf(list).trimEnd(), PEM)
const asCrl: Told = list => ({ data: { crl: list === undefined ? '' : textOf(list) } })
const asCertificate: Told = list => ({
  data: {
    certificate: list === undefined ? '' : textOf(list).trimEnd(),
    revocation_time: 0,
    revocation_time_rfc3339: '',
  },
})

const rawOf = (body: Buffer | string | undefined, type: string): Answer =>
  body === undefined ? { status: 204, raw: { body: '', type } } : { raw: { body, type } }

const crlShape = shape.object({ crl: shape.text })
const certificateShape = shape.object({
  certificate: shape.text,
  revocation_time: shape.int,
  revocation_time_rfc3339: shape.text,
})
const successShape = shape.object({ success: shape.bool })

/** What was prepared: the list, where there is one. */
interface Prepared {
  readonly list: MadeList | undefined
}

const help = {
  synopsis: 'The list of revoked certificates of an issuer.',
  description: 'Anybody may fetch it.',
}

/** The paths on a server with these lists. */
export function listPaths(lists: Lists) {
  const newest = async (call: Call, reference: string, isDelta: boolean) => {
    const list = await lists.newest(call, reference, isDelta)
    return list instanceof Refusal ? list : { list }
  }
  const ofIssuer = (form: string, told: Told, isDelta: boolean, answer: shape.Shape) => {
    const fields = { issuer_ref: issuerRef }
    return path({
      pattern: `issuer/{issuer_ref}/${form}`,
      help,
      fields,
      access: 'open',
      operations: {
        read: prepared<typeof fields, Prepared>({
          summary: 'Gives the list.',
          answer,
          prepare: call => newest(call, call.fields.issuer_ref!, isDelta),
          run: call => told304(call, told),
        }),
      },
    })
  }
  const ofDefault = (pattern: string, told: Told, isDelta: boolean, answer: shape.Shape) =>
    path({
      pattern,
      help,
      fields: {},
      access: 'open',
      operations: {
        read: prepared<Record<string, never>, Prepared>({
          summary: 'Gives the list of the default issuer.',
          answer,
          prepare: call =>
            issuersConfigOf(call.storage).default === ''
              ? { list: undefined }
              : newest(call, 'default', isDelta),
          run: call => told304(call, told),
        }),
      },
    })
  const { anything } = shape
  return [
    ofIssuer('crl', asCrl, false, crlShape),
    ofIssuer('crl/pem', asPem, false, anything),
    ofIssuer('crl/der', asDer, false, anything),
    ofIssuer('crl/delta', asCrl, true, crlShape),
    ofIssuer('crl/delta/pem', asPem, true, anything),
    ofIssuer('crl/delta/der', asDer, true, anything),
    ofDefault('crl', asDer, false, anything),
    ofDefault('crl/pem', asTrimmedPem, false, anything),
    ofDefault('crl/delta', asDer, true, anything),
    ofDefault('crl/delta/pem', asTrimmedPem, true, anything),
    ofDefault('cert/crl', asCertificate, false, certificateShape),
    ofDefault('cert/crl/raw', asDer, false, anything),
    ofDefault('cert/crl/raw/pem', asTrimmedPem, false, anything),
    ofDefault('cert/delta-crl', asCertificate, true, certificateShape),
    ofDefault('cert/delta-crl/raw', asDer, true, anything),
    ofDefault('cert/delta-crl/raw/pem', asTrimmedPem, true, anything),
    rotation('crl/rotate', 'whole'),
    rotation('crl/rotate-delta', 'delta'),
  ]
}

/** What is told, or that a client has it already. */
function told304(
  {
    request,
    prepared: { list },
  }: Pick<Call<Record<string, never>, Prepared>, 'request' | 'prepared'>,
  told: Told,
): Outcome {
  const since = Date.parse(request.headers['if-modified-since'] ?? '')
  if (list === undefined || Number.isNaN(since)) return told(list)
  const modifiedMs = Math.floor(list.thisUpdateMs / 1_000) * 1_000
  if (modifiedMs > since) return told(list)
  const headers = { 'last-modified': new Date(modifiedMs).toUTCString() }
  return { status: 304, raw: { body: '', type: '' }, headers }
}

const rotation = (pattern: string, what: 'whole' | 'delta') =>
  path({
    pattern,
    help: {
      synopsis: 'Makes the lists of revoked certificates anew.',
      description: 'Those of all issuers, whatever their time.',
    },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: 'Gives each list another number.',
        effect: 'writes',
        answer: successShape,
        run({ storage, now }) {
          for (const id of storage.keys(LISTS)) refreshList(storage, id, now, what)
          return { data: { success: true } }
        },
      },
    },
  })
