/**
 * Every declared path of the secrets over HTTP, with bodies that are none: too large, too deep, no
 * JSON, of another type.
 */
import { request } from 'node:http'
import tap, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES } from '../../../src/http/admission.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import { rawPaths } from '../../../src/secrets/declare.ts'
import { declaredSecretsPaths, operationsOf } from '../../secrets/declared.ts'
import { openSecrets, ROOT_TOKEN } from '../../secrets/harness.ts'
import { boundsOfTests } from '../harness.ts'

/** Where a face listens, and what it was asked to write. */
async function openFace(t: Test): Promise<{ port: number; revision: () => bigint | number }> {
  const { secrets, store } = await openSecrets(t)
  const rates = { blockEndpoints: [], allowWriteFrom: [], rates: NO_RATES }
  const clock = systemClock
  const face = createSecretsFace({
    ...boundsOfTests,
    ...{ secrets, log: silentLog, random: systemRandom },
    admission: new Admission({ clock, log: silentLog, metrics: new Metrics(clock), ...rates }),
  })
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  return { port, revision: () => store.status().revision }
}

const written = declaredSecretsPaths().flatMap(path =>
  operationsOf(path)
    .filter(operation => operation === 'update' || operation === 'patch')
    .map(operation => ({
      url: `/v1/${path.pattern.replaceAll(/\{\w+\*?\}/g, 'x')}`,
      method: operation === 'patch' ? 'PATCH' : 'PUT',
    })),
)

const MERGE = 'application/merge-patch+json'

tap.test('bodies that are none are refused at every path, and nothing is written', async t => {
  const { port, revision } = await openFace(t)
  const before = revision()
  const deep = `{"a":${'['.repeat(200)}${']'.repeat(200)}}`
  const bodies = [
    ['{"a":', /error parsing JSON/],
    ['[1]', /error parsing JSON/],
    ['"text"', /error parsing JSON/],
    [deep, /error parsing JSON: more than/],
  ] as const
  for (const { url, method } of written) {
    for (const [body, text] of bodies) {
      const response = await fetch(`http://127.0.0.1:${port}${url}`, {
        ...{ method, body },
        headers: { 'X-Vault-Token': ROOT_TOKEN, 'Content-Type': MERGE },
      })
      // Where any body is taken as it is, the path itself says no.
      const isRaw = method === 'PUT' && rawPaths.has(url.slice('/v1/'.length))
      t.equal(response.status, isRaw ? 501 : 400, `${method} ${url} ${body.slice(0, 10)}`)
      t.match(await response.text(), isRaw ? /not served yet/ : text)
    }
  }
  t.equal(revision(), before)
})

tap.test('a patch of another type is refused', async t => {
  const { port } = await openFace(t)
  for (const { url } of written.filter(({ method }) => method === 'PATCH')) {
    const response = await fetch(`http://127.0.0.1:${port}${url}`, {
      ...{ method: 'PATCH', body: '{}' },
      headers: { 'X-Vault-Token': ROOT_TOKEN, 'Content-Type': 'application/json' },
    })
    t.equal(response.status, 415, url)
    t.match(await response.text(), `PATCH requires Content-Type of ${MERGE}`)
  }
})

/** Announces a body that is too large, and sends none of it; gives the status. */
const announced = (port: number, method: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request({
      ...{ host: '127.0.0.1', port, method, path, agent: false },
      headers: {
        'X-Vault-Token': ROOT_TOKEN,
        'Content-Length': limits.secretsBodySizeBytes + 1,
      },
    })
    asked.once('response', response => {
      response.resume()
      resolve(response.statusCode ?? 0)
      asked.destroy()
    })
    asked.once('error', reject)
    asked.flushHeaders()
  })

tap.test('a body that is too large is refused before it comes', async t => {
  const { port } = await openFace(t)
  for (const { url, method } of written) {
    t.equal(await announced(port, method, url), 413, `${method} ${url}`)
  }
})
