/**
 * The path of transactions. On every engine.
 */
import t from 'tap'
import { everybody, type Who } from '../../../src/base/who.ts'
import { txnBodyLimit } from '../../../src/http/registry/txn.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const kv = (Verb: string, Key: string, more: object = {}): object => ({
  KV: { Verb, Key, ...more },
})

onEveryEngine(t, async (t, newStore) => {
  t.test('sets, reads and deletes as one, at one index', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/old', 'o')
    const done = await client.put('/v1/txn', [
      kv('set', 'a', { Value: base64('1'), Flags: 7 }),
      kv('get', 'a'),
      kv('get', 'old'),
      kv('delete', 'old'),
      kv('get-or-empty', 'old'),
    ])
    t.equal(done.status, 200, done.text)
    const { Results, Errors } = done.json
    t.equal(Errors, null)
    t.equal(Results.length, 4)
    const [set, get, old, none] = Results.map((one: { KV: object }) => one.KV)
    t.match(set, { Key: 'a', Value: null, Flags: 7, LockIndex: 0 })
    t.match(get, { Key: 'a', Value: base64('1'), ModifyIndex: set.ModifyIndex })
    t.equal(set.CreateIndex, set.ModifyIndex)
    t.match(old, { Key: 'old', Value: base64('o') })
    t.match(none, { Key: 'old', Value: null, CreateIndex: 0, ModifyIndex: 0 })
    const [read] = (await client.get('/v1/kv/a')).json
    t.equal(read.ModifyIndex, set.ModifyIndex, 'the index of the result is the one that is stored')
    t.equal((await client.get('/v1/kv/old')).status, 404)
    t.strictSame((await client.put('/v1/txn', [kv('delete', 'a')])).json, {
      Results: [],
      Errors: null,
    })
    t.strictSame((await client.put('/v1/txn', '[]')).json.Results, [])
  })

  t.test('one that fails: 409, and nothing is changed', async t => {
    const { client, store } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/a', '1')
    const { revision } = store.status()
    const failed = await client.put('/v1/txn', [
      kv('set', 'b'),
      kv('cas', 'a', { Index: 1_000_000 }),
      kv('get', 'none'),
    ])
    t.equal(failed.status, 409)
    t.strictSame(failed.json, {
      Results: null,
      Errors: [
        { OpIndex: 1, What: 'failed to set key "a", index is stale' },
        { OpIndex: 2, What: `key "none" doesn't exist` },
      ],
    })
    t.equal(store.status().revision, revision)
  })

  t.test('nodes, services, checks and sessions', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const Node = { Node: 'n', Address: '10.0.0.1', Meta: { a: 'b' } }
    const Service = { ID: 'web1', Service: 'web', Port: 80, Tags: ['x'] }
    const Check = { Node: 'n', CheckID: 'c', Name: 'c', Status: 'passing', ServiceID: 'web1' }
    const done = await client.put('/v1/txn', [
      { Node: { Verb: 'set', Node } },
      { Service: { Verb: 'set', Node: 'n', Service } },
      { Check: { Verb: 'set', Check } },
    ])
    t.equal(done.status, 200, done.text)
    const [node, service, check] = done.json.Results
    t.match(node.Node, Node)
    t.match(service.Service, Service)
    t.match(check.Check, { ...Check, ServiceName: 'web', ServiceTags: ['x'] })
    const [stored] = (await client.get('/v1/health/service/web?passing')).json
    t.strictSame(stored, { Node: node.Node, Service: service.Service, Checks: [check.Check] })
    const stale = await client.put('/v1/txn', [
      { Service: { Verb: 'cas', Node: 'n', Service: { ...Service, ModifyIndex: 1 } } },
      { Check: { Verb: 'delete-cas', Check: { ...Check, ModifyIndex: 1 } } },
    ])
    t.equal(stale.status, 409)
    const { ID } = (await client.put('/v1/session/create', { Checks: [] })).json
    await client.put(`/v1/kv/lock?acquire=${ID}`)
    const gone = await client.put('/v1/txn', [
      { Session: { Verb: 'delete', Session: { ID } } },
      { Node: { Verb: 'delete-cas', Node: { Node: 'n', ModifyIndex: node.Node.ModifyIndex } } },
      kv('check-session', 'lock', { Session: '' }),
    ])
    t.equal(gone.status, 200, gone.text)
    t.strictSame((await client.get('/v1/health/service/web')).json, [])
    t.strictSame((await client.get('/v1/session/list')).json, [])
  })

  t.test('reads alone say how they were read, in headers and body', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/a', '1')
    for (const [query, level] of [
      ['', 'leader'],
      ['?stale', 'stale'],
      ['?consistent', 'consistent'],
    ] as const) {
      const read = await client.put(`/v1/txn${query}`, [kv('get-tree', ''), kv('get', 'a')])
      t.equal(read.status, 200)
      const contact = level === 'stale' ? Number : 0
      t.match(read.json, { KnownLeader: true, LastContact: contact, ConsistencyLevel: level })
      t.equal(read.json.Results.length, 2)
      const told = level === 'stale' ? /^\d+$/ : '0'
      t.match(read.headers, { 'x-consul-knownleader': 'true', 'x-consul-lastcontact': told })
    }
    t.equal((await client.put('/v1/txn?stale&consistent', [kv('get', 'a')])).status, 400)
    t.equal((await client.put('/v1/txn', [kv('get', 'none')])).status, 409)
  })

  t.test('wakes who waits on any of its keys', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/w/a', '1')
    const { index } = await client.get('/v1/kv/w/?recurse')
    const woken = client.get(`/v1/kv/w/?recurse&index=${index}&wait=60s`)
    await waiting(1)
    await client.put('/v1/txn', [kv('set', 'w/b'), kv('set', 'w/c')])
    t.equal((await woken).json.length, 3, 'and the whole is seen')
  })

  t.test('the lock of two clients at once goes to one', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const ids = await Promise.all(
      [1, 2].map(async () => (await client.put('/v1/session/create', { Checks: [] })).json.ID),
    )
    const tries = await Promise.all(
      ids.map(Session => client.put('/v1/txn', [kv('lock', 'l', { Session }), kv('set', 'l2')])),
    )
    t.strictSame(tries.map(({ status }) => status).sort(), [200, 409])
    const lost = tries.find(({ status }) => status === 409)!
    t.equal(lost.json.Errors[0].What, 'failed to lock key "l", lock is already held')
  })
})

t.test('flags of 64 bits are exact', async t => {
  const { client } = await startFace(t)
  for (const flags of ['9007199254740993', '18446744073709551615']) {
    const body = `[{"KV":{"Verb":"set","Key":"f","Flags":${flags}}}]`
    t.match((await client.put('/v1/txn', body)).text, `"Flags":${flags},`)
    t.match((await client.get('/v1/kv/f')).text, `"Flags":${flags},`)
  }
  const body = '[{"KV":{"Verb":"set","Key":"f","Flags":18446744073709551616}}]'
  t.equal((await client.put('/v1/txn', body)).status, 400)
})

t.test('bodies that do not say what to do', async t => {
  const { client, store } = await startFace(t)
  const { revision } = store.status()
  const one = (op: object): string => JSON.stringify([op])
  const bad: [string, number, RegExp][] = [
    ['', 400, /^Failed to parse body: EOF$/],
    ['{', 400, /^Failed to parse body: /],
    ['{}', 400, /^Failed to parse body: json: cannot unmarshal object/],
    [one({ kv: 1 }), 400, /^Failed to parse body: json: cannot unmarshal number/],
    [one({ Other: {} }), 400, /^Failed to parse body: json: unknown field "Other"$/],
    [one(kv('set', 'a', { Values: '' })), 400, /json: unknown field "Values"$/],
    [one(kv('set', 'a', { Value: '*' })), 400, /^Failed to parse body: illegal base64 data/],
    [one(kv('set', 'a', { Flags: -1 })), 400, /cannot unmarshal number .*Flags of type uint64/],
    [one(kv('set', 'a', { Namespace: 'x' })), 400, /Enterprise/],
    [one({}), 400, /operation 0 must have one of KV, Node/],
    [one({ ...kv('set', 'a'), Node: {} }), 400, /operation 0 must have one of KV, Node/],
    [one(kv('set', 'a/../b')), 400, /^Invalid key name/],
    [one({ Check: { Verb: 'set', Check: { Status: 'fine' } } }), 400, /^Invalid check status/],
    [one({ Service: { Verb: 'set', Node: 'n', Service: { Kind: 'connect-proxy' } } }), 501, /Kind/],
    [one({ Node: { Verb: 'set', Node: { PeerName: 'p' } } }), 501, /PeerName/],
    [one(kv('nonsense', 'a')), 409, /unknown KV operation: nonsense/],
    [one(kv('set', '')), 409, /Must provide key/],
    [
      JSON.stringify(Array.from({ length: 129 }, (_, i) => kv('set', `k${i}`))),
      413,
      /^Transaction contains too many operations \(129 > 128\)$/,
    ],
  ]
  for (const [body, status, text] of bad) {
    const answered = await client.put('/v1/txn', body)
    t.equal(answered.status, status, body.slice(0, 80))
    t.match(answered.text, text, body.slice(0, 80))
  }
  t.equal(store.status().revision, revision, 'nothing was written')
  const most = Array.from({ length: 128 }, (_, i) => kv('set', `k${i}`))
  t.equal((await client.put('/v1/txn', most)).json.Results.length, 128)
})

t.test('trap 9: a value counts by its bytes, and every legal one fits', async t => {
  const { client } = await startFace(t)
  const value = (sizeBytes: number): string => Buffer.alloc(sizeBytes, 7).toString('base64')
  const fits = await client.put('/v1/txn', [kv('set', 'big', { Value: value(524_288) })])
  t.equal(fits.status, 200)
  t.equal((await client.get('/v1/kv/big?raw')).bytes.length, 524_288)
  const over = await client.put('/v1/txn', [kv('set', 'big', { Value: value(524_289) })])
  t.equal(over.status, 413)
  t.equal(over.text, 'Value for key "big" is too large (524289 > 524288 bytes)')
  const bound = txnBodyLimit({
    kvValueSizeBytes: 524_288,
    txnBodySizeBytes: 524_288,
    takesAnyKey: false,
  })
  const body = await client.put('/v1/txn', Buffer.alloc(bound + 1, 0x20))
  t.equal(body.status, 413)
  t.match(body.text, `Request body(${bound + 1} bytes) too large, max size: ${bound} bytes.`)
})

t.test('who may not write is told by operation', async t => {
  const reader: Who = { ...everybody, rights: 'r', may: ({ capability }) => capability === 'read' }
  let who: Who = everybody
  const { client } = await startFace(t, { authority: { authenticate: () => who } })
  await client.put('/v1/kv/a', '1')
  who = reader
  const denied = await client.put('/v1/txn', [
    kv('get', 'a'),
    kv('set', 'a'),
    { Node: { Verb: 'delete', Node: { Node: NODE } } },
  ])
  t.equal(denied.status, 409)
  t.match(denied.json.Errors, [
    { OpIndex: 1, What: /^Permission denied: .*'key:write' on "a"$/ },
    { OpIndex: 2, What: /^Permission denied: .*'node:write' on "alpha"$/ },
  ])
})
