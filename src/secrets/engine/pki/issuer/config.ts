/**
 * Settings of a mount's authorities: the default issuer and key, addresses, the mount's own one.
 *
 * Owns their paths and what is wrong with a setting.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, path } from '../../../declare.ts'
import { bool, list, str } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { bad } from '../refusals.ts'
import {
  clusterOf,
  issuerAt,
  issuersConfigOf,
  issuersOf,
  keysConfigOf,
  putCluster,
  putIssuersConfig,
  putKeysConfig,
  putUrls,
  type UrlsRow,
  urlsOf,
} from '../rows.ts'
import { isGiven } from './asked.ts'
import { setDefaultIssuer } from './keep.ts'
import { issuerIdOf, keyIdOf } from './stored.ts'
import { filledIn, isUrl, refuseUrls, urlListNames, urlLists } from './urls.ts'

const issuersFields = {
  default: str('The default issuer: its id or its name.'),
  default_follows_latest_issuer: bool('Whether the newest issuer becomes the default.'),
}
const replaceFields = { default: str('The issuer: its id or its name.', { initial: 'next' }) }
const issuersShape = shape.object({
  default: shape.text,
  default_follows_latest_issuer: shape.bool,
})

const keysFields = { default: str('The default key: its id or its name.') }
const keysShape = shape.object({ default: shape.text })

export const urlFields = {
  issuing_certificates: list("Where the issuer's certificate is."),
  crl_distribution_points: list('Where lists of revoked certificates are.'),
  delta_crl_distribution_points: list('Where changes of those lists are.'),
  ocsp_servers: list('Who answers OCSP.'),
}
const urlsFields = {
  ...urlFields,
  enable_templating: bool(
    'Whether `{{issuer_id}}`, `{{cluster_path}}` and `{{cluster_aia_path}}` are filled in.',
  ),
}
const urlsShape = shape.object({
  ...Object.fromEntries(urlListNames.map(name => [name, shape.texts])),
  enable_templating: shape.bool,
})

const clusterFields = {
  path: str('The address of this mount, such as `https://vault.example:8200/v1/pki`.'),
  aia_path: str('The address under which its certificates and lists are.'),
}
const clusterShape = shape.object({ path: shape.text, aia_path: shape.text })

/** The settings' paths. */
export const configPaths = [
  path({
    pattern: 'config/issuers',
    help: {
      synopsis: 'The default issuer.',
      description: 'It signs for paths and roles that name no other.',
    },
    fields: issuersFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads it.', answer: issuersShape, run: call => tellIssuers(call) },
      update: { summary: 'Sets it.', answer: issuersShape, run: writeIssuers },
    },
  }),
  path({
    pattern: 'root/replace',
    help: {
      synopsis: 'Another default issuer.',
      description: 'The one that `root/rotate` made, unless another is said.',
    },
    fields: replaceFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Makes another issuer the default.',
        answer: issuersShape,
        run: writeIssuers,
      },
    },
  }),
  path({
    pattern: 'config/keys',
    help: { synopsis: 'The default key.', description: 'The one that `key_ref` means by itself.' },
    fields: keysFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads it.',
        answer: keysShape,
        run: ({ storage }) => ({ data: { default: keysConfigOf(storage).default } }),
      },
      update: { summary: 'Sets it.', answer: keysShape, run: writeKeys },
    },
  }),
  path({
    pattern: 'config/urls',
    help: {
      synopsis: 'Addresses in certificates.',
      description: 'Of issuers that have none of their own.',
    },
    fields: urlsFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads them.',
        answer: urlsShape,
        run: call => ({ data: tellUrls(urlsOf(call.storage)) }),
      },
      update: { summary: 'Sets those that are said.', answer: urlsShape, run: writeUrls },
    },
  }),
  path({
    pattern: 'config/cluster',
    help: {
      synopsis: 'The address of this mount.',
      description: 'What templates of addresses are filled in with; ACME needs it.',
    },
    fields: clusterFields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads it.', answer: clusterShape, run: tellCluster },
      update: { summary: 'Sets what is said of it.', answer: clusterShape, run: writeCluster },
    },
  }),
]

function tellIssuers({ storage }: Pick<Call, 'storage'>) {
  const { default: id, followsLatest } = issuersConfigOf(storage)
  return { data: { default: id, default_follows_latest_issuer: followsLatest } }
}

function writeIssuers(call: Call<typeof issuersFields> | Call<typeof replaceFields>): Outcome {
  const { storage } = call
  const fields: Partial<Call<typeof issuersFields>['fields']> = call.fields
  const reference = (fields.default ?? '').trim()
  if (reference === '' || reference.toLowerCase() === 'default') {
    return bad("Invalid issuer specification; must be non-empty and can't be 'default'.")
  }
  const id = issuerIdOf(storage, reference)
  if (id instanceof Refusal) return bad(`Error resolving issuer reference: ${id.text}`)
  setDefaultIssuer(call, id)
  const { default_follows_latest_issuer: followsLatest } = fields
  if (followsLatest !== undefined) {
    putIssuersConfig(storage, { ...issuersConfigOf(storage), followsLatest })
  }
  const warnings = issuerAt(storage, id)!.keyId === '' ? [NO_KEY] : []
  return { ...tellIssuers(call), warnings }
}

const NO_KEY =
  'This selected default issuer has no key associated with it. Some operations like issuing ' +
  'certificates and signing CRLs will be unavailable with the requested default issuer until a ' +
  'key is imported or the default issuer is changed.'

function writeKeys({ storage, fields }: Call<typeof keysFields>): Outcome {
  const reference = (fields.default ?? '').trim()
  if (reference === '' || reference.toLowerCase() === 'default') {
    return bad("Invalid key specification; must be non-empty and can't be 'default'.")
  }
  const id = keyIdOf(storage, reference)
  if (id instanceof Refusal) return bad(`Error resolving issuer reference: ${id.text}`)
  putKeysConfig(storage, { default: id })
  return { data: { default: id } }
}

/** Addresses as answers tell them. */
function tellUrls(urls: UrlsRow) {
  return {
    ...Object.fromEntries(urlListNames.map(name => [name, urls[urlLists[name]]])),
    enable_templating: urls.isTemplated,
  }
}

function writeUrls(call: Call<typeof urlsFields>): Outcome {
  const { storage, fields } = call
  const before = urlsOf(storage)
  const said: { -readonly [K in keyof UrlsRow]: UrlsRow[K] } = {
    ...before,
    isTemplated: fields.enable_templating ?? before.isTemplated,
  }
  for (const name of urlListNames)
    if (isGiven(call, name)) said[urlLists[name]] = fields[name] ?? []
  const refused = refuseUrls(said)
  if (refused !== undefined) return refused
  putUrls(storage, said)
  return { data: tellUrls(said), warnings: warningsOf(call, said) }
}

/** What will be wrong with addresses as certificates are made. */
function warningsOf({ storage }: Pick<Call, 'storage'>, urls: UrlsRow): string[] {
  const [issuer] = issuersOf(storage)
  const filled = issuer && filledIn(urls, clusterOf(storage), issuer.id)
  return filled instanceof Refusal ? [mayFail(filled)] : []
}

/** That certificates may not be given because of an address. */
export const mayFail = ({ text }: Refusal): string =>
  `issuance may fail: ${text}\n\nConsider setting the cluster-local address if it is not already set.`

function tellCluster({ storage }: Pick<Call, 'storage'>) {
  const { path: own, aiaPath } = clusterOf(storage)
  return { data: { path: own, aia_path: aiaPath } }
}

function writeCluster(call: Call<typeof clusterFields>): Outcome {
  const { storage, fields } = call
  const before = clusterOf(storage)
  const own = isGiven(call, 'path') ? (fields.path ?? '') : before.path
  const aiaPath = isGiven(call, 'aia_path') ? (fields.aia_path ?? '') : before.aiaPath
  if (isGiven(call, 'path') && !isUrl(own)) {
    return bad(`invalid, non-URL path given to cluster: ${own}`)
  }
  if (isGiven(call, 'aia_path') && !isUrl(aiaPath)) {
    return bad(`invalid, non-URL aia_path given to cluster: ${aiaPath}`)
  }
  putCluster(storage, { path: own, aiaPath })
  return tellCluster(call)
}
