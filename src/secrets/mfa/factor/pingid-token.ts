/**
 * What PingID is asked by and answers with: a JWS in its compact form, signed by HMAC-SHA256
 * (RFC 7515 and 7518; https://developer.pingidentity.com/pingid-api/pid_c_PingIDapiOverview.html).
 *
 * Owns both directions. Nothing of an answer is believed before its signature holds, by that one
 * algorithm, and it names the organisation and the client that asked. Pure.
 */
import { createHmac } from 'node:crypto'
import { isSameSecret } from '../../../base/same-secret.ts'
import type { JsonObject } from '../../field.ts'
import type { PingidConfig } from './factor.ts'
import { isObject, jsonOf } from './json.ts'

/** The key of a settings file; undefined where it is none. `\=` is how Java writes `=` there. */
export function pingidKey({ useBase64Key }: PingidConfig): Buffer | undefined {
  const text = useBase64Key.replaceAll('\\=', '=')
  return text !== '' && BASE64.test(text) ? Buffer.from(text, 'base64') : undefined
}

const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/

/** The request that says `body`, at a time of the wall clock. */
export function pingidRequest(
  { orgAlias, token }: PingidConfig,
  key: Buffer,
  body: JsonObject,
  wallMs: number,
): string {
  const header = { alg: 'HS256', org_alias: orgAlias, token }
  const reqHeader = {
    ...{ locale: 'en', orgAlias, secretKey: token },
    timestamp: new Date(wallMs).toISOString().replace('T', ' ').replace('Z', ''),
    version: '4.9',
  }
  const signed = `${encoded(header)}.${encoded({ reqHeader, reqBody: body })}`
  return `${signed}.${signatureOf(signed, key)}`
}

/** What an answer says, or what is wrong with it. */
export function pingidAnswer(
  { orgAlias, token }: PingidConfig,
  key: Buffer,
  text: string,
): JsonObject | string {
  const [, signed = '', head = '', payload = '', signature = ''] = COMPACT.exec(text.trim()) ?? []
  if (signed === '') return 'no signed token'
  const header = jsonOf(Buffer.from(head, 'base64url'))
  if (!isObject(header)) return 'a token without a header'
  if (header.alg !== 'HS256' || Object.hasOwn(header, 'crit')) return 'a token signed otherwise'
  if (!isSameSecret(signature, signatureOf(signed, key))) return 'a token with a wrong signature'
  // Its own documents have both names.
  const organisation = header.orgAlias ?? header.org_alias
  const isOurs = typeof header.token === 'string' && isSameSecret(header.token, token)
  if (!isOurs || organisation !== orgAlias) return 'a token for somebody else'
  const claims = jsonOf(Buffer.from(payload, 'base64url'))
  const body = isObject(claims) ? claims.responseBody : undefined
  return isObject(body) ? body : 'a token without a response'
}

const COMPACT = /^(([\w-]+)\.([\w-]+))\.([\w-]+)$/

const encoded = (part: JsonObject): string =>
  Buffer.from(JSON.stringify(part)).toString('base64url')

const signatureOf = (signed: string, key: Buffer): string =>
  createHmac('sha256', key).update(signed).digest('base64url')
