/**
 * What the tests of the verbs of secrets share: a server that answers as told, and calls on it.
 */
import type { Test } from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES } from '../../../src/http/admission.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import { type SecretsServer, secretsServer } from '../../fake/secrets-server.ts'
import { boundsOfTests } from '../../http/harness.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../../secrets/harness.ts'
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

/** A call of Vault's command line on secrets of the test's own, over HTTP. */
export interface OnSecrets {
  readonly secrets: TestSecrets
  readonly home: string
  ask: OnServer['ask']
}

/** Opens secrets, initialised and unsealed, behind a real face; asked as their first token. */
export async function onSecrets(t: Test): Promise<OnSecrets> {
  const opened = await openSecrets(t)
  const metrics = new Metrics(systemClock)
  const rates = { blockEndpoints: [], allowWriteFrom: [], rates: NO_RATES }
  const face = createSecretsFace({
    ...boundsOfTests,
    secrets: opened.secrets,
    log: silentLog,
    random: systemRandom,
    admission: new Admission({ clock: systemClock, log: silentLog, metrics, ...rates }),
  })
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  const home = t.testdir({})
  const environment = {
    VAULT_ADDR: `http://127.0.0.1:${port}`,
    VAULT_TOKEN: ROOT_TOKEN,
    HOME: home,
  }
  const ask: OnServer['ask'] = (line, options = {}) =>
    call(line, {
      program: 'vault',
      ...options,
      environment: { ...environment, ...options.environment },
    })
  return { secrets: opened, home, ask }
}
