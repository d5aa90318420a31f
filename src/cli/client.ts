/**
 * The HTTP client of the command line.
 *
 * Owns where the agent is and who asks: flags first, then the environment, as Consul's tools
 * have it. Errors have the wording of Consul's client, which scripts match on. A token is never
 * printed.
 */
import { readFile } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { limits } from '../base/limits.ts'
import type { Call, Flag } from './command.ts'

/** Flags of every command that asks an agent. */
export const clientFlags: readonly Flag[] = [
  {
    name: 'http-addr',
    kind: 'text',
    doc: 'address of the agent: host:port, http://…, https://… or unix://…; also CONSUL_HTTP_ADDR',
  },
  { name: 'token', kind: 'text', doc: 'token to ask with; also CONSUL_HTTP_TOKEN' },
  { name: 'token-file', kind: 'text', doc: 'file of the token; also CONSUL_HTTP_TOKEN_FILE' },
]

/** Flags of commands that ask about a whole datacenter. */
export const queryFlags: readonly Flag[] = [
  ...clientFlags,
  { name: 'datacenter', kind: 'text', doc: 'datacenter to ask, if not the one of the agent' },
  { name: 'stale', kind: 'switch', doc: 'allow any server to answer, from what it knows' },
]

export const formatFlag: Flag = { name: 'format', kind: 'text', doc: 'pretty (default) or json' }

/** An agent could not be asked, or said no. The message is for people. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
}

export interface Answer {
  readonly status: number
  readonly body: Buffer
}

/** Parameters of a query; undefined ones are left out, lists are repeated. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>

export interface Client {
  /** Any answer, whatever its status. Throws ClientError when there is none. */
  ask(method: 'GET' | 'PUT' | 'DELETE', path: string, query?: Query, body?: Buffer): Promise<Answer>
  /** The JSON of a 200; anything else is a ClientError. Large integers come as bigint. */
  read<T>(path: string, query?: Query): Promise<T>
}

/** The client for one call, by its flags and environment. */
export async function clientOf({ flags, io }: Call): Promise<Client> {
  const { environment } = io
  const target = parseAddress(
    flags.text('http-addr') || environment.CONSUL_HTTP_ADDR || '127.0.0.1:8500',
    /^(1|t|true)$/i.test(environment.CONSUL_HTTP_SSL ?? ''),
  )
  const token = await tokenOf(flags.text.bind(flags), environment)
  const common: Query = {
    dc: flags.text('datacenter') || undefined,
    stale: flags.isOn('stale') ? '' : undefined,
  }
  const ask: Client['ask'] = (method, path, query = {}, body) =>
    exchange({ method, path, query: { ...common, ...query }, body, target, token })
  return {
    ask,
    async read(path, query) {
      const answer = await ask('GET', path, query)
      if (answer.status !== 200) throw unexpected(answer)
      return parseExact(answer.body.toString('utf8'))
    },
  }
}

/** The error for an answer that is not the one hoped for. */
export function unexpected({ status, body }: Answer): ClientError {
  return new ClientError(`Unexpected response code: ${status} (${body.toString('utf8').trim()})`)
}

/** JSON whose integers keep all their digits: beyond 2^53 they become bigint. */
export function parseExact<T>(text: string): T {
  const exact = (_key: string, value: unknown, context: { source?: string }): unknown => {
    const isWide = typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER
    return isWide && /^-?\d+$/.test(context.source ?? '') ? BigInt(context.source ?? '') : value
  }
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

interface Target {
  readonly isTls: boolean
  readonly host: string
  readonly port: string
  readonly socketPath: string | undefined
  /** Before every path; without a slash at its end. */
  readonly pathPrefix: string
}

function parseAddress(address: string, isTlsDefault: boolean): Target {
  if (address.startsWith('unix://')) {
    const socketPath = address.slice('unix://'.length)
    return { isTls: false, host: 'localhost', port: '', socketPath, pathPrefix: '' }
  }
  const text = address.includes('://') ? address : `${isTlsDefault ? 'https' : 'http'}://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ClientError(
      'the address of the agent must be host:port, http://…, https://… or unix://…',
    )
  }
  return {
    isTls: url.protocol === 'https:',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    socketPath: undefined,
    pathPrefix: url.pathname.replace(/\/+$/, ''),
  }
}

/** Flags before the environment, and of both the file before the token itself. */
async function tokenOf(
  flag: (name: string) => string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const fromFile = async (path: string): Promise<string> => {
    try {
      return (await readFile(path, 'utf8')).trim()
    } catch {
      throw new ClientError(`cannot read the token file ${path}`)
    }
  }
  const file = flag('token-file')
  if (file) return fromFile(file)
  const token = flag('token')
  if (token) return token
  const environmentFile = environment.CONSUL_HTTP_TOKEN_FILE
  return environmentFile ? fromFile(environmentFile) : (environment.CONSUL_HTTP_TOKEN ?? '')
}

interface Exchange {
  readonly method: string
  readonly path: string
  readonly query: Query
  readonly body: Buffer | undefined
  readonly target: Target
  readonly token: string
}

async function exchange({ method, path, query, body, target, token }: Exchange): Promise<Answer> {
  const fullPath = target.pathPrefix + path + textOf(query)
  const options = {
    method,
    path: fullPath,
    host: target.host,
    port: target.port || undefined,
    socketPath: target.socketPath,
    headers: {
      ...(token === '' ? {} : { 'X-Consul-Token': token }),
      ...(body === undefined ? {} : { 'Content-Length': body.length }),
    },
  }
  const request = target.isTls ? requestHttps(options) : requestHttp(options)
  try {
    return await answerTo(request, body)
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new ClientError(faultText(method, `${originOf(target)}${fullPath}`, error))
  }
}

function textOf(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of value === undefined ? [] : [value].flat()) parameters.append(name, each)
  }
  return parameters.size === 0 ? '' : `?${parameters}`
}

async function answerTo(request: ClientRequest, body: Buffer | undefined): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
    request.end(body)
  })
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > limits.cliBodySizeBytes) throw new ClientError('the answer is too large')
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks) }
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
  const reason =
    fault.code === 'ECONNREFUSED'
      ? `dial tcp ${hostText(fault.address ?? '')}:${fault.port ?? ''}: connect: connection refused`
      : (fault.message ?? 'failed')
  return `${verb} "${url}": ${reason}`
}
