/** The secrets of a daemon as an operator's client asks for them. */
import { request } from 'node:http'
import type { Test } from 'tap'
import { startDaemon, target } from './daemon.ts'
import { tempFolder } from './process.ts'
import type { Daemon, DaemonOptions } from './running.ts'
import { spreadSecrets } from './spread-secrets.ts'
import { clientToken, foundCluster } from './target.ts'

export interface SecretsAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any
}

/** Sends one request below `/v1/`; rejects when there is no whole answer. */
export function askSecrets(
  { secretsPort: port }: Pick<Daemon, 'secretsPort'>,
  method: string,
  path: string,
  { token = '', body }: { readonly token?: string; readonly body?: object } = {},
): Promise<SecretsAnswer> {
  const text = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const headers = {
      'content-length': Buffer.byteLength(text),
      ...(token === '' ? {} : { 'x-vault-token': token }),
    }
    const options = { host: '127.0.0.1', port, method, path: `/v1/${path}`, headers, agent: false }
    const asked = request(options, response => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', part => {
        answer += part
      })
      response.on('error', reject)
      response.on('end', () => {
        if (!response.complete) reject(new Error('the answer was cut'))
        const status = response.statusCode ?? 0
        resolve({ status, body: answer === '' ? undefined : JSON.parse(answer) })
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })
}

/** Enters shares; gives whether the server is unsealed then. */
export async function enterShares(daemon: Daemon, shares: readonly string[]): Promise<boolean> {
  await askSecrets(daemon, 'POST', 'sys/unseal', { body: { reset: true } })
  for (const key of shares) {
    const { status } = await askSecrets(daemon, 'POST', 'sys/unseal', { body: { key } })
    if (status !== 200) return false
  }
  return !(await askSecrets(daemon, 'GET', 'sys/seal-status')).body.sealed
}

export interface FreshSecrets {
  readonly daemon: Daemon
  /** The base of its URLs, as VAULT_ADDR has it. */
  readonly address: string
}

/**
 * Starts a daemon whose secrets nobody has initialised, and that records what is asked of them; it
 * is ended with the test. Where the target is a cluster, it is three, and each request goes to the
 * next one; where it is an agent, requests go to one of theirs that is no server.
 */
export async function startSecrets(t: Test, options: DaemonOptions = {}): Promise<FreshSecrets> {
  const folder = tempFolder(t)
  const sink = `sink "log" { type = "file" path = "${folder}/audit.log" }`
  const audit = `audit { enabled = true allowed_folders = ["${folder}"] ${sink} }`
  const words = [`-hcl=${audit}`, ...(options.words ?? [])]
  const addressOf = (port: number): string => `http://127.0.0.1:${port}`
  if (target() !== 'server') {
    const { servers, join } = await foundCluster(t, {
      ...(options.env && { env: options.env }),
      wordsOf: at => [...words, '-secrets-port=0', `-node=server-${at}`],
    })
    const ports = servers.map(each => each.secretsPort)
    const agent =
      target() === 'agent' &&
      (await join(await clientToken(servers[0]!), { words: ['-node=edge', '-secrets-port=0'] }))
    const { port } = await spreadSecrets(t, ports, agent ? agent.secretsPort : undefined)
    return { daemon: servers[0]!, address: addressOf(port) }
  }
  const daemon = await startDaemon(t, { ...options, words })
  if (daemon.secretsPort === 0) throw new Error(`no secrets are served: ${daemon.stdout()}`)
  return { daemon, address: addressOf(daemon.secretsPort) }
}

/** The same, initialised and unsealed. */
export async function startUnsealed(
  t: Test,
  options: DaemonOptions = {},
): Promise<FreshSecrets & { readonly token: string }> {
  const fresh = await startSecrets(t, options)
  const body = { secret_shares: 1, secret_threshold: 1 }
  const made = await askSecrets(fresh.daemon, 'PUT', 'sys/init', { body })
  const { keys, root_token: token } = made.body
  if (!(await enterShares(fresh.daemon, keys))) throw new Error('the secrets are not unsealed')
  return { ...fresh, token }
}
