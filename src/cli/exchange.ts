/**
 * One HTTP exchange with an agent.
 *
 * Owns addresses (`host:port`, `http(s)://…` with a path before every path, `unix://…`), the
 * sending, and the words for what went wrong, which are Go's: scripts match on them. What may be
 * secret in an address or a header is never printed.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { limits } from '../base/limits.ts'

/** An agent could not be asked, or said no. The message is for people. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

/** Parameters of a query; undefined ones are left out, lists are repeated. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>

/** What is sent: bytes, or a stream of as many. */
export type Body = Buffer | { readonly stream: Readable; readonly sizeBytes: number }

export interface Target {
  readonly isTls: boolean
  readonly host: string
  readonly port: string
  readonly socketPath: string | undefined
  /** Before every path; without a slash at its end. */
  readonly pathPrefix: string
}

/** How an agent's certificate is checked, and what we show of our own. */
export interface TlsOptions {
  readonly ca?: readonly Buffer[]
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

export interface Exchange {
  readonly method: Method
  readonly path: string
  readonly query: Query
  readonly body: Body | undefined
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly target: Target
  readonly tls: TlsOptions
  /** The address of the proxy that it goes through; none unless given. */
  readonly proxy?: string | undefined
  /** Ends the exchange, at whatever point it is. */
  readonly signal: AbortSignal | undefined
}

/** An answer whose body is still to be read. */
export interface OpenAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: AsyncIterable<Buffer>
}

/**
 * Where an agent is; throws ClientError when the text is no address. Where TLS is asked for, an
 * address that says `http://` does not take it back.
 */
export function parseAddress(address: string, wantsTls: boolean): Target {
  if (address.startsWith('unix://')) {
    const socketPath = address.slice('unix://'.length)
    return { isTls: wantsTls, host: 'localhost', port: '', socketPath, pathPrefix: '' }
  }
  const text = address.includes('://') ? address : `http://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ClientError(
      'the address of the agent must be host:port, http://…, https://… or unix://…',
    )
  }
  return {
    isTls: wantsTls || url.protocol === 'https:',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    socketPath: undefined,
    pathPrefix: url.pathname.replace(/\/+$/, ''),
  }
}

/** Sends a request; any answer counts, whatever its status. Throws ClientError when none came. */
export async function open(exchange: Exchange): Promise<OpenAnswer> {
  const { method, target, tls, body, signal } = exchange
  const fullPath = target.pathPrefix + exchange.path + textOf(exchange.query)
  const sizeBytes = Buffer.isBuffer(body) ? body.length : body?.sizeBytes
  const options = {
    method,
    path: fullPath,
    host: target.host,
    port: target.port || undefined,
    socketPath: target.socketPath,
    signal,
    headers: {
      ...exchange.headers,
      ...(sizeBytes === undefined ? {} : { 'Content-Length': sizeBytes }),
    },
  }
  const through = proxied(target, exchange.proxy)
  const { ca, ...rest } = tls
  const secure = { ...options, ...rest, ...through, ...(ca === undefined ? {} : { ca: [...ca] }) }
  try {
    const request = target.isTls ? requestHttps(secure) : requestHttp({ ...options, ...through })
    const response = await responseTo(request, body)
    const { statusCode = 0, headers } = response
    return { status: statusCode, headers, body: response as AsyncIterable<Buffer> }
  } catch (error) {
    throw new ClientError(faultText(method, `${originOf(target)}${fullPath}`, error))
  }
}

/** A connection of its own for each request, through the proxy. */
function proxied({ isTls, socketPath }: Target, proxy: string | undefined) {
  if (proxy === undefined || socketPath !== undefined) return {}
  const proxyEnv = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy }
  return { agent: isTls ? new HttpsAgent({ proxyEnv }) : new HttpAgent({ proxyEnv }) }
}

/** All bytes of a body, within `limits.cliBodySizeBytes`. */
export async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > limits.cliBodySizeBytes) throw new ClientError('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A URL of an agent, for people: what may be secret in its address is left out. */
export function urlOf(target: Target, path: string, query: Query = {}): string {
  return `${originOf(target)}${target.pathPrefix}${path}${textOf(query)}`
}

function textOf(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of value === undefined ? [] : [value].flat()) parameters.append(name, each)
  }
  return parameters.size === 0 ? '' : `?${parameters}`
}

function responseTo(request: ClientRequest, body: Body | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
    if (body === undefined || Buffer.isBuffer(body)) {
      request.end(body)
      return
    }
    body.stream.on('error', error => request.destroy(error)).pipe(request)
  })
}

const originOf = ({ isTls, host, port, socketPath }: Target): string =>
  socketPath === undefined
    ? `${isTls ? 'https' : 'http'}://${hostText(host)}${port === '' ? '' : `:${port}`}`
    : `unix://${socketPath}`
const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** As Go words it: `Get "http://…": dial tcp 127.0.0.1:8500: connect: connection refused`. */
function faultText(method: string, url: string, error: unknown): string {
  const cause = error instanceof AggregateError ? error.errors[0] : error
  const verb = method.charAt(0) + method.slice(1).toLowerCase()
  const fault = cause as { code?: string; address?: string; port?: number; message?: string }
  const isPlain = /wrong version number|packet length too long/.test(fault.message ?? '')
  const reason =
    fault.code === 'ECONNREFUSED'
      ? `dial ${dialText(fault)}: connect: connection refused`
      : isPlain
        ? 'http: server gave HTTP response to HTTPS client'
        : (fault.message ?? 'failed')
  return `${verb} "${url}": ${reason}`
}

const dialText = ({ address = '', port }: { address?: string; port?: number }): string =>
  port === undefined ? `unix ${address}` : `tcp ${hostText(address)}:${port}`
