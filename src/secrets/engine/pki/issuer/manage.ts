/**
 * Issuers as they are listed, read, changed and ended.
 *
 * Owns the paths `issuers` and `issuer/{issuer_ref}`, and what may be changed of an issuer.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../../declare.ts'
import { bool, list, str, toSeconds } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import { algorithmNames, algorithmOf, keyTypeOf } from '../algorithm.ts'
import { bad, later } from '../refusals.ts'
import { momentText } from '../role/times.ts'
import {
  clusterOf,
  type IssuerRow,
  type IssuerUsage,
  issuerAt,
  issuersConfigOf,
  issuerUsages,
  leafBehaviors,
  NO_URLS,
  saysNothing,
  type UrlsRow,
} from '../rows.ts'
import { askedIssuerName, isGiven } from './asked.ts'
import { chainOf } from './chain.ts'
import { mayFail, urlFields } from './config.ts'
import { issuerName, issuerRef, pageFields } from './fields.ts'
import { dropIssuer, replaceIssuer } from './keep.ts'
import { issuerIdOf, issuerOfRow, storedIssuer } from './stored.ts'
import { filledIn, refuseUrls, urlListNames, urlLists } from './urls.ts'

const checks = [
  'disable_critical_extension_checks',
  'disable_path_length_checks',
  'disable_name_checks',
  'disable_name_constraint_checks',
] as const

const issuerFields = {
  issuer_ref: issuerRef,
  issuer_name: issuerName,
  manual_chain: list('Issuers that are told as its chain, itself (or `self`) first; none: built.'),
  leaf_not_after_behavior: str(
    '`err`, `truncate` or `permit` certificates that would outlive it; `always_enforce_err` refuses those of authorities too.',
    { initial: 'err' },
  ),
  usage: list(
    'What it is used for: `read-only`, `issuing-certificates`, `crl-signing`, `ocsp-signing`.',
  ),
  revocation_signature_algorithm: str(
    'How its lists are signed, by the names of Go; as its key does unless said.',
    {
      initial: '',
    },
  ),
  ...urlFields,
  enable_aia_url_templating: bool('Whether templates in its addresses are filled in.', {
    initial: false,
  }),
  ...Object.fromEntries(
    checks.map(name => [
      name,
      bool('Not served: of the Enterprise edition.', { isDeprecated: true }),
    ]),
  ),
}

export const issuerShape = shape.object({
  issuer_id: shape.text,
  issuer_name: shape.text,
  key_id: shape.text,
  certificate: shape.text,
  manual_chain: shape.nullable(shape.texts),
  ca_chain: shape.texts,
  leaf_not_after_behavior: shape.text,
  usage: shape.text,
  revocation_signature_algorithm: shape.text,
  revoked: shape.bool,
  revocation_time: shape.optional(shape.int),
  revocation_time_rfc3339: shape.optional(shape.time),
  issuing_certificates: shape.texts,
  crl_distribution_points: shape.texts,
  delta_crl_distribution_points: shape.texts,
  ocsp_servers: shape.texts,
  enable_aia_url_templating: shape.bool,
})

/** The paths. */
export const issuerPaths = [
  path({
    pattern: 'issuers',
    help: { synopsis: 'All issuers.', description: 'By id; anybody may list them.' },
    fields: pageFields,
    access: 'open',
    operations: { list: { summary: 'Lists all issuers.', answer: shape.keys, run: listIssuers } },
  }),
  path({
    pattern: 'issuer/{issuer_ref}',
    help: {
      synopsis: 'An issuer.',
      description: 'Its certificate stays; its name, its use and its addresses can be changed.',
    },
    fields: issuerFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads an issuer.', answer: issuerShape, run: read },
      update: {
        summary: 'Sets everything that can be changed; what is not said gets its default.',
        answer: issuerShape,
        run: call => change(call, () => true),
        examples: [{ issuer_name: 'root-2026', leaf_not_after_behavior: 'truncate' }],
      },
      patch: {
        summary: 'Changes what is said.',
        answer: issuerShape,
        run: call => change(call, name => Object.hasOwn(call.data, name)),
      },
      delete: { summary: 'Ends an issuer; its key stays.', run: remove },
    },
  }),
]

function listIssuers({ storage, fields }: Call<typeof pageFields>): Outcome {
  const { after = '', limit = 0 } = fields
  const keys = storage.list('issuer/', { after, limit })
  if (keys.length === 0) return NOTHING
  const { default: standard } = issuersConfigOf(storage)
  const about = (id: string) => {
    const row = issuerAt(storage, id)!
    return {
      is_default: id === standard,
      issuer_name: row.name,
      key_id: row.keyId,
      serial_number: row.serial,
    }
  }
  return { data: { key_info: Object.fromEntries(keys.map(id => [id, about(id)])), keys } }
}

function read({ storage, fields }: Call<typeof issuerFields>): Outcome {
  const issuer = storedIssuer(storage, fields.issuer_ref!)
  return issuer instanceof Refusal ? issuer : tellIssuer(storage, issuer.row)
}

/** What is told of an issuer. */
export function tellIssuer(storage: Storage, row: IssuerRow): Answer {
  const urls = row.urls ?? NO_URLS
  const { revokedAtMs } = row
  return {
    data: {
      ca_chain: chainOf(storage, row).map(({ pem }) => `${pem}\n`),
      certificate: `${issuerOfRow(row).pem}\n`,
      ...Object.fromEntries(urlListNames.map(name => [name, urls[urlLists[name]]])),
      enable_aia_url_templating: urls.isTemplated,
      issuer_id: row.id,
      issuer_name: row.name,
      key_id: row.keyId,
      leaf_not_after_behavior: row.leafBehavior,
      manual_chain: row.manualChain.length === 0 ? null : row.manualChain,
      revocation_signature_algorithm: row.revocationAlgorithm,
      revoked: revokedAtMs !== undefined,
      ...(revokedAtMs !== undefined && {
        revocation_time: toSeconds(revokedAtMs),
        revocation_time_rfc3339: momentText(revokedAtMs),
      }),
      usage: row.usages.join(','),
    },
  }
}

/** Changes an issuer: of the fields for which `says` holds. */
function change(call: Call<typeof issuerFields>, says: (name: string) => boolean): Outcome {
  const { storage, fields, now } = call
  const issuer = storedIssuer(storage, fields.issuer_ref!)
  if (issuer instanceof Refusal) return issuer
  if (checks.some(name => (fields as Readonly<Record<string, unknown>>)[name] === true)) {
    return later('issuing without the checks of a certificate')
  }
  const { row } = issuer
  const name = says('issuer_name') ? askedIssuerName(call, fields.issuer_name, row.id) : row.name
  if (name instanceof Refusal) return name
  const chain = says('manual_chain') ? manualChain(call, row) : row.manualChain
  if (chain instanceof Refusal) return chain
  const behavior = says('leaf_not_after_behavior')
    ? leafBehaviors.find(each => each === (fields.leaf_not_after_behavior || 'err'))
    : row.leafBehavior
  if (behavior === undefined) return bad(NO_BEHAVIOR)
  const usages = says('usage') ? askedUsages(call, row) : row.usages
  if (usages instanceof Refusal) return usages
  const algorithm = says('revocation_signature_algorithm')
    ? askedAlgorithm(fields.revocation_signature_algorithm ?? '', row)
    : row.revocationAlgorithm
  if (algorithm instanceof Refusal) return algorithm
  const urls = askedUrls(call, row, says)
  if (urls instanceof Refusal) return urls
  const { urls: _, ...rest } = row
  const changed: IssuerRow = {
    ...rest,
    ...{ name, usages, leafBehavior: behavior, manualChain: chain, revocationAlgorithm: algorithm },
    modifiedAtMs: name === row.name ? row.modifiedAtMs : now,
    ...(!saysNothing(urls) && { urls }),
  }
  replaceIssuer(storage, changed)
  const warnings = row.name !== name && row.name !== '' ? referring(storage, row.name) : []
  const filled = filledIn(urls, clusterOf(storage), row.id)
  if (filled instanceof Refusal) warnings.push(mayFail(filled))
  return { ...tellIssuer(storage, changed), warnings }
}

const NO_BEHAVIOR =
  'Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, `permit`, and `always_enforce_err`.'

/** Issuers that are put together by hand, itself first. */
function manualChain(call: Call<typeof issuerFields>, row: IssuerRow): string[] | Refusal {
  const ids: string[] = []
  for (const [at, reference] of (call.fields.manual_chain ?? []).entries()) {
    const id = at === 0 && reference === 'self' ? row.id : issuerIdOf(call.storage, reference)
    if (id instanceof Refusal) return id
    if (at === 0 && id !== row.id) {
      return bad(`expected first cert in chain to be a self-reference, but was: ${reference}/${id}`)
    }
    ids.push(id)
  }
  return ids.length <= limits.pkiIssuers ? ids : bad('manual_chain has too many issuers')
}

/** What an issuer is to be used for. */
function askedUsages(
  call: Call<typeof issuerFields>,
  row: IssuerRow,
): readonly IssuerUsage[] | Refusal {
  const signsLists = issuerOfRow(row).certificate.usages.includes('cRLSign')
  const isSaid = isGiven(call, 'usage')
  // Unless somebody asks for it, what the certificate does not allow is no default.
  const usual = issuerUsages.filter(usage => usage !== 'crl-signing' || signsLists)
  const said: readonly string[] = isSaid ? (call.fields.usage ?? []) : usual
  if (said.some(each => !(issuerUsages as readonly string[]).includes(each))) {
    return bad(
      `Unable to parse specified usages: [${said.join(' ')}] - valid values are ${issuerUsages.join(',')}`,
    )
  }
  const usages = issuerUsages.filter(usage => usage === 'read-only' || said.includes(usage))
  const { revokedAtMs } = row
  if (revokedAtMs !== undefined && usages.includes('issuing-certificates')) {
    if (isSaid) return bad(REVOKED)
    return usages.filter(usage => usage !== 'issuing-certificates')
  }
  return usages.includes('crl-signing') && !signsLists ? bad(SIGNS_NO_LISTS) : usages
}

const REVOKED =
  'This issuer was revoked; unable to modify its usage to include certificate signing again. ' +
  'Reissue this certificate (preferably with a new key) and modify that entry instead.'
const SIGNS_NO_LISTS =
  "This issuer's underlying certificate lacks the CRLSign KeyUsage value; unable to set " +
  'CRLSigningUsage on this issuer as a result.'

function askedAlgorithm(text: string, row: IssuerRow): string | Refusal {
  if (text === '') return ''
  const name = algorithmOf(text)
  if (name === undefined) {
    return bad(
      `Unknown signature algorithm value: ${text} - valid values are ${algorithmNames.join(', ')}`,
    )
  }
  const type = issuerOfRow(row).certificate.publicKey.asymmetricKeyType ?? ''
  return keyTypeOf(name) === type
    ? name
    : bad(`unable to use issuer of type ${type.toUpperCase()} to sign with ${name} key type`)
}

/** The addresses of an issuer's own. */
function askedUrls(
  { fields }: Call<typeof issuerFields>,
  row: IssuerRow,
  says: (name: string) => boolean,
): UrlsRow | Refusal {
  const before = row.urls ?? NO_URLS
  const urls: { -readonly [K in keyof UrlsRow]: UrlsRow[K] } = { ...before }
  if (says('enable_aia_url_templating'))
    urls.isTemplated = fields.enable_aia_url_templating === true
  for (const name of urlListNames) if (says(name)) urls[urlLists[name]] = fields[name] ?? []
  return refuseUrls(urls) ?? urls
}

function remove(call: Call<typeof issuerFields>): Answer {
  const { storage, fields } = call
  const reference = fields.issuer_ref!
  const id = issuerIdOf(storage, reference)
  const row = id instanceof Refusal ? undefined : issuerAt(storage, id)
  if (row === undefined) return NOTHING
  const warnings = row.name === '' ? [] : referring(storage, row.name)
  warnings.push(...referring(storage, row.id))
  if (dropIssuer(call, row)) {
    warnings.push(
      `Deleted issuer ${row.id} (via issuer_ref ${reference}); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.`,
      ...referring(storage, 'default'),
    )
  }
  return { warnings }
}

/** Says how many roles name an issuer so; the first ones are looked at. */
function referring(storage: Storage, reference: string): string[] {
  const names = storage.keys('role/', limits.pkiRolesLookedAt)
  const count = names.filter(
    name => storage.kept<{ issuer_ref: string }>(`role/${name}`)?.issuer_ref === reference,
  ).length
  return count === 0 ? [] : [`${count} roles reference ${reference}`]
}
