/**
 * What the tests of the verbs of secrets share: a server that answers as told, and calls on it.
 */
import type { Test } from 'tap'
import { type SecretsServer, secretsServer } from '../../fake/secrets-server.ts'
import { call, type Outcome } from '../support.ts'

/** A call of Vault's command line on a server of its own. */
export interface OnServer {
  readonly server: SecretsServer
  /** The folder of `~/.vault-token`. */
  readonly home: string
  readonly environment: Record<string, string>
  ask(line: string | string[], options?: Parameters<typeof call>[1]): Promise<Outcome>
}

/** Starts a server that knows nothing yet. */
export async function onServer(t: Test): Promise<OnServer> {
  const server = await secretsServer(t)
  const home = t.testdir({})
  const environment = { VAULT_ADDR: server.address, VAULT_TOKEN: 'hvs.own', HOME: home }
  return {
    server,
    home,
    environment,
    ask: (line, options = {}) =>
      call(line, {
        program: 'vault',
        ...options,
        environment: { ...environment, ...options.environment },
      }),
  }
}

/** A table as people see it, without the marks of the test around it. */
export const table = (text: string): string => text.replace(/^\n|\n *$/g, '').replace(/^ {4}/gm, '')
