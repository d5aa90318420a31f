/** Keys that sign tokens: made, changed, rotated by hand and by themselves, and deleted. */
import { createPublicKey } from 'node:crypto'
import tap from 'tap'
import { limits } from '../../../../../src/base/limits.ts'
import { openSecrets, type TestSecrets } from '../../../harness.ts'
import { openAged } from './people.ts'

const HOUR_MS = 3_600_000
const KEYS = 'identity/oidc/key'

/** The public keys that are told of one key, which a role of its own is signed with. */
async function told(secrets: TestSecrets): Promise<readonly Record<string, string>[]> {
  return (await secrets.read('identity/oidc/.well-known/keys', { token: '' })).body.keys
}

const useIt = (secrets: TestSecrets, key: string) =>
  secrets.post(`identity/oidc/role/${key}`, { key, ttl: '1h' })

tap.test('a key is made, read, changed, listed and deleted', async t => {
  const secrets = await openSecrets(t)
  t.strictSame((await secrets.list(KEYS)).body.data.keys, ['default'])
  const data = { algorithm: 'ES256', rotation_period: '12h', allowed_client_ids: 'a,b' }
  t.equal((await secrets.post(`${KEYS}/web`, data)).status, 204)
  t.strictSame((await secrets.read(`${KEYS}/web`)).body.data, {
    ...{ rotation_period: 43_200, verification_ttl: 86_400, algorithm: 'ES256' },
    allowed_client_ids: ['a', 'b'],
  })
  t.equal((await secrets.post(`${KEYS}/web`, { verification_ttl: '3h' })).status, 204)
  t.match((await secrets.read(`${KEYS}/web`)).body.data, {
    ...{ rotation_period: 43_200, verification_ttl: 10_800, algorithm: 'ES256' },
  })
  t.strictSame((await secrets.list(KEYS)).body.data.keys, ['default', 'web'])
  t.equal((await secrets.remove(`${KEYS}/web`)).status, 204)
  t.equal((await secrets.remove(`${KEYS}/web`)).status, 204, 'it is gone already')
  t.equal((await secrets.read(`${KEYS}/web`)).status, 404)
})

tap.test('the key default is there, and has its pairs once it is used', async t => {
  const secrets = await openSecrets(t)
  t.strictSame((await secrets.read(`${KEYS}/default`)).body.data, {
    ...{ rotation_period: 86_400, verification_ttl: 86_400, algorithm: 'RS256' },
    allowed_client_ids: ['*'],
  })
  const rows = () => secrets.rows().filter(row => row.includes('oidc'))
  t.strictSame(rows(), [])
  t.match(await secrets.remove(`${KEYS}/default`), {
    status: 400,
    text: 'deletion of key "default" not allowed',
  })
  await secrets.post('identity/oidc/role/web', { key: 'default' })
  t.equal((await told(secrets)).length, 2)
  t.strictSame((await secrets.list(KEYS)).body.data.keys, ['default'])
  const ids = (await told(secrets)).map(({ kid }) => kid)
  await secrets.post('identity/oidc/role/other', { key: 'default' })
  t.strictSame(
    (await told(secrets)).map(({ kid }) => kid),
    ids,
    'its pairs stay',
  )
})

tap.test('rotating the key default gives it pairs', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.post(`${KEYS}/default/rotate`)).status, 204)
  t.strictSame(await told(secrets), [], 'nobody signs with it')
})

for (const [algorithm, kty, crv] of [
  ['RS256', 'RSA', undefined],
  ['RS384', 'RSA', undefined],
  ['RS512', 'RSA', undefined],
  ['ES256', 'EC', 'P-256'],
  ['ES384', 'EC', 'P-384'],
  ['ES512', 'EC', 'P-521'],
  ['EdDSA', 'OKP', 'Ed25519'],
] as const) {
  tap.test(`${algorithm}: two public keys are told, and no private one`, async t => {
    const secrets = await openSecrets(t)
    await secrets.post(`${KEYS}/web`, { algorithm })
    await useIt(secrets, 'web')
    const keys = await told(secrets)
    t.equal(keys.length, 2)
    for (const jwk of keys) {
      t.match(jwk, { kty, alg: algorithm, use: 'sig', ...(crv && { crv }) })
      t.strictSame(
        Object.keys(jwk).filter(name => ['d', 'p', 'q', 'dp', 'dq', 'qi'].includes(name)),
        [],
      )
      t.ok(createPublicKey({ key: jwk, format: 'jwk' }))
    }
  })
}

tap.test(
  'another algorithm has new pairs, and what was signed is believed for a while',
  async t => {
    const { secrets, pass } = await openAged(t)
    await secrets.post(`${KEYS}/web`, { algorithm: 'ES256', verification_ttl: '2h' })
    await useIt(secrets, 'web')
    const before = await told(secrets)
    await secrets.post(`${KEYS}/web`, { algorithm: 'EdDSA' })
    const after = await told(secrets)
    t.strictSame(
      after.map(({ alg }) => alg),
      ['EdDSA', 'EdDSA', 'ES256'],
    )
    t.equal(after[2]!.kid, before[0]!.kid)
    await pass(2 * HOUR_MS)
    t.strictSame(
      (await told(secrets)).map(({ alg }) => alg),
      ['EdDSA', 'EdDSA'],
    )
  },
)

tap.test('a key rotates by hand: the next one signs, the last one is told for a while', async t => {
  const { secrets, pass } = await openAged(t)
  await secrets.post(`${KEYS}/web`, { algorithm: 'ES256', verification_ttl: '2h' })
  await useIt(secrets, 'web')
  const ids = async () => (await told(secrets)).map(({ kid }) => kid!)
  const [first, second] = await ids()
  t.equal((await secrets.post(`${KEYS}/web/rotate`)).status, 204)
  const [signing, next, retired, ...more] = await ids()
  t.strictSame([signing, retired, more], [second, first, []])
  t.notOk([first, second].includes(next!))
  await pass(HOUR_MS)
  await secrets.post(`${KEYS}/web/rotate`, { verification_ttl: 60 })
  t.equal((await ids()).length, 4)
  await pass(60_000)
  t.strictSame((await ids()).slice(2), [first])
  await secrets.post(`${KEYS}/web/rotate`, { verification_ttl: 0 })
  t.strictSame((await ids()).slice(2), [first], 'it is out at once')
  await pass(HOUR_MS)
  t.equal((await ids()).length, 2)
  t.match(await secrets.post(`${KEYS}/none/rotate`), {
    status: 400,
    text: 'no named key found at "none"',
  })
})

tap.test('a key rotates by itself, once, when it is due', async t => {
  const { secrets, pass, work } = await openAged(t)
  for (const algorithm of ['RS256', 'ES256']) {
    const data = { algorithm, rotation_period: '1h', verification_ttl: '1h' }
    await secrets.post(`${KEYS}/${algorithm}`, data)
    await useIt(secrets, algorithm)
  }
  const ids = async () => (await told(secrets)).map(({ kid }) => kid!)
  const before = await ids()
  t.equal(await pass(HOUR_MS / 2), 0)
  t.equal(await pass(HOUR_MS), 2)
  t.strictSame(await ids(), before, 'a pair is to be drawn')
  await work()
  const after = await ids()
  t.equal(after.length, 6)
  await work()
  t.strictSame(await ids(), after)
  t.strictSame(
    secrets.rows().filter(row => row.includes('oidc-rotations')),
    [],
  )
  // A shorter period holds from now on.
  await secrets.post(`${KEYS}/ES256`, { rotation_period: '10m' })
  t.equal(await pass(11 * 60_000), 1)
})

tap.test('a key that was deleted or rotated meanwhile is left alone', async t => {
  const { secrets, pass, work } = await openAged(t)
  for (const name of ['deleted', 'by-hand']) {
    const data = { algorithm: 'EdDSA', rotation_period: '1h', verification_ttl: '2h' }
    await secrets.post(`${KEYS}/${name}`, data)
  }
  t.equal(await pass(2 * HOUR_MS), 2)
  await secrets.remove(`${KEYS}/deleted`)
  await useIt(secrets, 'by-hand')
  await secrets.post(`${KEYS}/by-hand/rotate`)
  const ids = (await told(secrets)).map(({ kid }) => kid)
  await work()
  t.strictSame(
    (await told(secrets)).map(({ kid }) => kid),
    ids,
  )
  t.equal((await secrets.read(`${KEYS}/deleted`)).status, 404)
})

tap.test('nothing is drawn while this server is sealed', async t => {
  const { secrets, pass, work } = await openAged(t)
  await secrets.post(`${KEYS}/web`, {
    algorithm: 'EdDSA',
    rotation_period: '1h',
    verification_ttl: '1h',
  })
  await useIt(secrets, 'web')
  await pass(2 * HOUR_MS)
  const { barrier } = secrets
  secrets.barrier = undefined
  await work()
  secrets.barrier = barrier
  t.equal((await told(secrets)).length, 2)
  await work()
  t.equal((await told(secrets)).length, 3)
})

tap.test('bad input makes and changes nothing', async t => {
  const secrets = await openSecrets(t)
  for (const [data, text] of [
    [{ rotation_period: '59s' }, 'rotation_period must be at least one minute'],
    [{ rotation_period: '1h', verification_ttl: '11h' }, /cannot be longer than 10x/],
    [{ algorithm: 'none' }, 'unknown signing algorithm "none"'],
    [{ algorithm: 'HS256' }, 'unknown signing algorithm "HS256"'],
    [{ algorithm: '' }, 'unknown signing algorithm ""'],
    [{ rotation_period: 'soon' }, /error converting input for field "rotation_period"/],
    [{ verification_ttl: -1 }, /error converting input/],
    [{ allowed_client_ids: { a: 1 } }, /error converting input/],
    [{ allowed_client_ids: Array(limits.oidcListItems + 1).fill('a') }, /has more than/],
  ] as const) {
    t.match(await secrets.post(`${KEYS}/web`, data as never), { status: 400, text })
  }
  t.equal((await secrets.read(`${KEYS}/web`)).status, 404)
  for (const name of ['-a', 'a b', 'é', 'a.', 'n'.repeat(limits.oidcNameChars + 1)]) {
    t.equal((await secrets.post(`${KEYS}/${name}`)).status, 404, name)
    t.equal((await secrets.read(`${KEYS}/${name}`)).status, 404, name)
    t.equal((await secrets.remove(`${KEYS}/${name}`)).status, 404, name)
    t.equal((await secrets.post(`${KEYS}/${name}/rotate`)).status, 404, name)
  }
})

tap.test('a key that is used is not deleted, and tells what it has signed', async t => {
  const secrets = await openSecrets(t)
  await secrets.post(`${KEYS}/web`, { algorithm: 'ES256' })
  for (const name of ['b', 'a']) await secrets.post(`identity/oidc/role/${name}`, { key: 'web' })
  t.match(await secrets.remove(`${KEYS}/web`), {
    status: 400,
    text: 'unable to delete key "web" because it is currently referenced by these roles: a, b',
  })
  t.match(await secrets.post(`${KEYS}/web`, { verification_ttl: '1h' }), {
    status: 400,
    text: /referenced by one or more roles with a token ttl greater than 3600 seconds/,
  })
  await secrets.post(`${KEYS}/other`, { algorithm: 'ES256' })
  await secrets.post('identity/oidc/role/a', { key: 'other' })
  await secrets.remove('identity/oidc/role/b')
  t.equal((await secrets.remove(`${KEYS}/web`)).status, 204)
  t.equal((await secrets.remove(`${KEYS}/other`)).status, 400)
})

tap.test('public keys out of use, and keys, are bounded', async t => {
  const secrets = await openSecrets(t)
  await secrets.post(`${KEYS}/web`, { algorithm: 'EdDSA' })
  for (let i = 0; i < limits.oidcRetiredKeys; i++) await secrets.post(`${KEYS}/web/rotate`)
  t.match(await secrets.post(`${KEYS}/web/rotate`), { status: 400, text: /out of use already/ })
  t.equal((await secrets.post(`${KEYS}/web/rotate`, { verification_ttl: 0 })).status, 204)
  for (let i = 1; i < limits.oidcKeys; i++)
    await secrets.post(`${KEYS}/k${i}`, { algorithm: 'EdDSA' })
  t.match(await secrets.post(`${KEYS}/more`, { algorithm: 'EdDSA' }), {
    status: 400,
    text: /at most/,
  })
})

tap.test('keys are of a namespace', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/team')
  await secrets.post(`${KEYS}/web`, { algorithm: 'ES256' }, { namespace: 'team' })
  t.equal((await secrets.read(`${KEYS}/web`)).status, 404)
  await secrets.post('identity/oidc/role/a', { key: 'web' }, { namespace: 'team' })
  t.strictSame(await told(secrets), [])
  const there = await secrets.read('team/identity/oidc/.well-known/keys', { token: '' })
  t.equal(there.body.keys.length, 2)
  t.strictSame((await secrets.list(KEYS, { namespace: 'team' })).body.data.keys, ['default', 'web'])
})
