/**
 * What an HTTP check asks, which redirects it follows, and what its answers mean.
 *
 * A redirect never leads to another host: whoever controls a target must not choose whom this
 * machine talks to. Texts hide a password that stands in a URL, and quote no header. Pure.
 */
import { limits } from '../base/limits.ts'
import { type CheckDefinition, CheckStatus } from '../store/tables/check.ts'
import type { CheckResult } from './define.ts'

/** One request of an exchange; a redirect makes the next one. */
export interface HttpRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string
}

/** The method as it is sent. */
const methodOf = (definition: CheckDefinition): string =>
  (definition.method ?? '').toUpperCase() || 'GET'

/** Framing and the fate of the connection are ours to say. */
const OURS = ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding', 'upgrade']

/** The first request, or the result where nothing can be asked. */
export function firstRequest(definition: CheckDefinition): HttpRequest | CheckResult {
  const text = definition.http ?? ''
  const url = URL.parse(text)
  if (url === null || !isHttp(url)) {
    const scheme = url?.protocol.slice(0, -1) ?? ''
    // Nobody knows what a text that is no URL means: whatever may be a password is hidden.
    const shown = text.replace(/\/\/.*@/, '//***@')
    return httpFault(definition, shown, `unsupported protocol scheme ${JSON.stringify(scheme)}`)
  }
  const given = Object.entries(definition.header ?? {})
  const headers: Record<string, string | readonly string[]> = {
    'user-agent': 'Consul Health Check',
    accept: 'text/plain, text/*, */*',
  }
  for (const [name, values] of given) {
    if (!OURS.includes(name.toLowerCase())) headers[name.toLowerCase()] = values
  }
  const host = given.find(([name]) => name.toLowerCase() === 'host')?.[1][0]
  if (host !== undefined) headers.host = host
  return { url, method: methodOf(definition), headers, body: definition.body ?? '' }
}

const isHttp = (url: URL): boolean => url.protocol === 'http:' || url.protocol === 'https:'

const REDIRECTS = [301, 302, 303, 307, 308]

/**
 * The request that a redirect asks for; its refusal as a result; undefined where the answer is
 * the last one. `hops` is how many redirects were followed before.
 */
export function redirected(
  definition: CheckDefinition,
  from: HttpRequest,
  answer: { readonly statusCode: number; readonly location: string | undefined },
  hops: number,
): HttpRequest | CheckResult | undefined {
  const { statusCode, location } = answer
  if (definition.disableRedirects === true || location === undefined) return undefined
  if (!REDIRECTS.includes(statusCode)) return undefined
  const url = URL.parse(location, from.url)
  const fault = (text: string): CheckResult => httpFault(definition, from.url.href, text)
  if (url === null || !isHttp(url)) return fault('the redirect leads to no HTTP address')
  if (url.hostname !== from.url.hostname) {
    return fault(`redirect to another host (${url.hostname}) refused`)
  }
  if (hops >= limits.checkRedirects) return fault(`stopped after ${hops} redirects`)
  if (statusCode >= 307 || from.method === 'HEAD') return { ...from, url }
  return { ...from, url, method: 'GET', body: '' }
}

/** What an answer means. */
export function httpResult(
  definition: CheckDefinition,
  answer: { readonly statusCode: number; readonly reason: string; readonly body: string },
): CheckResult {
  const { statusCode, reason, body } = answer
  const url = withoutPassword(definition.http ?? '')
  return {
    status: statusOf(statusCode),
    output: `HTTP ${methodOf(definition)} ${url}: ${statusCode} ${reason} Output: ${body}`,
  }
}

function statusOf(statusCode: number): CheckStatus {
  if (statusCode >= 200 && statusCode <= 299) return CheckStatus.passing
  return statusCode === 429 ? CheckStatus.warning : CheckStatus.critical
}

/** Critical, because there was no answer. `url` is the one that failed. */
export function httpFault(definition: CheckDefinition, url: string, text: string): CheckResult {
  const method = methodOf(definition)
  const verb = method[0] + method.slice(1).toLowerCase()
  const output = `${verb} ${JSON.stringify(withoutPassword(url))}: ${text}`
  return { status: CheckStatus.critical, output }
}

const withoutPassword = (url: string): string =>
  url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*:)[^/?#]*@/i, '$1***@')
