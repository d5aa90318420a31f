/**
 * Roots: authorities that sign themselves.
 *
 * Owns how one is made: keys and signatures before the transaction, on what the store says then;
 * in it, names and a key that is used again are looked at once more. Follows api-docs/secret/pki of
 * Vault's docs.
 */
import { Refusal } from '../../../../base/errors.ts'
import { signBy } from '../../../../x509/algorithm.ts'
import {
  certificateBody,
  type ParsedCertificate,
  readCertificate,
} from '../../../../x509/certificate.ts'
import { type Call, type Outcome, path, prepared } from '../../../declare.ts'
import { ttlsOf } from '../../../mount/ttl.ts'
import * as shape from '../../../shape.ts'
import { nameOfScheme } from '../algorithm.ts'
import { keepCertificate } from '../certificates.ts'
import type { PkiPorts } from '../ports.ts'
import { bad } from '../refusals.ts'
import { clusterOf, issuersConfigOf, NO_URLS, saysNothing, type UrlsRow, urlsOf } from '../rows.ts'
import { drawSerial, serialText } from '../serial.ts'
import { lifeOf } from '../time.ts'
import {
  askedFormat,
  askedIssuerName,
  askedKeyName,
  isGiven,
  noLength,
  warnings as texts,
} from './asked.ts'
import { askedAuthority, askedNames, formed } from './content.ts'
import { rootFields } from './fields.ts'
import { endAll, keepIssuer, setDefaultIssuer } from './keep.ts'
import { exportedKey, keepSource, type Source, sourceOf } from './source.run.ts'
import { issuerIdOf } from './stored.ts'
import { filledIn } from './urls.ts'

/** A root that was signed, and is not here yet. */
interface MadeRoot {
  readonly source: Source
  readonly certificate: ParsedCertificate
  readonly warnings: readonly string[]
}

type RootCall<P = undefined> = Call<typeof rootFields, P>

const rootShape = shape.object({
  certificate: shape.text,
  issuing_ca: shape.text,
  serial_number: shape.text,
  expiration: shape.int,
  issuer_id: shape.text,
  issuer_name: shape.text,
  key_id: shape.text,
  key_name: shape.text,
  private_key: shape.optional(shape.text),
  private_key_type: shape.optional(shape.text),
})

/** The paths that make roots, and end everything. */
export const rootPaths = ({ arithmetic }: Pick<PkiPorts, 'arithmetic'>) => {
  const generating = (pattern: string) =>
    path({
      pattern,
      help: {
        synopsis: 'Makes a root.',
        description:
          'An authority that signs itself, with a key that is drawn (`internal`; `exported` to be told it, once) or is here (`existing`).',
      },
      fields: rootFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof rootFields, MadeRoot>({
          summary: 'Makes a root.',
          answer: rootShape,
          prepare: call => makeRoot(call, { arithmetic }),
          run: keepRoot,
          examples: [{ common_name: 'example.com', ttl: '87600h', key_type: 'ec' }],
        }),
      },
    })
  return [
    generating('root/generate/{exported}'),
    generating('root/rotate/{exported}'),
    generating('issuers/generate/root/{exported}'),
    path({
      pattern: 'root',
      help: { synopsis: 'All issuers and keys.', description: 'Ends all of them at once.' },
      fields: {},
      access: 'privileged',
      operations: { delete: { summary: 'Ends all issuers and keys.', run: endRoot } },
    }),
  ]
}

/** Where a new root tells that things are: a root has no issuer yet whose id could be filled in. */
function urlsOfRoot({
  storage,
}: Pick<Call, 'storage'>): { urls: UrlsRow; warning?: string } | Refusal {
  const [said, cluster] = [urlsOf(storage), clusterOf(storage)]
  const urls = filledIn(said, cluster, '')
  if (!(urls instanceof Refusal)) return { urls }
  if (filledIn(said, cluster, 'empty-issuer-id') instanceof Refusal) {
    return bad(
      `unable to parse AIA URL information: ${urls.text}\nUsing templated AIA URL's {{issuer_id}} field when generating root certificates is not supported.`,
    )
  }
  const warning =
    'When generating root CA, found global AIA configuration with issuer_id template unsuitable ' +
    'for root generation. This AIA configuration has been ignored. To include AIA on this root ' +
    'CA, set the global AIA configuration to not include issuer_id and instead to refer to a ' +
    'static issuer name.'
  return { urls: NO_URLS, warning }
}

/** Makes a root of what a request says. */
async function makeRoot(
  call: RootCall,
  ports: Pick<PkiPorts, 'arithmetic'>,
): Promise<MadeRoot | Refusal> {
  const { fields, now } = call
  const refused = refuseRoot(call)
  if (refused !== undefined) return refused
  const asked = askedNames(fields)
  if (asked instanceof Refusal) return asked
  const length = isGiven(call, 'max_path_length')
  const authority = askedAuthority(fields, { length, usualLength: undefined })
  if (authority instanceof Refusal) return authority
  const ttls = ttlsOf(call.draft, call.mount)
  const life = lifeOf({
    nowMs: now,
    ttlMs: fields.ttl ?? 0,
    ...{ usualTtlMs: ttls.defaultMs, maxTtlMs: ttls.maxMs },
    notBefore: fields.not_before,
    notBeforeDurationMs: fields.not_before_duration ?? 0,
    notAfter: fields.not_after,
  })
  if (life instanceof Refusal) return life
  const places = urlsOfRoot(call)
  if (places instanceof Refusal) return places
  const { urls, warning } = places
  const source = await sourceOf(call, ports.arithmetic)
  if (source instanceof Refusal) return source
  const { key, spki, choice } = source
  const work = formed(() =>
    certificateBody(
      {
        ...asked,
        spki,
        serial: drawSerial(call.random),
        ...{ notBefore: life.notBefore, notAfter: life.notAfter },
        isAuthority: true,
        pathLength: authority.pathLength,
        usages: authority.usages,
        extendedUsages: authority.extendedUsages,
        constraints: authority.constraints,
        aia: { issuers: urls.issuingCertificates, ocsp: urls.ocspServers },
        crl: urls.crlDistributionPoints,
        deltaCrl: urls.deltaCrlDistributionPoints,
      },
      { certificate: undefined, key, ...choice },
    ),
  )
  if (work instanceof Refusal) return work
  const certificate = readCertificate(await signBy(ports.arithmetic, work, key))
  const warnings = [...authority.warnings, ...life.warnings]
  if (warning !== undefined) warnings.push(warning)
  if (asked.subject.length === 0) warnings.push(texts.noSubject)
  if (saysNothing(urls)) warnings.push(texts.noUrls)
  if (certificate.pathLength === 0) warnings.push(noLength('generated'))
  return { source, certificate, warnings }
}

/** What can be refused before anything is drawn, and again as it is kept. */
function refuseRoot(call: Pick<RootCall, 'data' | 'storage' | 'fields'>): Refusal | undefined {
  const { fields } = call
  const asked = [
    askedFormat(fields.format),
    askedIssuerName(call, fields.issuer_name),
    askedKeyName(call, fields.key_name),
  ]
  return asked.find(each => each instanceof Refusal)
}

/** Takes in a root that was made. */
function keepRoot(call: RootCall<MadeRoot>): Outcome {
  const { storage, fields, prepared: made } = call
  const { certificate, source } = made
  const refused = refuseRoot(call)
  if (refused !== undefined) return refused
  const kind = fields.exported!
  const keyName = askedKeyName(call, fields.key_name) as string
  const kept = keepSource(call, source, { kind, name: keyName, ref: fields.key_ref ?? '' })
  if (kept instanceof Refusal) return kept
  // How it signed itself is how its lists are signed.
  const revocationAlgorithm = nameOfScheme(certificate.signatureAlgorithm)
  const issuer = keepIssuer(call, certificate, { name: nameOfRoot(call), revocationAlgorithm })
  if (issuer instanceof Refusal) return issuer
  if (issuersConfigOf(storage).followsLatest) setDefaultIssuer(call, issuer.row.id)
  keepCertificate(call, certificate.serial, {
    der: certificate.der.toString('base64'),
    issuerId: issuer.row.id,
    role: '',
    issuedAtMs: call.now,
    notAfterMs: certificate.notAfter.getTime(),
  })
  const isDer = fields.format === 'der'
  const told = isDer ? certificate.der.toString('base64') : certificate.pem.trimEnd()
  const secret = exportedKey(source, kind, {
    isDer,
    privateFormat: fields.private_key_format ?? '',
  })
  const isBundle = fields.format === 'pem_bundle' && secret.private_key !== undefined
  return {
    warnings: made.warnings,
    data: {
      certificate: isBundle ? `${secret.private_key}\n${told}` : told,
      expiration: Math.floor(certificate.notAfter.getTime() / 1_000),
      issuer_id: issuer.row.id,
      issuer_name: issuer.row.name,
      issuing_ca: told,
      key_id: kept.row.id,
      key_name: kept.row.name,
      ...secret,
      serial_number: serialText(certificate.serial),
    },
  }
}

/** The name of a new root: `next` for one that is to replace another, if nobody is called so. */
function nameOfRoot(call: Pick<RootCall, 'path' | 'data' | 'storage' | 'fields'>): string {
  const name = askedIssuerName(call, call.fields.issuer_name) as string
  if (name !== '' || !call.path.startsWith('root/rotate/')) return name
  return issuerIdOf(call.storage, 'next') instanceof Refusal ? 'next' : ''
}

function endRoot({ storage }: Call): Outcome {
  endAll(storage)
  return {
    warnings: [
      'DELETE /root deletes all keys and issuers; prefer the new DELETE /key/:key_ref and DELETE /issuer/:issuer_ref for finer granularity, unless removal of all keys and issuers is desired.',
    ],
  }
}
