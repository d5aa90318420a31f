/**
 * Servers of secrets under load: started or found, initialised, unsealed, and filled.
 *
 * Owns what every server of Vault's API goes through before a bench, ours or OpenBao's. What a
 * bench needs in it is written by the bench.
 */
import assert from 'node:assert/strict'
import { startBao } from '../peers.ts'
import { freePort } from './child.ts'
import { call } from './client.ts'
import { sleep } from './rounds.ts'
import { makeFolder, type Server, startAgent } from './servers.ts'

/** A server whose secrets are open. */
export interface Opened {
  readonly port: number
  readonly asRoot: Readonly<Record<string, string>>
  /** A share that unseals it. */
  readonly unsealKey: string
  /** From the start of the process until it was unsealed. */
  readonly openedMs: number
}

/** One of ours. */
export type Ours<T> = T & { readonly server: Server }

/** Starts one of ours and makes it ready by `fill`. */
export async function startOurs<T>(
  cores: string,
  fill: (on: Opened, startedMs: number) => Promise<T>,
  more: readonly string[] = [],
  folder = makeFolder(),
): Promise<Ours<T>> {
  const port = await freePort()
  const startedMs = performance.now()
  const words = ['-hcl', `ports { secrets = ${port} }`, ...more]
  const server = await startAgent(cores, { folder, more: words })
  return { ...(await fill(await open(port, startedMs), startedMs)), server }
}

/** Starts OpenBao where BAO_BIN names it, and makes it ready in the same way. */
export const startPeerOf = <T>(
  cores: string,
  fill: (on: Opened, startedMs: number) => Promise<T>,
) => startBao(cores, async (port, startedMs) => await fill(await open(port, startedMs), startedMs))

/** Initialises a server and unseals it. */
export async function open(port: number, startedMs: number): Promise<Opened> {
  const init = { secret_shares: 1, secret_threshold: 1 }
  const { keys, root_token: root } = await json(port, 'PUT', '/v1/sys/init', init)
  await json(port, 'PUT', '/v1/sys/unseal', { key: keys[0] })
  // OpenBao is a standby for a moment.
  await until(() => json(port, 'GET', '/v1/sys/health'))
  const openedMs = performance.now() - startedMs
  return { port, asRoot: { 'X-Vault-Token': root }, unsealKey: keys[0], openedMs }
}

/** Sends JSON that must be taken, and gives the JSON that comes; {} where there is none. */
export async function json(
  port: number,
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
  // What a server gives is looked at where it is used.
  // biome-ignore lint/suspicious/noExplicitAny: answers of every path
): Promise<any> {
  const sent = body === undefined ? undefined : JSON.stringify(body)
  const answer = await call(port, method, path, sent, headers)
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.body.toString()}`)
  const text = answer.body.toString()
  return text === '' ? {} : JSON.parse(text)
}

/** Writes with the root token. */
export const postTo =
  ({ port, asRoot }: Pick<Opened, 'port' | 'asRoot'>) =>
  (path: string, body: unknown = {}) =>
    json(port, 'POST', `/v1/${path}`, body, asRoot)

/** Makes a token of an ordinary policy: paths by their capabilities. Gives its header. */
export async function tokenFor(
  on: Pick<Opened, 'port' | 'asRoot'>,
  paths: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const post = postTo(on)
  const rules = paths.map(path => `path "${path}" { capabilities = ["create", "read", "update"] }`)
  await post('sys/policies/acl/bench', { policy: rules.join('\n') })
  const { auth } = await post('auth/token/create', { policies: ['bench'], ttl: '24h' })
  return { 'X-Vault-Token': auth.client_token }
}

/** A mount that was just made may need a moment. */
export async function until<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries > 100) throw error
      await sleep(100)
    }
  }
}
