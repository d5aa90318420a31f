/**
 * Requests to Duo's Auth API: their parameters and signature (https://duo.com/docs/authapi).
 *
 * Owns the form that is signed: date, method, host, path and the parameters in their order. Pure.
 */
import { createHmac } from 'node:crypto'

/** Names and values of a request. */
export type DuoParameters = Readonly<Record<string, string>>

/** What is signed, beside the date. */
export interface DuoRequest {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly parameters: DuoParameters
}

/** Who signs. */
export interface DuoKeys {
  readonly integrationKey: string
  readonly secretKey: string
}

/** A time as it stands in the header Date: that of RFC 2822, in UTC. */
export const duoDate = (wallMs: number): string =>
  new Date(wallMs).toUTCString().replace(/GMT$/, '-0000')

/** Parameters as they are signed and sent: in order, all but letters, digits and `_.~-` escaped. */
export const duoParameters = (parameters: DuoParameters): string =>
  Object.entries(parameters)
    .map(([name, value]) => [escaped(name), escaped(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(pair => pair.join('='))
    .join('&')

const escaped = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** The header Authorization of a request of that date: HMAC-SHA1 is what the API takes. */
export function duoAuthorization(
  { method, host, path, parameters }: DuoRequest,
  { integrationKey, secretKey }: DuoKeys,
  date: string,
): string {
  const signed = [date, method.toUpperCase(), host.toLowerCase(), path, duoParameters(parameters)]
  const signature = createHmac('sha1', secretKey).update(signed.join('\n')).digest('hex')
  return `Basic ${Buffer.from(`${integrationKey}:${signature}`).toString('base64')}`
}
