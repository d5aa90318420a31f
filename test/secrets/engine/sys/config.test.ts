/** `sys/config`, `sys/audit`, `sys/tools` and `sys/plugins/catalog`. */
import { createHash } from 'node:crypto'
import tap from 'tap'
import { auditHash } from '../../../../src/secrets/audit.ts'
import { openSecrets } from '../../harness.ts'
import { testRuntime } from '../../ports.ts'

tap.test('which pages may ask is set, shown and removed', async t => {
  const secrets = await openSecrets(t)
  t.strictSame((await secrets.read('sys/config/cors')).body.data, { enabled: false })
  t.match(await secrets.post('sys/config/cors', { enable: true }), {
    status: 400,
    text: 'at least one origin or the wildcard must be provided',
  })
  t.equal((await secrets.post('sys/config/cors', { allowed_origins: ['a', '*'] })).status, 400)
  const given = { allowed_origins: 'https://web.example', allowed_headers: 'X-Own' }
  t.equal((await secrets.post('sys/config/cors', given)).status, 204)
  const { body } = await secrets.read('sys/config/cors')
  t.match(body, { enabled: true, allowed_origins: ['https://web.example'] }, 'also at the top')
  t.ok(body.data.allowed_headers.includes('X-Vault-Token'))
  t.equal(body.data.allowed_headers.at(-1), 'X-Own')
  t.match(secrets.secrets.cors(), { origins: ['https://web.example'] })
  t.equal((await secrets.remove('sys/config/cors')).status, 204)
  t.equal(secrets.secrets.cors(), undefined)
})

tap.test('headers of the web interface are kept', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.list('sys/config/ui/headers')).status, 404)
  t.equal((await secrets.post('sys/config/ui/headers/X-One', { values: ['a', 'b'] })).status, 204)
  t.strictSame((await secrets.list('sys/config/ui/headers')).body.data.keys, ['x-one'])
  t.strictSame((await secrets.read('sys/config/ui/headers/x-one')).body.data, { value: 'a' })
  const all = await secrets.read('sys/config/ui/headers/x-one', { data: { multivalue: 'true' } })
  t.strictSame(all.body.data, { values: ['a', 'b'] })
  t.match(await secrets.post('sys/config/ui/headers/X-Vault-Token', { values: 'a' }), {
    status: 400,
    text: 'X-Vault headers cannot be set',
  })
  t.equal((await secrets.post('sys/config/ui/headers/a', { values: ['a\r\nb'] })).status, 400)
  const csp = { values: ["default-src 'self'"] }
  const got = await secrets.post('sys/config/ui/headers/Content-Security-Policy', csp)
  t.match(got.body.warnings, [/^overriding default Content-Security-Policy/])
  t.equal((await secrets.remove('sys/config/ui/headers/X-One')).status, 204)
  t.equal((await secrets.read('sys/config/ui/headers/x-one')).status, 404)
})

tap.test('headers that the audit shows: some from the beginning, none with a token', async t => {
  const secrets = await openSecrets(t)
  const path = 'sys/config/auditing/request-headers'
  const initial = (await secrets.read(path)).body.data.headers
  t.strictSame(Object.keys(initial), ['correlation-id', 'user-agent', 'x-correlation-id'])
  t.equal((await secrets.post(`${path}/X-Own`, { hmac: true })).status, 204)
  t.strictSame((await secrets.read(`${path}/x-own`)).body.data, { 'x-own': { hmac: true } })
  t.equal((await secrets.remove(`${path}/user-agent`)).status, 204)
  t.match(await secrets.read(`${path}/user-agent`), {
    status: 400,
    text: 'Could not find header in config',
  })
  for (const name of ['X-Vault-Token', 'authorization', 'Cookie']) {
    t.equal((await secrets.post(`${path}/${name}`, { hmac: true })).status, 400, name)
  }
  t.equal((await secrets.read(`${path}/constructor`)).status, 400)
})

tap.test('the configuration is shown and read anew', async t => {
  const problems = ['log_level: unknown']
  const runtime = testRuntime({ reload: async () => problems.splice(0) })
  const secrets = await openSecrets(t, { ports: { runtime } })
  t.match((await secrets.read('sys/config/state/sanitized')).body.data, {
    storage: { type: 'memory' },
  })
  t.match(await secrets.post('sys/config/reload/config'), {
    status: 500,
    text: 'Reload failed: log_level: unknown',
  })
  t.equal((await secrets.post('sys/config/reload/config')).status, 204)
  t.equal((await secrets.post('sys/config/reload/license')).status, 400)
})

tap.test('devices are listed, and changed by the configuration alone', async t => {
  const secrets = await openSecrets(t)
  const { body } = await secrets.read('sys/audit')
  t.match(body['file/'], { type: 'file', path: 'file/', options: {}, local: false })
  t.match(await secrets.post('sys/audit/x', { type: 'file', options: { file_path: '/x' } }), {
    status: 400,
    text: /^cannot enable audit device via API/,
  })
  t.match(await secrets.remove('sys/audit/file'), {
    status: 400,
    text: 'cannot disable configuration-managed audit device',
  })
  t.equal((await secrets.remove('sys/audit/none')).status, 204)
  const hashed = await secrets.post('sys/audit-hash/file', { input: 'my-secret' })
  t.match(hashed.body.data.hash, /^hmac-sha256:[0-9a-f]{64}$/)
  t.equal(hashed.body.data.hash, auditHash(secrets.barrier!, 'my-secret'))
  t.not(hashed.body.data.hash, `hmac-sha256:${secrets.barrier!.hashOf('my-secret')}`)
  t.equal((await secrets.post('sys/audit-hash/none', { input: 'x' })).status, 400)
  t.match(await secrets.post('sys/audit-hash/file'), { text: 'the "input" parameter is empty' })
})

tap.test('random bytes come in both forms, as many as asked for', async t => {
  const secrets = await openSecrets(t)
  const bytesOf = async (path: string, data = {}, encoding: BufferEncoding = 'base64') =>
    Buffer.from((await secrets.post(`sys/tools/${path}`, data)).body.data.random_bytes, encoding)
  t.equal((await bytesOf('random')).length, 32)
  t.equal((await bytesOf('random/16', { bytes: 8 })).length, 16)
  t.equal((await bytesOf('random/all', { bytes: 8 })).length, 8)
  t.equal((await bytesOf('random/seal/24', { format: 'hex' }, 'hex')).length, 24)
  t.not((await bytesOf('random')).toString('hex'), (await bytesOf('random')).toString('hex'))
  const refused = [
    ['random', { bytes: 0 }],
    ['random', { bytes: 131_073 }],
    ['random', { format: 'xml' }],
    ['random/x', {}],
    ['random/nowhere/8', {}],
  ] as const
  for (const [path, data] of refused) {
    t.equal((await secrets.post(`sys/tools/${path}`, data)).status, 400, path)
  }
})

tap.test('data is hashed', async t => {
  const secrets = await openSecrets(t)
  const input = Buffer.from('adam').toString('base64')
  const sum = createHash('sha256').update('adam')
  t.equal((await secrets.post('sys/tools/hash', { input })).body.data.sum, sum.copy().digest('hex'))
  const given = { input, format: 'base64', algorithm: 'sha2-512' }
  t.equal(
    (await secrets.post('sys/tools/hash/sha2-256', given)).body.data.sum,
    sum.digest('base64'),
  )
  t.equal(
    (await secrets.post('sys/tools/hash/sha3-224', { input })).body.data.sum,
    createHash('sha3-224').update('adam').digest('hex'),
  )
  for (const data of [{ input: '%' }, { input, algorithm: 'md5' }, { input, format: 'x' }]) {
    t.equal((await secrets.post('sys/tools/hash', data)).status, 400)
  }
})

tap.test('the catalog lists what may be mounted', async t => {
  const secrets = await openSecrets(t)
  const { data } = (await secrets.read('sys/plugins/catalog')).body
  t.ok(data.secret.includes('kv'))
  t.notOk(data.secret.includes('system'))
  t.match(data.detailed, [{ builtin: true, deprecation_status: 'supported' }])
  t.ok((await secrets.list('sys/plugins/catalog/secret')).body.data.keys.includes('kv'))
  t.match((await secrets.read('sys/plugins/catalog/secret/kv')).body.data, {
    name: 'kv',
    builtin: true,
  })
  t.equal((await secrets.read('sys/plugins/catalog/secret/none')).status, 404)
  t.equal((await secrets.read('sys/plugins/catalog/x/kv')).status, 400)
  t.match(await secrets.post('sys/plugins/catalog/secret/own', { sha256: 'x', command: 'x' }), {
    status: 501,
    text: /^not served yet/,
  })
})
