/**
 * Addresses in certificates: where an issuer's own certificate, its CRLs and its OCSP are.
 *
 * Owns how templates in them are filled in, and what is an address at all.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'
import {
  type ClusterRow,
  clusterOf,
  type IssuerRow,
  saysNothing,
  type UrlsRow,
  urlsOf,
} from '../rows.ts'

/** The lists of addresses, by what requests call them. */
export const urlLists = {
  issuing_certificates: 'issuingCertificates',
  crl_distribution_points: 'crlDistributionPoints',
  delta_crl_distribution_points: 'deltaCrlDistributionPoints',
  ocsp_servers: 'ocspServers',
} as const
export type UrlList = keyof typeof urlLists
export const urlListNames = Object.keys(urlLists) as UrlList[]

const TEMPLATE = /\{\{(issuer_id|cluster_path|cluster_aia_path)\}\}/

/** Whether a text is a whole address, with nothing to be filled in. */
export function isUrl(text: string): boolean {
  if (TEMPLATE.test(text) || !/^[\x21-\x7e]+$/.test(text)) return false
  const host = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]+)/.exec(text)?.[1]
  return host !== undefined && URL.canParse(text)
}

/** What is wrong with addresses that are taken as they stand; undefined for nothing. */
export function refuseUrls(urls: UrlsRow): Refusal | undefined {
  if (urls.isTemplated) return undefined
  for (const name of urlListNames) {
    const wrong = urls[urlLists[name]].find(url => !isUrl(url))
    if (wrong !== undefined) {
      return bad(
        `invalid URL found in Authority Information Access (AIA) parameter ${name}: ${wrong}`,
      )
    }
  }
  return undefined
}

/** The addresses that certificates of an issuer tell: its own, or else those of the mount. */
export function urlsOfIssuer(storage: Storage, { id, urls }: IssuerRow): UrlsRow | Refusal {
  const said = urls === undefined || saysNothing(urls) ? urlsOf(storage) : urls
  const filled = filledIn(said, clusterOf(storage), id)
  return filled instanceof Refusal
    ? bad(`unable to fetch AIA URL information: ${filled.text}`)
    : filled
}

/** Addresses with their templates filled in; the id of an issuer may be '' for none. */
export function filledIn(urls: UrlsRow, cluster: ClusterRow, issuerId: string): UrlsRow | Refusal {
  if (!urls.isTemplated || saysNothing(urls)) return urls
  const filled: { -readonly [K in keyof UrlsRow]: UrlsRow[K] } = { ...urls }
  for (const name of urlListNames) {
    const list = urlLists[name]
    const missing = urls[list].map(url => missingFor(url, cluster, issuerId)).find(text => text)
    if (missing !== undefined) return bad(missing)
    const values: Readonly<Record<string, string>> = {
      issuer_id: issuerId,
      cluster_path: cluster.path,
      cluster_aia_path: cluster.aiaPath,
    }
    const whole = urls[list].map(url =>
      url.replace(new RegExp(TEMPLATE, 'g'), (_, part: string) => values[part]!),
    )
    const wrong = whole.find(url => !isUrl(url))
    if (wrong !== undefined) {
      return bad(`error validating templated ${name}; invalid URI: ${wrong}`)
    }
    filled[list] = whole
  }
  return filled
}

function missingFor(url: string, { path, aiaPath }: ClusterRow, id: string): string | undefined {
  const lacking = 'unable to template AIA URLs as we lack'
  if (url.includes('{{cluster_path}}') && path === '') {
    return `${lacking} local cluster address information (path)`
  }
  if (url.includes('{{cluster_aia_path}}') && aiaPath === '') {
    return `${lacking} local cluster address information (aia_path)`
  }
  return url.includes('{{issuer_id}}') && id === ''
    ? `${lacking} an issuer_id for this operation`
    : undefined
}
