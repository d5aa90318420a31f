/**
 * Requests for certificates of authorities, which others sign.
 *
 * Owns how one is made: the key is drawn, or used again, and the request signed before the
 * transaction, which keeps the key alone.
 */
import { Refusal } from '../../../../base/errors.ts'
import { signBy } from '../../../../x509/algorithm.ts'
import { requestBody } from '../../../../x509/csr.ts'
import { pemOf } from '../../../../x509/pem.ts'
import { type Call, type Outcome, path, prepared } from '../../../declare.ts'
import * as shape from '../../../shape.ts'
import type { PkiPorts } from '../ports.ts'
import { saysNothing, urlsOf } from '../rows.ts'
import { askedFormat, askedKeyName, warnings as texts } from './asked.ts'
import { askedNames, formed } from './content.ts'
import { intermediateFields } from './fields.ts'
import { exportedKey, keepSource, type Source, sourceOf } from './source.run.ts'

/** A request that was signed; its key is not kept yet. */
interface MadeRequest {
  readonly source: Source
  readonly der: Buffer
}

type RequestCall<P = undefined> = Call<typeof intermediateFields, P>

const requestShape = shape.object({
  csr: shape.text,
  key_id: shape.text,
  private_key: shape.optional(shape.text),
  private_key_type: shape.optional(shape.text),
})

/** The paths. */
export const intermediatePaths = (ports: PkiPorts) => {
  const requesting = (pattern: string, synopsis: string) =>
    path({
      pattern,
      help: {
        synopsis,
        description: 'What others sign comes back to `intermediate/set-signed`.',
      },
      fields: intermediateFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof intermediateFields, MadeRequest>({
          summary: 'Makes a request for a certificate.',
          answer: requestShape,
          prepare: call => makeRequest(ofPath(call), ports),
          run: call => keepRequest(ofPath(call)),
          examples: [{ common_name: 'example.com Intermediate', key_type: 'ec' }],
        }),
      },
    })
  return [
    requesting('intermediate/generate/{exported}', 'A request for an intermediate.'),
    requesting('issuers/generate/intermediate/{exported}', 'A request for an intermediate.'),
    requesting('intermediate/cross-sign', 'A request for a key that is here.'),
  ]
}

/** The request, of which only a path may say where the key comes from. */
function ofPath<P>(call: RequestCall<P>): RequestCall<P> {
  return call.path === 'intermediate/cross-sign'
    ? { ...call, fields: { ...call.fields, exported: 'existing' } }
    : call
}

async function makeRequest(
  call: RequestCall,
  { arithmetic }: PkiPorts,
): Promise<MadeRequest | Refusal> {
  const { fields } = call
  const refused = refuse(call)
  if (refused !== undefined) return refused
  const asked = askedNames(fields)
  if (asked instanceof Refusal) return asked
  const source = await sourceOf(call, arithmetic)
  if (source instanceof Refusal) return source
  const { key, spki, choice } = source
  const content = { ...asked, isAuthority: fields.add_basic_constraints === true }
  const work = formed(() => requestBody(content, key, spki, choice))
  if (work instanceof Refusal) return work
  return { source, der: await signBy(arithmetic, work, key) }
}

function refuse(call: Pick<RequestCall, 'data' | 'storage' | 'fields'>): Refusal | undefined {
  const { fields } = call
  const asked = [askedFormat(fields.format), askedKeyName(call, fields.key_name)]
  return asked.find(each => each instanceof Refusal)
}

function keepRequest(call: RequestCall<MadeRequest>): Outcome {
  const { storage, fields, prepared: made } = call
  const refused = refuse(call)
  if (refused !== undefined) return refused
  const kind = fields.exported!
  const name = askedKeyName(call, fields.key_name) as string
  const kept = keepSource(call, made.source, { kind, name, ref: fields.key_ref! })
  if (kept instanceof Refusal) return kept
  const isDer = fields.format === 'der'
  const csr = isDer ? made.der.toString('base64') : pemOf('CERTIFICATE REQUEST', made.der).trimEnd()
  const privateFormat = fields.private_key_format ?? ''
  const secret = exportedKey(made.source, kind, { isDer, privateFormat })
  const isBundle = fields.format === 'pem_bundle' && secret.private_key !== undefined
  return {
    data: { csr: isBundle ? `${secret.private_key}\n${csr}` : csr, key_id: kept.row.id, ...secret },
    warnings: saysNothing(urlsOf(storage)) ? [texts.noUrlsInRequest] : [],
  }
}
