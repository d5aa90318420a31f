/**
 * Class 24: a token that an engine is handed among the headers of a request (CVE-2026-4525):
 * however a mount is tuned, no header that carries one reaches it, in any case; nor in the record.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Engine, path, type RequestFacts } from '../../src/secrets/declare.ts'
import { enginesOn } from '../../src/secrets/engine/mod.ts'
import * as shape from '../../src/secrets/shape.ts'
import { openSecretsFace } from '../http/secrets/face.ts'
import { propertyRuns } from '../run/budget.ts'
import { ROOT_TOKEN } from '../secrets/harness.ts'
import { testPorts } from '../secrets/ports.ts'

/** An engine that remembers what it was handed. */
function curious(seen: RequestFacts[]): Engine {
  const spec = path({
    pattern: 'look',
    help: { synopsis: 'Looks.', description: '' },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: 'Looks.',
        answer: shape.anyObject,
        run({ request }) {
          seen.push(request)
          return { data: {} }
        },
      },
    },
  })
  return { type: 'curious', kind: 'secret', help: '', isMountable: true, paths: () => [spec] }
}

async function open(test: Test) {
  const seen: RequestFacts[] = []
  const engines = enginesOn(testPorts()) as Engine[]
  engines.push(curious(seen))
  const face = await openSecretsFace(test, { engines })
  await face.secrets.mount('curious', 'curious/')
  const tune = async (names: readonly string[]): Promise<number> => {
    const data = { passthrough_request_headers: [...names] }
    return (await face.secrets.post('sys/mounts/curious/tune', data)).status
  }
  const look = async (token: string, headers: readonly string[]) => {
    seen.length = 0
    const { status } = await face.send('GET', '/v1/curious/look', { token, headers })
    return { status, told: seen.map(facts => JSON.stringify(facts)).join() }
  }
  return { face, tune, look }
}

const CARRIERS = ['X-Vault-Token', 'Authorization', 'X-Consul-Token']

const cases = (name: string): string[] => [
  name,
  name.toLowerCase(),
  name.toUpperCase(),
  [...name].map((sign, i) => (i % 2 === 0 ? sign.toLowerCase() : sign.toUpperCase())).join(''),
]

t.test('attack: a mount that was tuned to have them', async t => {
  const { face, tune, look } = await open(t)
  t.equal(await tune([...CARRIERS.flatMap(cases), 'X-Other']), 204)
  for (const name of CARRIERS.flatMap(cases)) {
    const isBearer = /authorization/i.test(name)
    const isOwn = /vault/i.test(name)
    const line = `${name}: ${isBearer ? 'Bearer ' : ''}${ROOT_TOKEN}`
    const { status, told } = await look(isBearer || isOwn ? '' : ROOT_TOKEN, [
      line,
      'X-Other: seen',
    ])
    t.equal(status, 200, name)
    t.notMatch(told, ROOT_TOKEN, name)
    t.match(told, /"x-other":"seen"/, 'near miss: another one reaches it')
  }
  const two = [`X-Vault-Token: ${ROOT_TOKEN}`, `Authorization: Bearer ${ROOT_TOKEN}`]
  t.notMatch((await look('', two)).told, ROOT_TOKEN)
  t.notMatch(JSON.stringify(await face.records()), new RegExp(`${ROOT_TOKEN}|"seen"`))
})

t.test('near miss: what is not tuned is not seen', async t => {
  const { tune, look } = await open(t)
  t.match((await look(ROOT_TOKEN, ['X-Other: seen'])).told, /"headers":\{\}/)
  await tune(['x-OTHER'])
  t.match(
    (await look(ROOT_TOKEN, ['X-other: seen', 'X-More: not'])).told,
    /"headers":\{"x-other":"seen"\}/,
  )
})

t.test('generated: any names, in any case, any of them sent', async t => {
  const { tune, look } = await open(t)
  const name = fc
    .constantFrom(...CARRIERS, 'X-Other', 'Cookie', 'X-Vault-Namespace', '__proto__', 'constructor')
    .chain(text =>
      fc
        .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
        .map(ups =>
          [...text].map((sign, i) => (ups[i] ? sign.toUpperCase() : sign.toLowerCase())).join(''),
        ),
    )
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(names, names, async (tuned, sent) => {
      await tune(tuned)
      const lines = sent
        .filter(each => !/^(authorization|x-vault-)/i.test(each))
        .map(each => `${each}: ${ROOT_TOKEN}x`)
      const { told } = await look(ROOT_TOKEN, [`Authorization: Bearer ${ROOT_TOKEN}`, ...lines])
      return !/"(x-vault-token|authorization|x-consul-token)":/.test(told) && told !== ''
    }),
    { numRuns: propertyRuns() },
  )
})
