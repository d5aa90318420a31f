/**
 * Certificates of issuers as anybody may fetch them: bytes, PEM, or told in JSON.
 *
 * Owns the types of bodies, and that a client that has the newest one is told so. Raw paths never
 * answer in JSON: where there is nothing, they are empty.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Answer, type Call, type Outcome, path } from '../../../declare.ts'
import * as shape from '../../../shape.ts'
import { chainOf } from './chain.ts'
import { issuerRef } from './fields.ts'
import { type StoredIssuer, storedIssuer } from './stored.ts'

const DER = 'application/pkix-cert'
const PEM = 'application/pem-certificate-chain'

const refFields = { issuer_ref: issuerRef }

const issuerShape = shape.object({
  certificate: shape.text,
  ca_chain: shape.texts,
  issuer_id: shape.text,
  issuer_name: shape.text,
})

const certificateShape = shape.object({
  certificate: shape.text,
  ca_chain: shape.optional(shape.text),
  revocation_time: shape.int,
  revocation_time_rfc3339: shape.text,
})

/** How the certificate of an issuer is told. */
type Told = (issuer: StoredIssuer, call: Pick<Call, 'storage'>) => Answer

const asDer: Told = ({ certificate }) => ({ raw: { body: certificate.der, type: DER } })
const asPem: Told = ({ pem }) => ({ raw: { body: pem, type: PEM } })
const asPemWithEnd: Told = ({ pem }) => ({ raw: { body: `${pem}\n`, type: PEM } })
/** The chain has the type of its parts, as Vault tells it. */
const asChain: Told = ({ row }, { storage }) => ({
  raw: { body: textOf(chainOf(storage, row)), type: DER },
})
const asJson: Told = ({ row, pem }, { storage }) => ({
  data: {
    ca_chain: chainOf(storage, row).map(each => `${each.pem}\n`),
    certificate: `${pem}\n`,
    issuer_id: row.id,
    issuer_name: row.name,
  },
})

const textOf = (chain: readonly StoredIssuer[]): string => chain.map(({ pem }) => pem).join('\n')

/** A path of one issuer that is named in it. */
const ofIssuer = (form: string, told: Told, answer: shape.Shape) =>
  path({
    pattern: `issuer/{issuer_ref}/${form}`,
    help: {
      synopsis: `The certificate of an issuer as ${form.toUpperCase()}.`,
      description: 'Anybody may fetch it.',
    },
    fields: refFields,
    access: 'open',
    operations: {
      read: {
        summary: 'Gives the certificate.',
        answer,
        run(call) {
          const issuer = storedIssuer(call.storage, call.fields.issuer_ref!)
          return issuer instanceof Refusal ? issuer : told304(call, issuer, told)
        },
      },
    },
  })

/** A raw path of the default issuer. */
const ofDefault = (pattern: string, told: Told, type: string) =>
  path({
    pattern,
    help: {
      synopsis: 'The certificate of the default issuer.',
      description: 'Anybody may fetch it; the answer is empty where there is none.',
    },
    fields: {},
    access: 'open',
    operations: {
      read: {
        summary: 'Gives the certificate.',
        answer: shape.anything,
        run(call) {
          const issuer = storedIssuer(call.storage, 'default')
          return issuer instanceof Refusal
            ? { status: 204, raw: { body: '', type } }
            : told304(call, issuer, told)
        },
      },
    },
  })

/** A path of the default issuer that answers in JSON. */
const inJson = (pattern: string, told: (issuer: StoredIssuer, call: Call) => Answer) =>
  path({
    pattern,
    help: {
      synopsis: 'The certificate of the default issuer.',
      description: 'Anybody may fetch it.',
    },
    fields: {},
    access: 'open',
    operations: {
      read: {
        summary: 'Gives the certificate.',
        answer: certificateShape,
        run(call) {
          const issuer = storedIssuer(call.storage, 'default')
          return issuer instanceof Refusal ? issuer : told(issuer, call)
        },
      },
    },
  })

const NOT_REVOKED = { revocation_time: 0, revocation_time_rfc3339: '' }

/** The paths. */
export const fetchPaths = [
  ofIssuer('json', asJson, issuerShape),
  ofIssuer('pem', asPemWithEnd, shape.anything),
  ofIssuer('der', asDer, shape.anything),
  ofDefault('ca', asDer, DER),
  ofDefault('ca/pem', asPem, PEM),
  ofDefault('ca_chain', asChain, DER),
  ofDefault('cert/ca/raw', asDer, DER),
  ofDefault('cert/ca/raw/pem', asPem, PEM),
  inJson('cert/ca', ({ pem }) => ({ data: { certificate: pem, ...NOT_REVOKED } })),
  inJson('cert/ca_chain', ({ row }, { storage }) => {
    const chain = textOf(chainOf(storage, row))
    return { data: { ca_chain: chain, certificate: chain, ...NOT_REVOKED } }
  }),
]

/** What is told, or that a client has it. Mounts are tuned to see that header, or not. */
function told304(call: Call<Record<string, never>>, issuer: StoredIssuer, told: Told): Outcome {
  const since = Date.parse(call.request.headers['if-modified-since'] ?? '')
  const modifiedMs = Math.floor(issuer.row.modifiedAtMs / 1_000) * 1_000
  if (Number.isNaN(since) || modifiedMs >= since) return told(issuer, call)
  const headers = { 'last-modified': new Date(modifiedMs).toUTCString() }
  return { status: 304, raw: { body: '', type: '' }, headers }
}
