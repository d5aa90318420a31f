/**
 * The HTTP client of the command line.
 *
 * Owns where the agent is, who asks and how both prove it: flags first, then the environment, as
 * Consul's tools have it. Neither a token nor a password is ever printed.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Call, Command, Flag } from './command.ts'
import {
  type Body,
  ClientError,
  collect,
  type Method,
  type OpenAnswer,
  open,
  parseAddress,
  type Query,
  type TlsOptions,
} from './exchange.ts'
import { parseExact } from './json.ts'

export { ClientError, type Query } from './exchange.ts'

/** Flags of every command that asks an agent. */
export const clientFlags: readonly Flag[] = [
  {
    name: 'http-addr',
    kind: 'text',
    doc: 'address of the agent: host:port, http://…, https://… or unix://…; also CONSUL_HTTP_ADDR',
  },
  {
    name: 'token',
    kind: 'text',
    doc: 'token to ask with, for others to see; also CONSUL_HTTP_TOKEN',
  },
  { name: 'token-file', kind: 'text', doc: 'file of the token; also CONSUL_HTTP_TOKEN_FILE' },
  {
    name: 'ca-file',
    kind: 'text',
    doc: 'file of the authorities that may sign for the agent; also CONSUL_CACERT',
  },
  { name: 'ca-path', kind: 'text', doc: 'folder of such files; also CONSUL_CAPATH' },
  { name: 'client-cert', kind: 'text', doc: 'file of our certificate; also CONSUL_CLIENT_CERT' },
  { name: 'client-key', kind: 'text', doc: 'file of its key; also CONSUL_CLIENT_KEY' },
  {
    name: 'tls-server-name',
    kind: 'text',
    doc: "the name in the agent's certificate; also CONSUL_TLS_SERVER_NAME",
  },
  { name: 'namespace', kind: 'text', doc: 'only `default` exists; also CONSUL_NAMESPACE' },
  { name: 'partition', kind: 'text', doc: 'only `default` exists; also CONSUL_PARTITION' },
]

/** Flags of commands that ask about a whole datacenter. */
export const queryFlags: readonly Flag[] = [
  ...clientFlags,
  { name: 'datacenter', kind: 'text', doc: 'datacenter to ask, if not the one of the agent' },
  { name: 'stale', kind: 'switch', doc: 'allow any server to answer, from what it knows' },
]

export const formatFlag: Flag = {
  name: 'format',
  kind: 'text',
  values: ['pretty', 'json'],
  doc: 'pretty (default) or json',
}

/** Whether the data itself is asked for instead of text for people. */
export const wantsJson = ({ flags }: Call): boolean => flags.text('format') === 'json'

export interface Answer {
  readonly status: number
  readonly headers: OpenAnswer['headers']
  readonly body: Buffer
}

export interface Client {
  /** An answer whose body is read by the caller, such as a log that never ends. */
  open(
    method: Method,
    path: string,
    query?: Query,
    options?: { readonly body?: Body; readonly signal?: AbortSignal },
  ): Promise<OpenAnswer>
  /** Any answer, whatever its status. Throws ClientError when there is none. */
  ask(method: Method, path: string, query?: Query, body?: Buffer): Promise<Answer>
  /** The text of a 200; anything else is a ClientError. */
  send(method: Method, path: string, query?: Query, body?: Buffer): Promise<string>
  /** The JSON of a 200; anything else is a ClientError. Large integers come as bigint. */
  read<T>(path: string, query?: Query): Promise<T>
}

/** What of a call is not as its flags and environment have it. */
export interface ClientInstead {
  readonly address?: string | undefined
  /** A secret. */
  readonly token?: string | undefined
}

/** The client for one call, by its flags and environment. */
export async function clientOf(call: Call, instead: ClientInstead = {}): Promise<Client> {
  const { flags, io } = call
  const { environment } = io
  const target = parseAddress(
    instead.address || flags.text('http-addr') || environment.CONSUL_HTTP_ADDR || '127.0.0.1:8500',
    switchOf('CONSUL_HTTP_SSL', environment) ?? false,
  )
  const headers = await headersOf(call, instead)
  const tls = target.isTls ? await tlsOf(call) : { rejectUnauthorized: true }
  const common: Query = {
    dc: flags.text('datacenter') || undefined,
    stale: flags.isOn('stale') ? '' : undefined,
    ns: flags.text('namespace') || environment.CONSUL_NAMESPACE || undefined,
    partition: flags.text('partition') || environment.CONSUL_PARTITION || undefined,
  }
  const openWith: Client['open'] = (method, path, query = {}, { body, signal } = {}) =>
    open({ method, path, query: { ...common, ...query }, body, headers, target, tls, signal })
  const ask: Client['ask'] = async (method, path, query, body) => {
    const answer = await openWith(method, path, query, body === undefined ? {} : { body })
    return { ...answer, body: await collect(answer.body) }
  }
  const send: Client['send'] = async (method, path, query, body) => {
    const answer = await ask(method, path, query, body)
    if (answer.status !== 200) throw unexpected(answer)
    return answer.body.toString('utf8')
  }
  return {
    open: openWith,
    ask,
    send,
    read: async (path, query) => parseExact(await send('GET', path, query)),
  }
}

/** The error for an answer that is not the one hoped for; of a denial, how to learn why. */
export function unexpected({
  status,
  body,
  headers,
}: Pick<Answer, 'status' | 'body'> & Partial<Pick<Answer, 'headers'>>): ClientError {
  const text = body.toString('utf8').trim()
  const request = String(headers?.['x-request-id'] ?? '')
  // Other denials, such as that of a login, lacked no right that could be explained.
  const isExplained = text.includes('lacks permission') || text.includes(': condition "')
  const isDenied = status === 403 && isExplained
  const isNamed = /^[\w-]{1,64}$/.test(request)
  const why = isDenied && isNamed ? `\nWhy: policy explain -request=${request}` : ''
  return new ClientError(`Unexpected response code: ${status} (${text})${why}`, status)
}

/** The name of the agent that is asked; what some commands find out first. */
export async function nodeNameOf(client: Client): Promise<string> {
  const self = await client.read<{ Config: { NodeName: string } }>('/v1/agent/self')
  return self.Config.NodeName
}

/** A command that asks an agent; `fault` precedes what it throws, as in Consul's. */
export function asking(
  fault: string,
  {
    run,
    ...command
  }: Omit<Command, 'run'> & {
    run(call: Call, client: Client): Promise<number>
  },
): Command {
  return {
    ...command,
    async run(call) {
      try {
        return await run(call, await clientOf(call))
      } catch (error) {
        if (!(error instanceof Error)) throw error
        call.io.printError(`${fault}: ${error.message}`)
        return 1
      }
    },
  }
}

/**
 * A switch of the environment, by Go's words; undefined where it is not set. Other words are
 * nobody's guess: read as off they would send a token in clear, or to anybody.
 */
function switchOf(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): boolean | undefined {
  const text = environment[name] ?? ''
  if (text === '') return undefined
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw new ClientError(`${name} must be true or false`)
}

async function headersOf(call: Call, instead: ClientInstead): Promise<Record<string, string>> {
  const token = instead.token || (await tokenOf(call))
  const login = call.io.environment.CONSUL_HTTP_AUTH ?? ''
  const pair = login.includes(':') ? login : `${login}:`
  return {
    ...(token === '' ? {} : { 'X-Consul-Token': token }),
    ...(login === '' ? {} : { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }),
  }
}

/** Flags before the environment, and of both the file before the token itself. */
async function tokenOf({ flags, io: { environment } }: Call): Promise<string> {
  const fromFile = async (path: string) => (await readNamed('token', path)).toString('utf8').trim()
  const file = flags.text('token-file')
  if (file) return fromFile(file)
  const token = flags.text('token')
  if (token) return token
  const environmentFile = environment.CONSUL_HTTP_TOKEN_FILE
  return environmentFile ? fromFile(environmentFile) : (environment.CONSUL_HTTP_TOKEN ?? '')
}

function tlsOf({ flags, io: { environment } }: Call): Promise<TlsOptions> {
  return tlsFrom({
    caFile: flags.text('ca-file') || environment.CONSUL_CACERT,
    caPath: flags.text('ca-path') || environment.CONSUL_CAPATH,
    certFile: flags.text('client-cert') || environment.CONSUL_CLIENT_CERT,
    keyFile: flags.text('client-key') || environment.CONSUL_CLIENT_KEY,
    servername: flags.text('tls-server-name') || environment.CONSUL_TLS_SERVER_NAME,
    isChecked: switchOf('CONSUL_HTTP_SSL_VERIFY', environment) ?? true,
  })
}

/** Where the files of TLS are; an empty or missing one is none. */
export interface TlsFiles {
  readonly caFile: string | undefined
  readonly caPath: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly servername: string | undefined
  /** Whether the other side must prove who it is. */
  readonly isChecked: boolean
}

/** Reads the files of TLS. Throws ClientError when one cannot be read, or half of a pair lacks. */
export async function tlsFrom(files: TlsFiles): Promise<TlsOptions> {
  const { caFile, caPath, certFile, keyFile, servername, isChecked } = files
  if (Boolean(certFile) !== Boolean(keyFile)) {
    throw new ClientError('a client certificate and its key come together')
  }
  const ca = caFile
    ? [await readNamed('CA', caFile)]
    : caPath
      ? await readFolder(caPath)
      : undefined
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certFile ? { cert: await readNamed('certificate', certFile) } : {}),
    ...(keyFile ? { key: await readNamed('key', keyFile) } : {}),
    ...(servername ? { servername } : {}),
    rejectUnauthorized: isChecked,
  }
}

async function readFolder(path: string): Promise<Buffer[]> {
  const names = await readdir(path).catch(() => {
    throw new ClientError(`cannot read the CA folder ${path}`)
  })
  return Promise.all(names.sort().map(name => readNamed('CA', join(path, name))))
}

async function readNamed(what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch {
    throw new ClientError(`cannot read the ${what} file ${path}`)
  }
}
