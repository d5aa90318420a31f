/** Every request to the secrets has a record, and no record has a secret. */
import tap, { type Test } from 'tap'
import { Audit } from '../../../src/audit/audit.run.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES } from '../../../src/http/admission.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import { auditHash } from '../../../src/secrets/audit.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { portsOn, settings } from '../../audit/support.ts'
import { openSecrets, ROOT_TOKEN, tables } from '../../secrets/harness.ts'
import { boundsOfTests } from '../harness.ts'

const CANARY = 'canary-4f1c'

async function openAudited(t: Test) {
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  const audit = new Audit(settings, portsOn(store))
  const test = await openSecrets(t, { open: () => store, recordOf: audit.recordOf })
  await test.mount('kv', 'plain/')
  await test.mount('kv', 'noted/', {
    config: {
      ...{ defaultLeaseTtlMs: 0, maxLeaseTtlMs: 0, forceNoCache: false },
      auditNonHmacRequestKeys: ['team'],
      auditNonHmacResponseKeys: ['team'],
    },
  })
  const metrics = new Metrics(systemClock)
  const rates = { blockEndpoints: [], allowWriteFrom: [], rates: NO_RATES }
  const face = createSecretsFace({
    ...boundsOfTests,
    ...{ secrets: test.secrets, log: silentLog, random: systemRandom, audit },
    admission: new Admission({ clock: systemClock, log: silentLog, metrics, ...rates }),
  })
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  const ask = (method: string, path: string, body?: object, token = ROOT_TOKEN) =>
    fetch(`http://127.0.0.1:${port}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const records = async () => {
    const found = await audit.search({} as never, Number.MAX_SAFE_INTEGER, 100)
    return found.records.map(({ text }) => JSON.parse(text.toString()))
  }
  return { ...{ test, audit, ask, records } }
}

tap.test('a write and a read have one record each, with hashes for texts', async t => {
  const { test, ask, records } = await openAudited(t)
  const time = '2026-01-02T03:04:05Z'
  const written = await ask('PUT', 'plain/a', { key: CANARY, n: 7, on: true, time })
  const read = await ask('GET', 'plain/a')
  t.strictSame([written.status, read.status], [204, 200])
  const [second, first, ...others] = await records()
  t.strictSame(others, [])
  const hash = auditHash(test.barrier!, CANARY)
  const data = { key: hash, n: 7, on: true, time }
  t.match(first, {
    request: written.headers.get('x-request-id'),
    outcome: 'written',
    path: '/v1/plain/a',
    secrets: { operation: 'update', mount_point: 'plain/', mount_type: 'kv', data },
  })
  t.match(second, {
    request: read.headers.get('x-request-id'),
    outcome: 'answered',
    secrets: { operation: 'read', response: { data }, auth: { policies: ['root'] } },
  })
  t.match(second.accessor, /^\w{24}$/)
  t.notMatch(JSON.stringify([first, second]), new RegExp(`${CANARY}|${ROOT_TOKEN}`))
})

tap.test('what is asked again is recorded again, each time by what it is then', async t => {
  const { test, ask, records } = await openAudited(t)
  await test.mount('kv', 'two/', { options: { version: '2' } })
  const hashes: string[] = []
  for (const value of [CANARY, `${CANARY}-2`]) {
    await ask('PUT', 'two/data/a', { data: { value, n: 1, none: null, list: [value, 1.5, true] } })
    hashes.push(auditHash(test.barrier!, value))
    for (let i = 0; i < 2; i++) await ask('GET', 'two/data/a')
  }
  const reads = (await records()).filter(({ secrets }) => secrets.operation === 'read')
  const told = reads.map(({ secrets }) => secrets.response.data)
  const dataOf = (value: unknown) => ({ value, n: 1, none: null, list: [value, 1.5, true] })
  t.strictSame(
    told.map(({ data }) => data),
    [hashes[1], hashes[1], hashes[0], hashes[0]].map(dataOf),
  )
  t.same(
    told.map(({ metadata }) => metadata.version),
    [2, 2, 1, 1],
  )
  t.ok(test.barrier!.audited.size > 0, 'hashed once')
  t.match(reads[0].secrets, { namespace: '', mount_point: 'two/', mount_type: 'kv' })
})

tap.test('a secret in the place of a name is a hash, where names are known', async t => {
  const { test, ask, records } = await openAudited(t)
  const told = await ask('POST', 'sys/mounts/new', { type: 'kv', [CANARY]: 'x' })
  t.match(await told.text(), CANARY, 'who sent it is told')
  await ask('PUT', 'plain/a', { [CANARY]: 'x' })
  const [free, known] = await records()
  const name = auditHash(test.barrier!, CANARY)
  t.strictSame(Object.keys(known.secrets.data).sort(), [name, 'type'])
  t.notMatch(JSON.stringify(known), CANARY)
  t.strictSame(
    Object.keys(free.secrets.data),
    [CANARY],
    'near miss: a name of a secret is its name',
  )
})

tap.test('keys that a mount names are clear', async t => {
  const { ask, records } = await openAudited(t)
  await ask('PUT', 'noted/a', { team: 'red', key: CANARY })
  await ask('GET', 'noted/a')
  const [read, written] = await records()
  t.match(written.secrets.data, { team: 'red', key: /^hmac-sha256:[0-9a-f]{64}$/ })
  t.match(read.secrets.response.data, { team: 'red', key: /^hmac-sha256:/ })
})

tap.test('keys that leave are in no record, in whatever form', async t => {
  const { test, ask, records } = await openAudited(t)
  await test.mount('transit', 'transit/')
  const open = { type: 'ed25519', exportable: true, allow_plaintext_backup: true }
  await ask('PUT', 'transit/keys/a', open)
  const told = async (path: string) => {
    const answer = await ask('GET', `transit/${path}`)
    return (await answer.json()) as { data: { keys: Record<string, string>; backup: string } }
  }
  const key = (await told('export/signing-key/a')).data.keys['1']!
  const hmacKey = (await told('export/hmac-key/a')).data.keys['1']!
  const { backup } = (await told('backup/a')).data
  await ask('PUT', 'transit/restore/b', { backup })
  const all = await records()
  t.equal(all.length, 5)
  const text = JSON.stringify(all)
  for (const secret of [key, hmacKey, backup]) {
    t.ok(typeof secret === 'string' && secret.length > 40)
    t.notOk(text.includes(secret))
    t.ok(text.includes(auditHash(test.barrier!, secret)), 'whoever has it finds its records')
  }
})

tap.test('private keys of an authority are in no record, in whatever form', async t => {
  const { test, ask, records } = await openAudited(t)
  await test.mount('pki', 'pki/')
  const asked = { common_name: 'Root', key_type: 'ec' }
  const make = async (path: string, body: object) => {
    const answer = await ask('PUT', `pki/${path}`, body)
    return ((await answer.json()) as { data: Record<string, string> }).data
  }
  const pem = await make('root/generate/exported', asked)
  const bundle = await make('root/generate/exported', { ...asked, format: 'pem_bundle' })
  const der = await make('intermediate/generate/exported', { ...asked, format: 'der' })
  await ask('PUT', 'pki/config/ca', { pem_bundle: bundle.certificate })
  await ask('PUT', 'pki/keys/import', { pem_bundle: 'no key', key_name: pem.private_key })
  const all = await records()
  t.equal(all.length, 5)
  const text = JSON.stringify(all)
  for (const { private_key = '' } of [pem, bundle, der]) {
    t.ok(private_key.length > 40)
    t.notOk(text.includes(JSON.stringify(private_key).slice(1, -1)))
    // Not a line of it either.
    for (const line of private_key.split('\n').filter(each => each.length > 40)) {
      t.notOk(text.includes(line))
    }
  }
})

tap.test('what is refused is recorded, whoever asked', async t => {
  const { ask, records } = await openAudited(t)
  await ask('GET', 'plain/a', undefined, 'nobody')
  await ask('PUT', 'plain/a', {})
  await ask('GET', 'nowhere/a')
  await ask('GET', 'sys/health')
  const [nowhere, empty, nobody, ...others] = await records()
  t.strictSame(others, [], 'who is well is asked without a record')
  t.match(nobody, { outcome: 'refused', status: 403, accessor: 'unknown' })
  t.match(empty, { outcome: 'refused', status: 400, refusal: 'missing data fields' })
  t.match(nowhere, { outcome: 'refused', status: 404, path: '/v1/nowhere/a' })
})

tap.test('a record that would be too long keeps its names', async t => {
  const { ask, records } = await openAudited(t)
  const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`key-${i}`, CANARY]))
  await ask('PUT', 'plain/many', many)
  const [record] = await records()
  t.match(record.secrets, { operation: 'update', mount_point: 'plain/', elidedChars: Number })
  t.notOk(record.secrets.data)
})

tap.test('where no record can be kept, nothing is answered', async t => {
  const { audit, test, ask } = await openAudited(t)
  await ask('PUT', 'plain/a', { v: 1 })
  t.teardown(() => audit.stop())
  test.store.journal.append = async () => {
    throw new Error('no space left on device')
  }
  const got = await ask('GET', 'plain/a')
  t.equal(got.status, 503)
  t.match(await got.text(), /its audit record cannot be kept: no space left on device/)
})
