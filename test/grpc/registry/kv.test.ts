/**
 * gatehouse.v1.KV through a client: entries, locks, lists in pages, waits and transactions.
 */
import t from 'tap'
import { startBoth } from './harness.ts'

const value = (text: string): Buffer => Buffer.from(text)

t.test('put, get, delete; what is there has indexes, what is not has one to wait for', async t => {
  const { ask, face } = await startBoth(t)
  const put = await ask('KV/Put', { key: 'a/b', value: value('hello'), flags: '7' })
  t.equal(put.done, true)
  const { entry, state } = await ask('KV/Get', { key: 'a/b' })
  t.match(entry, { key: 'a/b', value: value('hello'), flags: '7', session: '', lockIndex: 0 })
  t.equal(entry.modifyIndex, put.modifyIndex)
  t.equal(entry.createIndex, put.modifyIndex)
  t.match(state, { index: put.modifyIndex, knownLeader: true, filtered: false })
  t.equal((await face.client.get('/v1/kv/a/b?raw')).text, 'hello', 'the same store')
  t.equal((await ask('KV/Delete', { key: 'a/b' })).done, true)
  const gone = await ask('KV/Get', { key: 'a/b' })
  t.equal(gone.entry, null)
  t.ok(gone.state.index > put.modifyIndex)
  t.equal((await ask('KV/Delete', { key: 'a/b' })).done, true)
})

t.test('flags keep all their 64 bits, and are refused where they are none', async t => {
  const { ask, call } = await startBoth(t)
  for (const flags of ['0', '9007199254740993', '18446744073709551615', '3304740253564472344']) {
    await ask('KV/Put', { key: 'f', flags })
    t.equal((await ask('KV/Get', { key: 'f' })).entry.flags, flags)
  }
  for (const flags of ['-1', '18446744073709551616', '1e3', ' 1', '0x1']) {
    const refused = await call('KV/Put', { key: 'f', flags })
    t.equal(refused.code, 'INVALID_ARGUMENT', flags)
    t.match(refused.text, 'Invalid flags')
  }
})

t.test('keys of any bytes', async t => {
  const { ask } = await startBoth(t)
  const raw = Buffer.from([0xff, 0x2f, 0x61])
  await ask('KV/Put', { rawKey: raw, value: value('x') })
  const { entry } = await ask('KV/Get', { rawKey: raw })
  t.strictSame(entry.rawKey, raw)
  t.equal(entry.key, '\ufffd/a')
  await ask('KV/Put', { key: 'ünï', value: value('y') })
  const named = await ask('KV/Get', { key: 'ünï' })
  t.match(named.entry, { key: 'ünï', rawKey: Buffer.alloc(0) })
  const { entries } = await ask('KV/List', { keysOnly: true })
  t.strictSame(
    entries.map((one: { key: string }) => one.key),
    ['ünï', '\ufffd/a'],
  )
  t.equal((await ask('KV/List', { rawPrefix: Buffer.from([0xff]) })).entries.length, 1)
})

t.test('conditions: check and set, acquire with a fencing index, release', async t => {
  const { ask } = await startBoth(t)
  const put = async (more: object) => ask('KV/Put', { key: 'c', value: value('x'), ...more })
  t.equal((await put({ cas: 5 })).done, false)
  const first = await put({ cas: 0 })
  t.equal(first.done, true)
  t.strictSame(await put({ cas: 0 }), { done: false, modifyIndex: 0, lockIndex: 0 })
  t.equal((await ask('KV/Delete', { key: 'c', cas: 0 })).done, false)
  t.equal((await ask('KV/Delete', { key: 'c', cas: first.modifyIndex })).done, true)
  const create = async () => (await ask('Sessions/Create', { lockDelay: { seconds: 0 } })).id
  const [one, other] = [await create(), await create()]
  const held = await put({ acquire: one })
  t.match(held, { done: true, lockIndex: 1 })
  t.match(await put({ acquire: other }), { done: false, lockIndex: 0 })
  t.equal((await put({ release: other })).done, false)
  t.equal((await put({ release: one })).done, true)
  t.match(await put({ acquire: other }), { done: true, lockIndex: 2 }, 'each holder has a greater')
})

t.test('lists: pages that miss and repeat nothing, while others write', async t => {
  const { ask } = await startBoth(t)
  const keys = Array.from({ length: 25 }, (_, at) => `p/${String(at * 10).padStart(3, '0')}`)
  for (const key of keys) await ask('KV/Put', { key, value: value(key) })
  const seen: string[] = []
  let pageToken = ''
  for (let page = 0; page < 10; page++) {
    const answer = await ask('KV/List', { prefix: 'p/', pageSize: 7, pageToken })
    t.ok(answer.entries.length <= 7)
    seen.push(...answer.entries.map((one: { key: string }) => one.key))
    pageToken = answer.nextPageToken
    if (pageToken === '') break
    // Before and behind where the page ended, and the item that the token names.
    await ask('KV/Put', { key: `p/${String(page).padStart(3, '0')}x` })
    await ask('KV/Delete', { key: seen.at(-1)! })
  }
  t.strictSame(
    seen.filter(key => keys.includes(key)),
    keys,
  )
  t.equal(new Set(seen).size, seen.length)
})

t.test('lists of keys are cut at a separator; large values end a page early', async t => {
  const { ask, call } = await startBoth(t)
  for (const key of ['a/1', 'a/b/2', 'a/b/3', 'a0', 'b']) await ask('KV/Put', { key })
  const list = async (request: object): Promise<string[]> =>
    (await ask('KV/List', { keysOnly: true, ...request })).entries.map(
      (one: { key: string }) => one.key,
    )
  t.strictSame(await list({ separator: '/' }), ['a/', 'a0', 'b'])
  t.strictSame(await list({ prefix: 'a/', separator: '/' }), ['a/1', 'a/b/'])
  t.strictSame(await list({ prefix: 'none/' }), [])
  for (let at = 0; at < 6; at++) {
    await ask('KV/Put', { key: `big/${at}`, value: Buffer.alloc(524_288, at) })
  }
  const first = await ask('KV/List', { prefix: 'big/' })
  t.ok(first.entries.length < 6, `${first.entries.length} of 6 entries of 512 KiB`)
  const second = await ask('KV/List', { prefix: 'big/', pageToken: first.nextPageToken })
  t.equal(first.entries.length + second.entries.length, 6)
  for (const pageToken of ['!', 'bm9uZQ', 'bjU']) {
    t.equal((await call('KV/List', { pageToken })).code, 'INVALID_ARGUMENT', pageToken)
  }
  t.equal((await call('KV/List', { pageSize: -1 })).code, 'INVALID_ARGUMENT')
})

t.test('a read waits for a change of its own key alone', async t => {
  const { ask, face } = await startBoth(t)
  const { modifyIndex } = await ask('KV/Put', { key: 'w', value: value('1') })
  const waiting = ask('KV/Get', { key: 'w', read: { index: modifyIndex } })
  await face.waiting(1)
  await ask('KV/Put', { key: 'other', value: value('x') })
  await ask('KV/Put', { key: 'w', value: value('2') })
  const { entry, state } = await waiting
  t.strictSame(entry.value, value('2'))
  t.ok(state.index > modifyIndex)
  const still = await ask('KV/Get', {
    key: 'w',
    read: { index: state.index, wait: { nanos: 1_000_000 } },
  })
  t.equal(still.state.index, state.index, 'as it is, when the time is over')
})

t.test('a caller that leaves waits no more', async t => {
  const { ask, open, face } = await startBoth(t)
  const { modifyIndex } = await ask('KV/Put', { key: 'w' })
  const stream = await open('KV/Get')
  stream.call.end({ key: 'w', read: { index: modifyIndex } })
  await face.waiting(1)
  stream.call.cancel()
  await face.waiting(0)
  t.equal((await stream.ended).code, 'CANCELLED')
})

t.test('transactions: all or nothing, with what is wrong for each operation', async t => {
  const { ask, call } = await startBoth(t)
  const done = await ask('KV/Txn', {
    ops: [
      { kv: { verb: 'set', key: 'a', value: value('1'), flags: '9' } },
      { kv: { verb: 'get', key: 'a' } },
      { node: { verb: 'set', node: { name: 'n1', address: '10.0.0.1' } } },
      { service: { verb: 'set', node: 'n1', service: { name: 'web', port: 80 } } },
      { check: { verb: 'set', check: { node: 'n1', name: 'c', serviceId: 'web' } } },
    ],
  })
  t.match(done.results, [
    { result: 'kv', kv: { key: 'a', value: Buffer.alloc(0), flags: '9' } },
    { result: 'kv', kv: { key: 'a', value: value('1') } },
    { result: 'node', node: { name: 'n1', datacenter: 'dc1' } },
    { result: 'service', service: { id: 'web', port: 80, weights: { passing: 1, warning: 1 } } },
    {
      result: 'check',
      check: { checkId: 'c', status: 'HEALTH_STATUS_CRITICAL', serviceName: 'web' },
    },
  ])
  const failed = await call('KV/Txn', {
    ops: [
      { kv: { verb: 'set', key: 'b' } },
      { kv: { verb: 'get', key: 'none' } },
      { kv: { verb: 'cas', key: 'a', index: 1 } },
    ],
  })
  t.equal(failed.code, 'ABORTED')
  t.match(failed.text, `operation 1: key "none" doesn't exist, and 1 more`)
  const details = Buffer.concat(failed.metadata.get('grpc-status-details-bin') as Buffer[])
  t.match(details.toString('latin1'), 'ops[2]')
  t.equal((await ask('KV/Get', { key: 'b' })).entry, null, 'nothing was changed')
  const read = await ask('KV/Txn', { ops: [{ kv: { verb: 'get-tree', key: '' } }] })
  t.equal(read.results.length, 1)
  t.ok(read.state.index > 0)
})

t.test('what is refused, in the words of HTTP', async t => {
  const { call, ask } = await startBoth(t)
  const large = { key: 'k', value: Buffer.alloc(524_289) }
  const op = { kv: { verb: 'set', key: 'k' } }
  const cases: [string, object, string, string][] = [
    ['KV/Get', {}, 'INVALID_ARGUMENT', 'Missing key name'],
    ['KV/Put', {}, 'INVALID_ARGUMENT', 'Missing key name'],
    ['KV/Delete', {}, 'INVALID_ARGUMENT', 'Missing key name'],
    ['KV/Delete', { key: 'a', recurse: true, cas: 1 }, 'INVALID_ARGUMENT', 'Conflicting flags'],
    ['KV/Put', { key: 'a/../b' }, 'INVALID_ARGUMENT', 'Invalid key name'],
    ['KV/Put', large, 'RESOURCE_EXHAUSTED', 'Value for key "k" is too large'],
    ['KV/Put', { key: 'k', acquire: 'x' }, 'INVALID_ARGUMENT', 'invalid session "x"'],
    ['KV/Txn', { ops: [{}] }, 'INVALID_ARGUMENT', 'operation 0 must have one of'],
    ['KV/Txn', { ops: [{ node: { verb: 'get' } }] }, 'INVALID_ARGUMENT', 'operation 0 must'],
    ['KV/Txn', { ops: Array(129).fill(op) }, 'RESOURCE_EXHAUSTED', 'too many operations'],
    ['KV/Txn', { ops: [{ kv: { ...op.kv, ...large } }] }, 'RESOURCE_EXHAUSTED', 'too large'],
    ['KV/Get', { key: 'k', read: { consistency: 9 } }, 'INVALID_ARGUMENT', 'Invalid consistency'],
  ]
  for (const [name, request, code, text] of cases) {
    const ended = await call(name, request)
    t.equal(ended.code, code, `${name}: ${ended.text}`)
    t.match(ended.text, text)
  }
  t.equal((await ask('KV/List')).entries.length, 0)
})

t.test('a tree goes as a whole', async t => {
  const { ask } = await startBoth(t)
  for (const key of ['t/a', 't/b', 'u']) await ask('KV/Put', { key })
  t.equal((await ask('KV/Delete', { key: 't/', recurse: true })).done, true)
  t.equal((await ask('KV/List')).entries.length, 1)
})
