/**
 * The journal's paths, and what of requests is in it: on every engine nothing that writes and no
 * refusal is answered before its record is durable, and no record holds a token, a body or a value.
 */
import t from 'tap'
import { ruleOf } from '../../../src/agent/audit.ts'
import { OperatingError, Refusal } from '../../../src/base/errors.ts'
import type { DiskOp } from '../../../src/base/io/level.ts'
import { type Authority, access, everybody, type Who } from '../../../src/base/who.ts'
import { writeAt } from '../../../src/store/level/journal-files.ts'
import { levelDiskWith } from '../../faults/disks.ts'
import { ROOT } from '../acl.ts'
import { onEveryEngine, openLevelOn } from '../engines.ts'
import { type Face, NODE_ID, startFace, until } from '../harness.ts'

const JOURNAL = '/v1/operator/audit'

type Row = Readonly<Record<string, unknown>>

const rowsOf = async ({ store }: Face): Promise<Row[]> => {
  const records = await store.journal.read(1, 1_000)
  return records.map(({ text }) => JSON.parse(text.toString('utf8')))
}

/** Rows of one path, without what the face did at its start. */
const rowsOn = async (face: Face, path: string): Promise<Row[]> =>
  (await rowsOf(face)).filter(row => String(row.path).startsWith(path))

/** Readers may read, nobody else may do anything; a token that is unknown is refused. */
const reader: Who = {
  accessor: 'acc-reader',
  rights: 'reads',
  may: ({ capability }) => capability !== 'write',
}
const nobody: Who = { accessor: 'acc-none', rights: 'none', may: () => false }
const authority: Partial<Authority> = {
  authenticate(token) {
    if (token === 'reader') return reader
    if (token === 'nobody') return nobody
    return token === '' || token === 'root' ? everybody : new Refusal(403, 'ACL not found')
  },
}
const as = (token: string) => ({ headers: { 'X-Consul-Token': token } })

onEveryEngine(t, async (t, newStore) => {
  t.test('writes, refusals and denied reads are recorded before they are answered', async t => {
    const face = await startFace(t, { open: newStore(t), authority, audit: {} })
    const { client } = face
    const before = face.store.journal.head().sequence
    const last = (): number => face.store.journal.head().sequence - before
    const put = await client.put('/v1/kv/app/a', 'canary-value', as('root'))
    t.equal(last(), 1)
    await client.put('/v1/kv/app/a?cas=7', 'canary-value')
    t.equal(last(), 2, 'what changes nothing, too')
    t.equal((await client.put('/v1/kv/app/b', 'x', as('reader'))).status, 403)
    t.equal(last(), 3)
    t.equal((await client.put('/v1/kv/', 'x')).status, 400)
    t.equal(last(), 4)
    t.equal((await client.get('/v1/kv/app/a', as('nobody'))).status, 403)
    t.equal(last(), 5)
    t.equal((await client.get('/v1/kv/app/a', as('canary-token'))).status, 403)
    t.equal(last(), 6)
    t.equal((await client.get('/v1/kv/app/a', as('reader'))).status, 200)
    t.equal((await client.get('/v1/kv/app/none')).status, 404)
    t.equal(last(), 6, 'reads that were answered are not')
    await client.delete('/v1/kv/app/?recurse')
    t.equal(last(), 7)
    t.match(await rowsOn(face, '/v1/kv/'), [
      {
        server: NODE_ID,
        request: put.headers['x-request-id'],
        accessor: everybody.accessor,
        remote: /127\.0\.0\.1$/,
        operation: 'PUT /v1/kv/{key}',
        path: '/v1/kv/app/a',
        bodyBytes: 12,
        outcome: 'written',
        status: 200,
        wrote: ['kv/app/a'],
      },
      { query: { cas: '7' }, outcome: 'unchanged', status: 200 },
      { accessor: 'acc-reader', outcome: 'refused', status: 403, lacking: ['key:write app/b'] },
      { path: '/v1/kv/', outcome: 'refused', status: 400, refusal: 'Missing key name' },
      {
        accessor: 'acc-none',
        operation: 'GET /v1/kv/{key}',
        outcome: 'refused',
        lacking: ['key:read app/a'],
      },
      { accessor: 'unknown', outcome: 'refused', status: 403, refusal: 'ACL not found' },
      { operation: 'DELETE /v1/kv/{key}', outcome: 'written', rows: 1 },
    ])
  })

  t.test('each write of a catalog, a session and a transaction; no renewal', async t => {
    const face = await startFace(t, { open: newStore(t), audit: {} })
    const { client } = face
    const node = { Node: 'web1', Address: '10.0.0.1', Service: { Service: 'web' } }
    await client.put('/v1/catalog/register', node)
    const { ID } = (
      await client.put('/v1/session/create', { Node: 'web1', NodeChecks: [], TTL: '10s' })
    ).json
    await client.put(`/v1/session/renew/${ID}`)
    await client.put('/v1/txn', [{ KV: { Verb: 'set', Key: 'k', Value: 'eA==' } }])
    await client.put('/v1/txn', [{ KV: { Verb: 'get', Key: 'k' } }])
    await client.put('/v1/agent/service/register', { Name: 'own', Check: { TTL: '10s' } })
    await client.put('/v1/agent/check/pass/service:own')
    await client.put('/v1/coordinate/update', {
      Node: 'web1',
      Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 1e-5 },
    })
    await client.put(`/v1/session/destroy/${ID}`)
    const rows = await rowsOf(face)
    t.same(
      rows.map(({ operation, outcome }) => `${operation} ${outcome}`),
      [
        'PUT /v1/catalog/register written',
        'PUT /v1/session/create written',
        'PUT /v1/txn written',
        'PUT /v1/txn answered',
        'PUT /v1/agent/service/register written',
        'PUT /v1/session/destroy/{session} written',
      ],
    )
    t.match(rows[0]?.wrote, [/^registry\/.*web1/])
  })

  t.test('reads too, where that is switched on', async t => {
    const face = await startFace(t, { open: newStore(t), audit: { reads: true } })
    const { client } = face
    const ids: unknown[] = []
    for (const path of ['/v1/kv/a', '/v1/catalog/nodes', '/v1/catalog/nodes', '/v1/agent/self']) {
      const { headers } = await client.get(path)
      ids.push(headers['x-request-id'])
    }
    const rows = await rowsOf(face)
    t.same(
      rows.map(({ operation, status, outcome }) => `${operation} ${status} ${outcome}`),
      [
        'GET /v1/kv/{key} 404 refused',
        'GET /v1/catalog/nodes 200 answered',
        'GET /v1/catalog/nodes 200 answered',
        'GET /v1/agent/self 200 answered',
      ],
    )
    t.same(
      rows.map(({ request }) => request),
      ids,
      'each under its own id, whoever asked first',
    )
  })
})

t.test('a journal that fails: 503 or the fault of the store, and nothing was written', async t => {
  let isFailing = false
  const isRecord = ({ key }: DiskOp): boolean => key[0] === 0x6a
  const openDisk = levelDiskWith(async (ops, next) => {
    if (isFailing && ops.some(isRecord)) {
      throw new OperatingError('disk', 'no space left on device', 'unknown')
    }
    await next(ops)
  })
  const open = openLevelOn(t, {
    openDisk,
    async writeJournal(fd, bytes, at) {
      if (isFailing) throw new Error('no space left on device')
      await writeAt(fd, bytes, at)
    },
  })
  const face = await startFace(t, { open, authority, audit: {} })
  const { client } = face
  await client.put('/v1/kv/a', 'before')
  isFailing = true
  const denied = await client.get('/v1/kv/a', as('nobody'))
  t.equal(denied.status, 503)
  t.match(denied.text, /^its audit record cannot be kept: .*no space left on device/)
  const written = await client.put('/v1/kv/a', 'after')
  t.equal(written.status, 500)
  t.match(written.text, /the store stopped: .*no space left on device/)
  t.equal((await client.get('/v1/kv/a?raw')).text, 'before', 'reads go on, and show what was')
  t.equal((await client.put('/v1/kv/', '')).status, 503)
  await face.stop()
  isFailing = false
  const again = await startFace(t, { open, audit: {} })
  t.equal((await again.client.get('/v1/kv/a?raw')).text, 'before')
})

t.test('a search: by each word, page by page, for those who may', async t => {
  const face = await startFace(t, { authority, audit: {} })
  const { client } = face
  const ids: string[] = []
  for (let i = 0; i < 12; i++) {
    const { headers } = await client.put(`/v1/kv/${i % 3 === 0 ? 'x' : 'y'}/${i}`, 'v')
    ids.push(String(headers['x-request-id']))
  }
  await client.put('/v1/kv/x/no', 'v', as('reader'))
  const found = async (query: string): Promise<Row[]> =>
    (await client.get(`${JOURNAL}?${query}`)).json.Records
  t.equal((await found('')).length, 13)
  t.equal((await found('path=/v1/kv/x/')).length, 5)
  t.match(await found(`request=${ids[4]}`), [{ path: '/v1/kv/y/4' }])
  t.match(await found('accessor=acc-reader'), [{ outcome: 'refused', status: 403 }])
  t.equal((await found('outcome=written&path=/v1/kv/x/')).length, 4)
  t.equal((await found('operation=PUT')).length, 13)
  t.equal((await found('from=2099-01-01T00:00:00Z')).length, 0)
  t.equal((await found('to=2099-01-01T00:00:00Z')).length, 13)
  const first = (await client.get(`${JOURNAL}?limit=5`)).json
  t.same(
    first.Records.map(({ seq }: Row) => seq),
    [13, 12, 11, 10, 9],
  )
  const second = (await client.get(`${JOURNAL}?limit=100&before=${first.Before}`)).json
  t.same([second.Records.length, second.Before], [8, 0])
  t.match(first.Records[0].chain, /^[0-9a-f]{64}$/)
  t.equal((await client.get(`${JOURNAL}?from=yesterday`)).status, 400)
  for (const path of [JOURNAL, `${JOURNAL}/verify`]) {
    t.equal((await client.get(path, as('nobody'))).status, 403)
    t.equal((await client.get(path, as('reader'))).status, 200)
  }
})

t.test('a proof of the journal, and how devices fare', async t => {
  const sink = { name: 'dead', type: 'file', values: { type: 'file', path: '/nowhere/a.log' } }
  const face = await startFace(t, { audit: { sinks: [sink] } })
  const { client } = face
  for (let i = 0; i < 5; i++) await client.put(`/v1/kv/${i}`, 'v')
  await until(async () => {
    const { json } = await client.get(`${JOURNAL}/verify`)
    return json.Sinks[0].Fault !== ''
  })
  const { head } = face.store.journal
  const { json } = await client.get(`${JOURNAL}/verify`)
  t.match(json, {
    Enabled: true,
    Whole: true,
    Fault: '',
    Count: 5,
    First: 1,
    Last: 5,
    Anchor: '0'.repeat(64),
    Chain: head().chain.toString('hex'),
    Sinks: [{ Name: 'dead', Type: 'file', Sequence: 0, Lag: 5, Fault: /ENOENT/ }],
  })
})

t.test('off: nothing is recorded, and the paths say so', async t => {
  const face = await startFace(t, { authority })
  const { client } = face
  await client.put('/v1/kv/a', 'v')
  await client.get('/v1/kv/a', as('nobody'))
  t.same((await client.get(JOURNAL)).json, { Enabled: false, Records: [], Before: 0 })
  t.match((await client.get(`${JOURNAL}/verify`)).json, { Enabled: false, Whole: true, Count: 0 })
})

/** Requests with secrets in every place where one can stand, well-formed and not. */
async function plantCanaries({ client }: Face): Promise<void> {
  const token = { 'X-Consul-Token': 'canary-header' }
  const bearer = { Authorization: 'Bearer canary-bearer' }
  const bodies = [
    'canary-body',
    '{"canary-key":',
    '[{"KV":{"Verb":"canary-verb"}}]',
    Buffer.from([0xff, 0x00]),
  ]
  const writes = [
    '/v1/kv/k?token=canary-query',
    '/v1/kv/k?flags=canary-bad',
    '/v1/kv/k?canary-name=1',
    '/v1/kv/k?cas=1&secret=canary-value&%zz=canary-escape',
    '/v1/catalog/register?token=canary-query',
    '/v1/agent/service/register',
    '/v1/txn',
    '/v1/session/create',
    '/v1/config',
    '/v1/query',
    '/v1/event/fire/x',
    '/v1/acl/login',
    '/v1/agent/token/default',
  ]
  for (const path of writes) {
    for (const body of bodies) {
      for (const headers of [token, bearer]) {
        await client.raw('PUT', path, body, { headers })
        await client.raw('POST', path, body, { headers })
      }
    }
  }
  await client.raw('GET', '/v1/kv/k?token=canary-query', undefined, { headers: token })
  await client.raw('GET', '/v1/kv/k?token=canary-query&wait=canary-wait', undefined, {})
}

t.test('no record holds a token, a body or a value, however it was sent', async t => {
  const face = await startFace(t, { authority, audit: { reads: true } })
  await plantCanaries(face)
  const open = await startFace(t, { audit: { reads: true } })
  await plantCanaries(open)
  let records = 0
  for (const each of [face, open]) {
    for (const row of await rowsOf(each)) {
      records++
      const text = JSON.stringify(row)
      // The name of a parameter is a name; all that is a value is not.
      const found = /canary-(?!name)[a-z]+/.exec(text)
      if (found !== null) t.fail(text)
    }
  }
  t.ok(records > 100, `${records} records`)
})

t.test('access control itself: what changes it is recorded, its secrets are not', async t => {
  const face = await startFace(t, { acl: {}, audit: {}, auditPorts: { ruleOf } })
  const { client } = face
  const root = as(ROOT)
  const SECRET = 'cccccccc-0000-4000-8000-00000000000c'
  const rules = 'key_prefix "app/" { policy = "write" }\nkey "app/sealed" { policy = "read" }'
  const policy = { Name: 'app', Rules: rules }
  const made = (await client.put('/v1/acl/policy', policy, root)).json
  const token = { SecretID: SECRET, Description: 'canary-description', Policies: [{ ID: made.ID }] }
  const { AccessorID } = (await client.put('/v1/acl/token', token, root)).json
  t.equal((await client.put('/v1/kv/app/a', 'v', as(SECRET))).status, 200)
  t.equal((await client.put('/v1/kv/other', 'v', as(SECRET))).status, 403)
  t.equal((await client.put('/v1/kv/app/sealed', 'v', as(SECRET))).status, 403)
  t.equal((await client.put(`/v1/kv/app/b?token=${SECRET}`, 'v')).status, 200)
  t.equal((await client.put('/v1/kv/app/c', 'v')).status, 403)
  await client.raw('PUT', '/v1/acl/token', { SecretID: 'canary-secret', Policies: 7 }, root)
  await client.raw('POST', '/v1/acl/login', { AuthMethod: 'none', BearerToken: 'canary-bearer' })
  await client.delete(`/v1/acl/token/${AccessorID}`, root)
  t.equal((await client.put('/v1/kv/app/a', 'v', as(SECRET))).status, 403)
  const rows = await rowsOf(face)
  const told = rows.map(({ operation, outcome, status, accessor }) => {
    const who = accessor === AccessorID ? 'the token' : accessor === 'unknown' ? 'unknown' : 'other'
    return `${operation} ${outcome} ${status} by ${who}`
  })
  for (const wanted of [
    'PUT /v1/acl/policy written 200 by other',
    'PUT /v1/acl/token written 200 by other',
    'PUT /v1/kv/{key} written 200 by the token',
    'PUT /v1/kv/{key} refused 403 by the token',
    'PUT /v1/kv/{key} refused 403 by unknown',
    'DELETE /v1/acl/token/{accessor} written 200 by other',
  ]) {
    t.ok(told.includes(wanted), wanted)
  }
  t.match(
    rows.filter(({ accessor, outcome }) => accessor === AccessorID && outcome === 'refused'),
    [
      { path: '/v1/kv/other', lacking: ['key:write other'], rule: { reason: 'default' } },
      {
        path: '/v1/kv/app/sealed',
        rule: {
          reason: 'rule',
          text: 'key "app/sealed" { policy = "read" }',
          policy: 'app',
          line: 2,
        },
      },
    ],
  )
  const text = JSON.stringify(rows)
  for (const secret of [ROOT, SECRET, 'canary']) t.notOk(text.includes(secret), secret)
})

t.test('what is turned away before it is routed is recorded, too', async t => {
  const face = await startFace(t, {
    audit: {},
    allowWriteFrom: ['10.0.0.0/8'],
    blockEndpoints: ['/v1/internal'],
  })
  const { client } = face
  t.equal((await client.put('/v1/kv/a', 'canary')).status, 403)
  t.equal((await client.raw('GET', '/v1/internal/ui/nodes?token=canary')).status, 403)
  const refused = { accessor: 'unknown', outcome: 'refused', status: 403 }
  t.match(await rowsOf(face), [
    { ...refused, operation: 'PUT {path}', path: '/v1/kv/a', refusal: 'Access is restricted' },
    { ...refused, operation: 'GET {path}', path: '/v1/internal/ui/nodes', query: {} },
  ])
})

t.test('rights are asked as the declaration says', async t => {
  const face = await startFace(t, { audit: {} })
  for (const path of [JOURNAL, `${JOURNAL}/verify`]) {
    const operation = face.paths.find(each => each.path === path)?.operations.GET
    t.same(operation?.access(''), [access('read', 'operator')])
  }
})
