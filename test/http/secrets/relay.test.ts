/** The secrets' listener of an agent that is no server: what it refuses, and what it hands on. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES } from '../../../src/http/admission.ts'
import { createSecretsRelay } from '../../../src/http/secrets/relay.ts'
import { boundsOfTests } from '../harness.ts'
import { connectRaw } from '../wire.ts'

t.test('every path but those of one server alone is handed on, with its verb', async t => {
  const seen: string[] = []
  const clock = systemClock
  const bounds = { blockEndpoints: ['/v1/sys/raw'], allowWriteFrom: [], rates: NO_RATES }
  const relay = createSecretsRelay({
    ...{ ...boundsOfTests, random: systemRandom },
    admission: new Admission({ clock, log: silentLog, metrics: new Metrics(clock), ...bounds }),
    forward(message, _response, reply) {
      seen.push(`${message.method} ${message.url}`)
      reply(503, 'nobody')
    },
  })
  t.teardown(() => relay.close())
  const at = await relay.listen('127.0.0.1', 0)
  const ask = async (method: string, target: string): Promise<string> => {
    const connection = await connectRaw(t, at)
    connection.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    return connection.closed()
  }
  const none = await ask('LIST', '/v1/secret?x=1')
  t.match(none, /^HTTP\/1\.1 503 /)
  t.match(none, /X-Request-Id: [0-9a-f-]{36}\r\n/)
  t.match(none, /Cache-Control: no-store\r\n/)
  t.match(none, /\r\n\r\n\{"errors":\["nobody"\]\}$/)
  t.match(await ask('PUT', '/v1/sys/unseal'), /^HTTP\/1\.1 400 [\s\S]*this agent is no server/)
  t.match(await ask('GET', '/v1/sys/raw/x'), /^HTTP\/1\.1 403 /)
  await ask('GET', '/v1/sys/unsealed')
  t.strictSame(seen, ['LIST /v1/secret?x=1', 'GET /v1/sys/unsealed'])
})
