/**
 * The archive: what it holds, and what it takes no harm from.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { pack } from 'tar-stream'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { restoreSnapshot, saveSnapshot } from '../../src/store/snapshot.ts'
import { put, type Store } from '../../src/store/store.ts'
import { defineTable, rawCodec } from '../../src/store/table.ts'
import { archiveOf, contentOf, inPieces, snapshotConformance } from '../conformance/snapshot.ts'
import { blobs, testTables, things } from '../conformance/store.ts'
import { freshFolder } from '../fake/folder.ts'
import { isLong, propertyRuns, untilBudget } from '../run/budget.ts'

const secretsOfServers = defineTable<Buffer>({
  name: 'internal',
  prefix: 'test/internal/',
  codec: rawCodec,
  internal: true,
})
const keysOfCluster = defineTable<Buffer>({
  name: 'of-cluster',
  prefix: 'test/cluster/',
  codec: rawCodec,
  ofCluster: true,
})
const tables = withSystemTables([...testTables, secretsOfServers, keysOfCluster])
const options = { tables, clock: systemClock, random: systemRandom }
const makeMemory = (): LocalStore => openMemoryStore(options)

snapshotConformance(t, [
  { name: 'memory', runs: isLong ? 100 : 25, make: async () => makeMemory() },
  {
    name: 'level',
    runs: isLong ? 100 : 25,
    make: t => openLevelStore({ ...options, folder: freshFolder(t) }),
  },
])

async function filled(store: Store, rows = 20): Promise<Store> {
  for (let i = 0; i < rows; i++) {
    const text = `value ${i} `.repeat((i % 50) + 1)
    await store.write(() => ({
      txn: [
        put(blobs, `k${i}`, Buffer.from(text)),
        put(things, `t${i}`, { group: `g${i % 3}`, tags: [], size: i }),
      ],
      answer: undefined,
    }))
  }
  return store
}

t.test('the outside is a gzipped tar that other tools read', async t => {
  const store = await filled(makeMemory(), 300)
  const archive = await archiveOf(store)
  const folder = t.testdir()
  writeFileSync(join(folder, 'a.tgz'), archive)
  const list = execFileSync('tar', ['-tzf', join(folder, 'a.tgz')], { encoding: 'utf8' })
  t.same(list.trim().split('\n'), ['meta.json', 'state.bin', 'SHA256SUMS'])
  mkdirSync(join(folder, 'x'))
  execFileSync('tar', ['-xzf', join(folder, 'a.tgz'), '-C', join(folder, 'x')])
  execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: join(folder, 'x') })
  const meta = JSON.parse(readFileSync(join(folder, 'x', 'meta.json'), 'utf8'))
  t.match(meta, { Version: 1, Index: 300, Term: 1, Size: Number, ID: String, Peers: null })
  t.equal(meta.Size, readFileSync(join(folder, 'x', 'state.bin')).length)
  t.ok(archive.equals(await archiveOf(store)), 'equal stores give equal archives')
  // Readers of other languages want exactly two empty blocks behind the last file.
  const tar = gunzipSync(archive)
  t.equal(tar.length % 512, 0)
  t.ok(tar.subarray(-1_024).equals(Buffer.alloc(1_024)))
  t.notOk(tar.subarray(-1_536, -1_024).equals(Buffer.alloc(512)))
  await store.close()
})

t.test('the sums may stand there sealed, and nothing else behind them', async t => {
  const store = await filled(makeMemory())
  const collected: Buffer[] = []
  const sealed = (sums: string): Buffer => Buffer.from(`sealed ${sums}`)
  for await (const piece of saveSnapshot(store, tables, sealed)) collected.push(piece)
  const archive = Buffer.concat(collected)
  const folder = t.testdir()
  writeFileSync(join(folder, 'a.tgz'), archive)
  const list = execFileSync('tar', ['-tzf', join(folder, 'a.tgz')], { encoding: 'utf8' })
  const files = ['meta.json', 'state.bin', 'SHA256SUMS', 'SHA256SUMS.sealed']
  t.same(list.trim().split('\n'), files)
  const read = (name: string): string =>
    execFileSync('tar', ['-xzOf', join(folder, 'a.tgz'), name], { encoding: 'utf8' })
  t.equal(read('SHA256SUMS.sealed'), `sealed ${read('SHA256SUMS')}`)
  const before = contentOf(store)
  t.notOk((await restoreSnapshot(store, inPieces(archive, 333))) instanceof Refusal)
  t.same(contentOf(store), before)
  const more = join(folder, 'more.tar')
  writeFileSync(more, gunzipSync(archive))
  execFileSync('tar', ['-rf', more, '-C', folder, 'a.tgz'])
  const given = await restoreSnapshot(store, inPieces(gzipSync(readFileSync(more))))
  t.match(given, { status: 500, text: /unexpected/ })
  await store.close()
})

t.test('internal tables and rows on leases stay behind, and are not let in', async t => {
  const store = await filled(makeMemory())
  const lease = await store.grant(60_000)
  await store.write(() => ({
    txn: [
      put(secretsOfServers, 'a', Buffer.from('canary 1')),
      put(blobs, 'leased', Buffer.from('canary 2'), lease.id),
    ],
    answer: undefined,
  }))
  const archive = await archiveOf(store, tables)
  t.notMatch(gunzipSync(archive).toString('latin1'), /canary|system\/lease|test\/internal/)
  const smuggled = await archiveOf(store, [...testTables, { ...secretsOfServers, internal: false }])
  const { generation } = store.status()
  t.ok((await restoreSnapshot(store, inPieces(smuggled))) instanceof Refusal)
  t.equal(store.status().generation, generation)
  t.ok(store.view().get(secretsOfServers, 'a'))
  await store.close()
})

t.test('rows of the cluster are not archived, and a restore leaves them as they are', async t => {
  const store = await filled(makeMemory())
  const write = (text: string) =>
    store.write(() => ({ txn: [put(keysOfCluster, 'a', Buffer.from(text))], answer: 0 }))
  await write('canary before')
  const archive = await archiveOf(store, tables)
  t.notMatch(gunzipSync(archive).toString('latin1'), /canary/)
  const smuggled = await archiveOf(store, [...testTables, { ...keysOfCluster, ofCluster: false }])
  await write('canary after')
  const { generation } = store.status()
  const restore = (bytes: Buffer) => restoreSnapshot(store, inPieces(bytes), undefined, tables)
  t.ok((await restore(smuggled)) instanceof Refusal)
  t.equal(store.status().generation, generation)
  t.notOk((await restore(archive)) instanceof Refusal)
  t.equal(store.view().get(keysOfCluster, 'a')?.row.toString(), 'canary after')
  await store.close()
})

t.test('it is of one moment, whatever is written meanwhile', async t => {
  const store = await filled(makeMemory(), 2_000)
  const content = contentOf(store)
  const chunks: Buffer[] = []
  for await (const chunk of saveSnapshot(store, tables)) {
    chunks.push(chunk)
    await filled(store, 2)
    await store.write(() => ({ txn: [put(blobs, 'late', Buffer.from('1'))], answer: undefined }))
  }
  t.ok(chunks.length > 1)
  const target = makeMemory()
  await restoreSnapshot(target, inPieces(Buffer.concat(chunks)))
  t.same(contentOf(target), content)
  await store.close()
  await target.close()
})

t.test('whoever stops reading leaves nothing behind', async t => {
  const store = await filled(makeMemory(), 3_000)
  for await (const chunk of saveSnapshot(store, tables)) {
    t.ok(chunk.length > 0)
    break
  }
  const abandoned = (async function* (): AsyncIterable<Buffer> {
    yield (await archiveOf(store)).subarray(0, 2_000)
    throw new Error('the client went away')
  })()
  const given = await restoreSnapshot(store, abandoned)
  t.match(given, new Refusal(500, 'failed to read snapshot: the client went away'))
  await store.close()
})

// --- archives that are not what they say

interface Parts {
  meta: string
  state: Buffer
  sums?: string
}

async function partsOf(store: Store): Promise<Parts> {
  const tar = gunzipSync(await archiveOf(store))
  const metaSize = Number.parseInt(tar.toString('latin1', 124, 135), 8)
  const stateAt = 512 + Math.ceil(metaSize / 512) * 512
  const stateSize = Number.parseInt(tar.toString('latin1', stateAt + 124, stateAt + 135), 8)
  return {
    meta: tar.toString('utf8', 512, 512 + metaSize),
    state: tar.subarray(stateAt + 512, stateAt + 512 + stateSize),
  }
}

const sumOf = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function tarOf(files: readonly [string, string | Buffer][]): Promise<Buffer> {
  const tar = pack()
  for (const [name, content] of files) tar.entry({ name }, content)
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return gzipSync(Buffer.concat(chunks))
}

function packed({ meta, state, sums }: Parts): Promise<Buffer> {
  const right = `${sumOf(meta)}  meta.json\n${sumOf(state)}  state.bin\n`
  return tarOf([
    ['meta.json', meta],
    ['state.bin', state],
    ['SHA256SUMS', sums ?? right],
  ])
}

const MAGIC = 'gatehouse state 1\n'

function row(key: string, body: string, create = 1, modify = 1): Buffer {
  const head = Buffer.alloc(18)
  head.writeUInt16BE(key.length, 0)
  head.writeUInt32BE(body.length, 2)
  head.writeUIntBE(create, 6, 6)
  head.writeUIntBE(modify, 12, 6)
  return Buffer.concat([head, Buffer.from(key, 'latin1'), Buffer.from(body)])
}

/** The archive with this state, and a meta.json that agrees with it. */
function withState({ meta }: Parts, ...rows: Buffer[]): Promise<Buffer> {
  const state = Buffer.concat([Buffer.from(MAGIC), ...rows])
  return packed({ meta: JSON.stringify({ ...JSON.parse(meta), Size: state.length }), state })
}

function bits(buffer: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(buffer)
  copy.writeUInt32BE(value, at)
  return copy
}

const decompress = 'failed to decompress snapshot: gzip: '
const a = row('test/blob/a', 'x')
const b = row('test/blob/b', 'x')

const bad: readonly [string, (parts: Parts) => Promise<Buffer> | Buffer, RegExp | string][] = [
  ['text', () => Buffer.from('hello, this is no archive'), `${decompress}invalid header`],
  ['a zip', () => Buffer.from('PK\u0003\u0004aaaaaaaaaaaaaaaaaa'), `${decompress}invalid header`],
  ['nothing', () => Buffer.alloc(0), `${decompress}unexpected end of file`],
  ['half', async p => (await packed(p)).subarray(0, 500), `${decompress}unexpected end of file`],
  ['gzip of text', () => gzipSync('x'.repeat(2_000)), /^failed to read snapshot: Invalid tar/],
  ['an empty tar', () => tarOf([]), /file missing: "meta.json"$/],
  ['an extra file', () => tarOf([['nope', 'x']]), 'unexpected file "nope" in snapshot'],
  [
    'a file behind the others',
    async p =>
      tarOf([
        ['meta.json', p.meta],
        ['state.bin', p.state],
        ['SHA256SUMS', 'x'],
        ['n', ''],
      ]),
    /hash check failed for "meta.json"/,
  ],
  ['no state', p => tarOf([['meta.json', p.meta]]), /file missing: "state.bin"$/],
  [
    'no sums',
    p =>
      tarOf([
        ['meta.json', p.meta],
        ['state.bin', p.state],
      ]),
    /file missing: "SHA256SUMS"$/,
  ],
  [
    'meta.json that is none',
    p => packed({ ...p, meta: '{' }),
    /^failed to decode snapshot metadata/,
  ],
  [
    'meta.json with null',
    p => packed({ ...p, meta: 'null' }),
    /^failed to decode snapshot metadata/,
  ],
  [
    'an index beyond all',
    p => packed({ ...p, meta: p.meta.replace(/"Index":\d+/, '"Index":1e300') }),
    /^failed to decode snapshot metadata/,
  ],
  [
    'another format',
    p => packed({ ...p, meta: p.meta.replace('"Version":1', '"Version":2') }),
    /^failed to decode snapshot metadata/,
  ],
  ['meta.json of 1 MB', p => packed({ ...p, meta: p.meta.padEnd(1e6) }), /meta.json is too large$/],
  ['SHA256SUMS of 1 MB', p => packed({ ...p, sums: 'x'.repeat(1e6) }), /SHA256SUMS is too large$/],
  [
    'a changed meta.json',
    p => packed({ ...p, meta: `${p.meta} `, sums: `${sumOf(p.meta)}  meta.json\n` }),
    /hash check failed for "meta.json"$/,
  ],
  [
    'a changed state.bin',
    p => packed({ ...p, sums: `${sumOf(p.meta)}  meta.json\n${sumOf('')}  state.bin\n` }),
    /hash check failed for "state.bin"$/,
  ],
  [
    "somebody else's state.bin",
    p =>
      packed({
        ...p,
        state: Buffer.from('raft'.repeat(p.state.length / 4 + 1)).subarray(0, p.state.length),
      }),
    /state.bin was not made by this program/,
  ],
  ['a state of another size', p => packed({ ...p, state: a }), /not of the size stated$/],
  ['a state that ends in a row', p => withState(p, a.subarray(0, -1)), /ends inside a row$/],
  ['a state that ends in a head', p => withState(p, a, b.subarray(0, 9)), /ends inside a row$/],
  ['a body of 4 GB', p => withState(p, bits(a, 2, 0xffffffff)), /a row that is too large$/],
  ['rows twice', p => withState(p, a, a), /rows that cannot be$/],
  ['rows out of order', p => withState(p, b, a), /rows that cannot be$/],
  ['created after it was changed', p => withState(p, row('test/blob/a', 'x', 3, 2)), /cannot be$/],
  ['changed after all', p => withState(p, row('test/blob/a', 'x', 1, 1e9)), /cannot be$/],
  ['never created', p => withState(p, row('test/blob/a', 'x', 0, 1)), /cannot be$/],
]

t.test('a bad archive is refused with its reason, and nothing changes', async t => {
  const folder = t.testdir()
  const stores = [makeMemory(), await openLevelStore({ ...options, folder })]
  for (const store of stores) {
    await filled(store)
    const { sum, generation, revision } = store.status()
    const parts = await partsOf(store)
    const good = await packed(parts)
    for (const [name, make, reason] of bad) {
      const given = await restoreSnapshot(store, inPieces(await make(parts), 333))
      t.ok(given instanceof Refusal, `${name}: refused`)
      if (!(given instanceof Refusal)) continue
      t.equal(given.status, 500)
      if (typeof reason === 'string') t.equal(given.text, reason, name)
      else t.match(given.text, reason, name)
    }
    t.match(store.status(), { sum, generation, revision, fault: '' })
    const given = await restoreSnapshot(store, inPieces(good, 7))
    t.notOk(given instanceof Refusal, 'the same parts unchanged are taken')
  }
  for (const store of stores) await store.close()
})

t.test('rows of unknown tables and rows that cannot be decoded are refused whole', async t => {
  const store = await filled(makeMemory())
  const parts = await partsOf(store)
  const { sum } = store.status()
  const unfit = [
    row('other/x', 'x'),
    row('test/thing/a', '{'),
    row('test/thing/a', '{"group":null}'),
    row('test/thing/a', 'null'),
    row('system/lease/x', '{}'),
  ]
  for (const one of unfit) {
    const archive = await withState(parts, one)
    t.match(await restoreSnapshot(store, inPieces(archive)), {
      status: 500,
      text: /^failed to restore snapshot: the archive holds a row that this version cannot read/,
    })
  }
  t.equal(store.status().sum, sum)
  await store.close()
})

t.test('a bomb is stopped at the bound', async t => {
  const store = await filled(makeMemory())
  const parts = await partsOf(store)
  // A file of zeroes as long as the tar header says, which is more than any archive may hold.
  const header = Buffer.from((await gunzipTar(parts)).subarray(0, 512))
  header.write(`${limits.archiveSizeBytes.toString(8).padStart(11, '0')} `, 124, 'latin1')
  header.write('        ', 148, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1')
  const given = await restoreSnapshot(store, inPieces(gzipSync(header)))
  t.match(given, new Refusal(500, 'failed to read snapshot: meta.json is too large'))
  // A state of highly packed rows: memory stays in proportion to what the store would hold, and
  // whatever comes behind the last file is read but not kept.
  const zeroes = gzipSync(Buffer.alloc(64 * 1_048_576))
  const tail = Buffer.concat([await packed(parts), zeroes])
  const before = process.memoryUsage().rss
  const taken = await restoreSnapshot(store, inPieces(tail))
  t.notOk(taken instanceof Refusal)
  t.ok(process.memoryUsage().rss - before < 64 * 1_048_576, 'memory is bounded')
  await store.close()
})

async function gunzipTar(parts: Parts): Promise<Buffer> {
  return gunzipSync(await packed(parts))
}

t.test('any flipped byte, cut or stretch of noise is refused or harmless', async t => {
  const store = await filled(makeMemory(), 40)
  const archive = await archiveOf(store)
  const content = JSON.stringify(contentOf(store))
  const outcomes = { refused: 0, harmless: 0 }
  const count = await untilBudget('damaged archives', 20_000, async index => {
    const [damage] = fc.sample(
      fc.record({
        at: fc.nat(archive.length - 1),
        size: fc.integer({ min: 1, max: 40 }),
        mask: fc.integer({ min: 1, max: 255 }),
        kind: fc.constantFrom('flip', 'cut', 'noise', 'drop'),
      }),
      { seed: index, numRuns: 1 },
    )
    const { at, size, mask, kind } = damage!
    const copy = Buffer.from(archive)
    if (kind === 'flip') copy[at]! ^= mask
    if (kind === 'noise')
      for (let i = at; i < at + size && i < copy.length; i++) copy[i]! ^= mask + i
    const bytes =
      kind === 'cut'
        ? copy.subarray(0, at)
        : kind === 'drop'
          ? Buffer.concat([copy.subarray(0, at), copy.subarray(at + size)])
          : copy
    const target = makeMemory()
    const given = await restoreSnapshot(target, inPieces(bytes, 500))
    const rows = target.status().rows
    if (given instanceof Refusal) {
      outcomes.refused++
      if (rows !== 0) throw new Error(`refused, but not empty: ${JSON.stringify(damage)}`)
    } else {
      outcomes.harmless++
      const got = JSON.stringify(contentOf(target))
      if (got !== content) throw new Error(`taken with other rows: ${JSON.stringify(damage)}`)
    }
    await target.close()
  })
  t.comment(JSON.stringify(outcomes))
  t.ok(count > 0 && outcomes.refused > 0)
  await store.close()
})

t.test('pieces of any size give the same rows', async t => {
  const store = await filled(makeMemory(), 60)
  const archive = await archiveOf(store)
  const content = contentOf(store)
  const property = fc.asyncProperty(fc.integer({ min: 1, max: archive.length }), async size => {
    const target = makeMemory()
    await restoreSnapshot(target, inPieces(archive, size))
    const isEqual = t.same(contentOf(target), content)
    await target.close()
    return isEqual
  })
  await fc.assert(property, { numRuns: propertyRuns() / 4 })
  await store.close()
})
