/** The secrets of a daemon as an operator's client asks for them. */
import { request } from 'node:http'
import type { Daemon } from './running.ts'

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
