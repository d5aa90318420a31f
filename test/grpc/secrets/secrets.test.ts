/**
 * Any path of the secrets over gRPC: what is answered and refused is what HTTP answers, recorded,
 * wrapped and explained likewise; numbers keep their digits; lists come in pages.
 */
import t from 'tap'
import { json, openSecretsGrpc, ROOT_TOKEN, tokenWith } from './world.ts'

const read = (bytes: Buffer): unknown => JSON.parse(bytes.toString())
const CANARY = 'canary-of-secrets-4711'

t.test('paths are written, read, merged, listed and deleted', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'plain/')
  t.match(await call('Secrets/Write', { path: 'plain/a', data: json({ team: 'red' }) }), {
    code: 'OK',
    answer: { data: Buffer.alloc(0), warnings: [] },
  })
  const got = await call('Secrets/Read', { path: 'plain/a' })
  t.same(read(got.answer.data), { team: 'red' })
  t.equal(got.answer.mountType, 'kv')
  t.equal(got.answer.lease.durationSeconds, 2_764_800)
  t.match(got.answer.requestId, /./)
  const big = Buffer.from('{"n":9223372036854775807}')
  await call('Secrets/Write', { path: '/plain//b', data: big })
  const back = await call('Secrets/Read', { path: 'plain/b' })
  t.equal(back.answer.data.toString(), big.toString(), 'all digits of 64 bits')
  t.same((await call('Secrets/List', { path: 'plain' })).answer.keys, ['a', 'b'])
  t.equal((await call('Secrets/Delete', { path: 'plain/a' })).code, 'OK')
  const gone = await call('Secrets/Read', { path: 'plain/a' })
  t.match(gone, { code: 'NOT_FOUND', text: 'no value found at plain/a' })
  await secrets.mount('pki', 'pki/')
  await secrets.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  const whole = await call('Secrets/Read', { path: 'pki/ca/pem' })
  t.match(whole.answer.body.toString(), /^-----BEGIN CERTIFICATE/)
  t.equal(whole.answer.contentType, 'application/pem-certificate-chain')
})

t.test('refusals are those of HTTP', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'plain/')
  const weak = await tokenWith(world, { 'plain/mine': ['read'] })
  const cases = [
    { method: 'Read', path: 'plain/a', token: '', code: 'PERMISSION_DENIED' },
    { method: 'Read', path: 'plain/a', token: 'hvs.nobody', code: 'UNAUTHENTICATED' },
    { method: 'Read', path: 'plain/a', token: weak, code: 'PERMISSION_DENIED' },
    { method: 'Write', path: 'plain/mine', token: weak, code: 'PERMISSION_DENIED' },
    { method: 'Read', path: 'nowhere/a', token: ROOT_TOKEN, code: 'NOT_FOUND' },
    { method: 'Write', path: 'plain/a', token: ROOT_TOKEN, code: 'INVALID_ARGUMENT' },
    { method: 'Write', path: 'plain/a/', token: ROOT_TOKEN, code: 'INVALID_ARGUMENT' },
    { method: 'Read', path: 'plain/../sys/raw', token: ROOT_TOKEN, code: 'INVALID_ARGUMENT' },
  ]
  for (const { method, path, token, code } of cases) {
    const got = await call(`Secrets/${method}`, { path }, token)
    t.equal(got.code, code, `${method} ${path}`)
    if (path.endsWith('/') || path.includes('..')) continue
    const operation = method === 'Read' ? 'read' : 'update'
    const { body } = await secrets.ask(operation, path, { token })
    t.equal(got.text, body.errors.join('\n'), `${method} ${path}: ${got.text}`)
  }
  const wrong = await call('Secrets/Write', { path: 'plain/a', data: Buffer.from(`{"${CANARY}`) })
  t.match(wrong, { code: 'INVALID_ARGUMENT', text: 'error parsing JSON' })
})

t.test('wrapped answers, namespaces, leases', async t => {
  const { call, secrets } = await openSecretsGrpc(t)
  await secrets.mount('kv', 'plain/')
  await call('Secrets/Write', { path: 'plain/a', data: json({ team: 'red' }) })
  const wrapped = await call('Secrets/Read', { path: 'plain/a', wrapTtlSeconds: 60 })
  const { wrap, data, lease } = wrapped.answer
  t.match(wrap, { ttlSeconds: 60, creationPath: 'plain/a', token: /^hvs\./ })
  t.equal(data.length, 0)
  t.equal(lease, null)
  const inside = await call('Secrets/Write', { path: 'sys/wrapping/unwrap' }, wrap.token)
  t.same(read(inside.answer.data), { team: 'red' })
  const again = await call('Secrets/Write', { path: 'sys/wrapping/unwrap' }, wrap.token)
  t.equal(again.code, 'INVALID_ARGUMENT', 'once')
  await call('Secrets/Write', { path: 'sys/namespaces/ours' })
  const mount = { path: 'sys/mounts/plain', namespace: 'ours', data: json({ type: 'kv' }) }
  t.equal((await call('Secrets/Write', mount)).code, 'OK')
  const inOurs = await call('Secrets/Read', { path: 'plain/a', namespace: 'ours' })
  t.equal(inOurs.code, 'NOT_FOUND')
  const no = await call('Secrets/RenewLease', { leaseId: 'plain/a/nothing', incrementSeconds: 5 })
  t.match(no, { code: 'INVALID_ARGUMENT', text: /lease not found/ })
  t.equal((await call('Secrets/RevokeLease', { leaseId: 'plain/a/nothing' })).code, 'OK')
})

t.test('lists in pages, whether the path knows pages or not', async t => {
  const { call, secrets } = await openSecretsGrpc(t)
  await secrets.mount('kv', 'plain/')
  await secrets.mount('kv', 'two/', { options: { version: '2' } })
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await secrets.post(`plain/${name}`, { n: 1 })
    await secrets.post(`two/data/${name}`, { data: { n: 1 } })
    await secrets.post(`sys/policies/acl/${name}`, {
      policy: 'path "x" { capabilities = ["read"] }',
    })
  }
  const all = async (method: string, request: object): Promise<string[][]> => {
    const pages: string[][] = []
    for (let pageToken = ''; ; ) {
      const { answer, code } = await call(method, { ...request, pageSize: 2, pageToken })
      t.equal(code, 'OK')
      pages.push(answer.keys)
      pageToken = answer.nextPageToken
      if (pageToken === '') return pages
    }
  }
  const pages = [['a', 'b'], ['c', 'd'], ['e']]
  t.same(await all('Secrets/List', { path: 'plain' }), pages)
  t.same(await all('Secrets/List', { path: 'two/metadata' }), pages)
  t.same(await all('Secrets/ListKv', { mount: 'two' }), pages)
  const policies = await all('Secrets/List', { path: 'sys/policies/acl' })
  t.same(policies.flat(), ['a', 'b', 'c', 'd', 'default', 'e', 'root'])
  const whole = await call('Secrets/List', { path: 'plain' })
  t.match(whole.answer, { keys: pages.flat(), nextPageToken: '' })
})

t.test('a policy that gives pages has the rest told of', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'plain/')
  for (const name of ['a', 'b', 'c']) await secrets.post(`plain/${name}`, { n: 1 })
  const policy = 'path "plain/" { capabilities = ["list"] pagination_limit = 2 }'
  await secrets.post('sys/policies/acl/paged', { policy })
  const made = await secrets.post('auth/token/create', { policies: ['paged'] })
  const token = made.body.auth.client_token
  const first = await call('Secrets/List', { path: 'plain' }, token)
  t.match(first.answer, { keys: ['a', 'b'], nextPageToken: 'b' })
  const rest = await call('Secrets/List', { path: 'plain', pageToken: 'b' }, token)
  t.match(rest.answer, { keys: ['c'], nextPageToken: '' })
})

t.test('many reads: each for itself', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'plain/')
  await secrets.post('plain/a', { n: 1 })
  await secrets.post('plain/b', { n: 2 })
  const weak = await tokenWith(world, { 'plain/a': ['read'], 'plain/none': ['read'] })
  const reads = ['plain/a', 'plain/b', 'plain/none'].map(path => ({ path }))
  const { code, answer } = await call('Secrets/ReadMany', { reads }, weak)
  t.equal(code, 'OK')
  const [a, b, none] = answer.results
  t.same(read(a.answer.data), { n: 1 })
  t.match(b, { outcome: 'failure', failure: { code: 7, message: /permission denied/ } })
  t.match(none, { outcome: 'failure', failure: { code: 5 } })
  const explained = await secrets.read(`sys/internal/explain/${b.failure.requestId}`)
  t.equal(explained.status, 200, 'a refusal is explained by its own id')
  const many = Array.from({ length: 129 }, () => ({ path: 'plain/a' }))
  t.match(await call('Secrets/ReadMany', { reads: many }), { code: 'INVALID_ARGUMENT' })
  await secrets.post('plain/large', { text: 'x'.repeat(700_000) })
  const large = Array.from({ length: 6 }, () => ({ path: 'plain/large' }))
  const { answer: cut } = await call('Secrets/ReadMany', { reads: large })
  const outcomes = cut.results.map(({ outcome }: { outcome: string }) => outcome)
  t.same(outcomes.filter((one: string) => one === 'answer').length, 4)
  t.match(cut.results.at(-1), { failure: { code: 8 } })
})

t.test('key-value secrets with versions', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'secret/', { options: { version: '2' } })
  await secrets.mount('kv', 'plain/')
  const put = (request: object) => call('Secrets/PutKv', { path: 'app', ...request })
  t.match(await put({ data: Buffer.from('{"n":9223372036854775807}'), cas: 0 }), {
    answer: { version: 1, createdTime: /^20/, deletionTime: '' },
  })
  t.match(await put({ data: json({ n: 2 }), cas: 0 }), {
    code: 'INVALID_ARGUMENT',
    text: 'check-and-set parameter did not match the current version',
  })
  t.match(await put({ data: json({ n: 2 }), cas: 1 }), { answer: { version: 2 } })
  const newest = await call('Secrets/GetKv', { path: 'app' })
  t.match(newest.answer, { data: json({ n: 2 }), version: { version: 2 } })
  const first = await call('Secrets/GetKv', { path: 'app', version: 1 })
  t.equal(first.answer.data.toString(), '{"n":9223372036854775807}')
  await secrets.remove('secret/data/app')
  t.match(await call('Secrets/GetKv', { path: 'app' }), {
    code: 'NOT_FOUND',
    text: /^version 2 of secret\/data\/app was deleted at 20/,
  })
  t.match(await call('Secrets/Read', { path: 'secret/data/app' }), { code: 'NOT_FOUND' })
  t.match(await call('Secrets/GetKv', { path: 'nothing' }), { code: 'NOT_FOUND' })
  const wrongMount = await put({ mount: 'plain', data: json({ n: 1 }) })
  t.match(wrongMount, { code: 'INVALID_ARGUMENT', text: /version 2/ })
  t.same((await secrets.list('plain')).status, 404, 'nothing was written where it has no versions')
  const weak = await tokenWith(world, { 'other/*': ['read'] })
  const hidden = await call('Secrets/GetKv', { mount: 'plain', path: 'app' }, weak)
  t.equal(hidden.code, 'PERMISSION_DENIED', 'what is mounted is not told to who may not')
})

t.test('records: by the token, with the face, without secrets', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets, records, lines } = world
  await secrets.mount('kv', 'plain/')
  await call('Secrets/Write', { path: 'plain/a', data: json({ key: CANARY }) })
  await call('Secrets/Read', { path: 'plain/a' })
  const refused = await call(
    'Secrets/Write',
    { path: 'plain/a', data: json({ key: CANARY }) },
    CANARY,
  )
  await call('Secrets/Write', { path: 'sys/policies/acl/a', data: json({ [CANARY]: CANARY }) })
  const all = await records()
  t.match(all.slice(-2), [
    { operation: 'GET /v1/{path}', path: '/v1/plain/a', secrets: { face: 'grpc' } },
    { operation: 'POST /v1/{path}', path: '/v1/plain/a', outcome: 'written' },
  ])
  t.match(all[1], { outcome: 'refused', status: 403 })
  for (const text of [JSON.stringify(all), lines.join('\n'), refused.text]) {
    t.notOk(text.includes(CANARY))
  }
})

t.test('quotas and conditions hold here too', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('kv', 'plain/')
  await secrets.post('plain/a', { n: 1 })
  await secrets.post('sys/quotas/rate-limit/few', { path: 'plain/', rate: 0.01 })
  t.equal((await call('Secrets/Read', { path: 'plain/a' })).code, 'OK')
  const refused = await call('Secrets/Read', { path: 'plain/a' })
  t.match(refused, { code: 'RESOURCE_EXHAUSTED', text: /rate limit quota exceeded/ })
  const details = refused.metadata.get('grpc-status-details-bin')[0]!.toString('latin1')
  t.match(details, /RetryInfo/)
  await secrets.remove('sys/quotas/rate-limit/few')
  const condition = { expression: 'false', paths: ['plain/*'], operations: ['delete'] }
  t.equal((await secrets.post('sys/policies/conditions/keep', condition)).status, 204)
  const kept = await call('Secrets/Delete', { path: 'plain/a' })
  const { body } = await secrets.remove('plain/a')
  t.match(kept, { code: 'PERMISSION_DENIED', text: body.errors[0] })
})

t.test('sealed: everything says so', async t => {
  const world = await openSecretsGrpc(t)
  const { methods, call, secrets } = world
  secrets.barrier = undefined
  for (const { path, form } of methods) {
    if (form === 'duplex') continue
    const name = path.slice('gatehouse.v1.'.length)
    const wish = { role: 'a', more: Buffer.alloc(0) }
    const reads = [{ path: 'plain/a' }]
    const request = {
      ...{ path: 'plain/a', csrPem: 'x', wish, reads, items: [], key: 'a' },
      ...(name === 'Identity/Login' && { path: undefined, userpass: { username: 'a' } }),
    }
    const got = await call(name, request)
    if (name === 'Secrets/ReadMany') {
      t.match(got.answer.results, [{ failure: { code: 14, message: 'Vault is sealed' } }])
    } else t.match(got, { code: 'UNAVAILABLE', text: 'Vault is sealed' }, name)
  }
  for (const name of ['EncryptStream', 'DecryptStream']) {
    const stream = await world.open(`Transit/${name}`)
    stream.send({ begin: { key: 'a' } })
    if (name === 'DecryptStream') stream.send({ data: HEAD })
    t.match(await stream.ended, { code: 'UNAVAILABLE', text: 'Vault is sealed' }, name)
  }
})

const HEAD = Buffer.concat([
  Buffer.from('GHSTREAM'),
  Buffer.from([1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 13]),
  Buffer.from('vault:v1:AAAA'),
])
