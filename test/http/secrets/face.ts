/**
 * The secrets over HTTP on a store of the test's own, for tests that speak to a socket.
 *
 * The parts are joined as the program does; what is asked of the room is kept to be looked at.
 */
import type { Test } from 'tap'
import { Audit } from '../../../src/audit/audit.run.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES, type RequestRates } from '../../../src/http/admission.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import type { SecretsRequest } from '../../../src/secrets/decide.ts'
import type { Engine } from '../../../src/secrets/declare.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { portsOn, settings } from '../../audit/support.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets, tables } from '../../secrets/harness.ts'
import { boundsOfTests } from '../harness.ts'
import { connectRaw } from '../wire.ts'

export interface SecretsFaceOfTest {
  readonly secrets: TestSecrets
  readonly host: string
  readonly port: number
  /** What the room was asked, in order. */
  readonly asked: SecretsRequest[]
  /** Sends a target and headers as they are written, which no client would do. */
  send(method: string, target: string, sent?: RawSent): Promise<RawAnswer>
  /** The audit records of all requests so far, newest first. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was recorded
  records(): Promise<any[]>
}

export interface RawSent {
  /** '' for none. */
  readonly token?: string
  /** Lines as they are written. */
  readonly headers?: readonly string[]
  readonly body?: string
  /** What is said of the body's length, where it is not so. */
  readonly lengthBytes?: number
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Opens it; it ends with the test. */
export async function openSecretsFace(
  t: Test,
  { engines, rates = {} }: { engines?: readonly Engine[]; rates?: Partial<RequestRates> } = {},
): Promise<SecretsFaceOfTest> {
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  const audit = new Audit(settings, portsOn(store))
  const more = engines === undefined ? {} : { engines }
  const test = await openSecrets(t, { open: () => store, recordOf: audit.recordOf, ...more })
  await test.mount('kv', 'plain/')
  const asked: SecretsRequest[] = []
  const secrets: Parameters<typeof createSecretsFace>[0]['secrets'] = {
    cors: () => test.secrets.cors(),
    rate: head => test.secrets.rate(head),
    handle(request, caller, rated) {
      asked.push(request)
      return test.secrets.handle(request, caller, rated)
    },
  }
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics(systemClock) }
  const face = createSecretsFace({
    ...boundsOfTests,
    ...{ secrets, log: silentLog, random: systemRandom, audit },
    admission: new Admission({
      ...parts,
      ...{ blockEndpoints: [], allowWriteFrom: [], rates: { ...NO_RATES, ...rates } },
    }),
  })
  t.teardown(() => face.close())
  const { host, port } = await face.listen('127.0.0.1', 0)
  const send: SecretsFaceOfTest['send'] = async (
    method,
    target,
    { token = ROOT_TOKEN, headers = [], body = '', lengthBytes } = {},
  ) => {
    const connection = await connectRaw(t, { host, port })
    const bytes = Buffer.from(body)
    const lines = [
      `${method} ${target} HTTP/1.1`,
      ...['Host: x', 'Connection: close', `Content-Length: ${lengthBytes ?? bytes.length}`],
      ...(token === '' ? [] : [`X-Vault-Token: ${token}`]),
      ...headers,
    ]
    connection.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]))
    const text = await connection.closed()
    const end = text.indexOf('\r\n\r\n')
    const status = Number(text.slice(9, 12))
    return { status, head: text.slice(0, end), body: utf8(text.slice(end + 4)) }
  }
  const records = async () => {
    const found = await audit.search({} as never, Number.MAX_SAFE_INTEGER, 10_000)
    return found.records.map(({ text }) => JSON.parse(text.toString()))
  }
  return { ...{ secrets: test, host, port, asked, send, records } }
}

const utf8 = (text: string): string => Buffer.from(text, 'latin1').toString()
