/**
 * The secrets over gRPC on a store of the test's own: the room with its records, the services, a
 * real server and a real client.
 *
 * The parts are joined as the program does; nothing is faked but the seal, which is open.
 */
import type { Test } from 'tap'
import { Audit } from '../../../src/audit/audit.run.ts'
import { type Clock, systemClock, systemRandom } from '../../../src/base/clock.ts'
import { type LiveLog, type LogFields, silentLog } from '../../../src/base/log.ts'
import type { GrpcMethod } from '../../../src/grpc/declare.ts'
import { certificatesService } from '../../../src/grpc/secrets/certificates.ts'
import { identityService } from '../../../src/grpc/secrets/identity.ts'
import { secretsService } from '../../../src/grpc/secrets/secrets.ts'
import { transitService } from '../../../src/grpc/secrets/transit.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { portsOn, settings } from '../../audit/support.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets, tables } from '../../secrets/harness.ts'
import { type Ended, type OpenStream, startGrpc } from '../harness.ts'

export { ROOT_TOKEN }

/** An answer, or the end that came in its place. */
export interface Got extends Ended {
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
  readonly answer: any
}

export interface SecretsGrpcOfTest {
  readonly secrets: TestSecrets
  readonly methods: readonly GrpcMethod[]
  readonly address: string
  /** Calls `Service/Method` with a token, the root's unless another is given; '' for none. */
  call(path: string, request?: object, token?: string, headers?: Headers): Promise<Got>
  open(path: string, token?: string): Promise<OpenStream>
  /** The audit records of all requests so far, newest first. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was recorded
  records(): Promise<any[]>
  /** Everything that was logged. */
  readonly lines: string[]
}

type Headers = Readonly<Record<string, string>>

/** Opens it; it ends with the test. */
export async function openSecretsGrpc(
  t: Test,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Promise<SecretsGrpcOfTest> {
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const audit = new Audit(settings, portsOn(store))
  const secrets = await openSecrets(t, { open: () => store, recordOf: audit.recordOf, clock })
  const lines: string[] = []
  const log = logTo(lines)
  const ports = { secrets: secrets.secrets, audit, clock, random: systemRandom, log }
  const methods = [
    ...secretsService(ports),
    ...transitService(ports),
    ...certificatesService(ports),
    ...identityService({ secrets: ports, login: undefined }),
  ]
  const { client, host, port } = await startGrpc(t, { methods, log })
  const methodOf = (path: string): GrpcMethod => {
    const found = methods.find(method => method.path === `gatehouse.v1.${path}`)
    if (found === undefined) throw new Error(`no method ${path}`)
    return found
  }
  const headersOf = (token: string) => (token === '' ? {} : { 'x-vault-token': token })
  return {
    ...{ secrets, methods, lines, address: `${host}:${port}` },
    async call(path, request = {}, token = ROOT_TOKEN, headers = {}) {
      const sent = { ...headersOf(token), ...headers }
      const ended = await client.call(methodOf(path), request, sent)
      return { ...ended, answer: ended.answers[0] }
    },
    open: (path, token = ROOT_TOKEN) => client.open(methodOf(path), headersOf(token)),
    async records() {
      const found = await audit.search({} as never, Number.MAX_SAFE_INTEGER, 10_000)
      return found.records.map(({ text }) => JSON.parse(text.toString()))
    },
  }
}

function logTo(lines: string[]): LiveLog {
  const note = (message: string, fields: LogFields = {}): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`)
  }
  return { ...silentLog, trace: note, debug: note, info: note, warn: note, error: note }
}

/** JSON in the bytes of a message. */
export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

/** Makes a token with the right to do these things: capabilities by path. */
export async function tokenWith(
  { secrets }: SecretsGrpcOfTest,
  rules: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  const policy = Object.entries(rules)
    .map(([path, words]) => `path "${path}" { capabilities = ${JSON.stringify(words)} }`)
    .join('\n')
  const name = `p${Math.abs(hashOf(policy))}`
  await secrets.post(`sys/policies/acl/${name}`, { policy })
  const made = await secrets.post('auth/token/create', {
    policies: [name],
    no_default_policy: true,
  })
  return made.body.auth.client_token as string
}

function hashOf(text: string): number {
  let hash = 0
  for (const char of text) hash = (hash * 31 + char.charCodeAt(0)) | 0
  return hash
}
