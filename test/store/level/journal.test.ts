/**
 * The journal of the level engine over restarts: what was kept, what a trim left behind, and what
 * stays when damage is accepted.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OperatingError } from '../../../src/base/errors.ts'
import { openLevelDisk } from '../../../src/base/io/level.ts'
import { limits } from '../../../src/base/limits.ts'
import type { JournalRecord } from '../../../src/store/journal.ts'
import { decodeHead, HEAD_KEY, JOURNAL_RANGE, journalKey } from '../../../src/store/level/layout.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { blobs } from '../../conformance/store.ts'
import { freshFolder } from '../../fake/folder.ts'
import { plain } from '../../fake/record.ts'
import { levelDiskWith } from '../../faults/disks.ts'
import { openLevel, tryOpen } from '../../faults/level.ts'

const append = (store: Store, name: string): Promise<void> =>
  store.journal.append(Buffer.from(JSON.stringify({ name })))

const textsOf = async (store: Store): Promise<string[]> =>
  (await store.journal.read(1, 1_000)).map(({ text }) => text.toString('utf8'))

/** A folder with ten records, and those. */
async function tenRecords(t: Test): Promise<{ folder: string; records: readonly JournalRecord[] }> {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: null }))
  for (let i = 1; i <= 10; i++) await append(store, `n${i}`)
  const records = await store.journal.read(1, 1_000)
  await store.close()
  return { folder, records }
}

async function onDisk(
  folder: string,
  edits: readonly (readonly [Buffer, Buffer | undefined])[],
): Promise<void> {
  const disk = await openLevelDisk(join(folder, 'store'))
  const ops = edits.map(([key, value]) => ({ key, value }))
  await disk.batch(ops, { sync: true })
  await disk.close()
}

t.test('it is there after a restart, and goes on', async t => {
  const { folder, records } = await tenRecords(t)
  const store = await openLevel(folder)
  t.same(store.journal.head(), { sequence: 10, chain: records.at(-1)!.chain })
  t.same(await store.journal.read(1, 1_000), records.map(plain))
  await append(store, 'n11')
  t.equal(store.journal.head().sequence, 11)
  await store.close()
})

t.test('a store without records says nothing of them on disk', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: null }))
  await store.close()
  const disk = await openLevelDisk(join(folder, 'store'))
  t.equal(decodeHead((await disk.get(HEAD_KEY))!)?.journal, undefined)
  await disk.close()
})

t.test('trimmed records are gone from the disk, and the rest opens', async t => {
  const { folder, records } = await tenRecords(t)
  const store = await openLevel(folder)
  await store.journal.trim(11)
  t.equal(store.journal.floor().sequence, 10)
  await append(store, 'n11')
  await store.close()
  // As if LevelDB had lost the deletion of one of them.
  await onDisk(folder, [[journalKey(4), records[3]!.stored]])
  const again = await openLevel(folder)
  t.match(await textsOf(again), [/"seq":11,.*n11/])
  await again.close()
  const disk = await openLevelDisk(join(folder, 'store'))
  t.equal(await disk.get(journalKey(4)), undefined, 'and is deleted now')
  await disk.close()
})

const damages: Readonly<
  Record<
    string,
    {
      edits: (records: readonly JournalRecord[]) => [Buffer, Buffer | undefined][]
      names: RegExp
      stays: readonly number[]
    }
  >
> = {
  'a record is missing': {
    edits: () => [[journalKey(4), undefined]],
    names: /of its audit journal, record 4 is missing/,
    stays: [5, 6, 7, 8, 9, 10],
  },
  'two are missing': {
    edits: () => [
      [journalKey(4), undefined],
      [journalKey(5), undefined],
    ],
    names: /of its audit journal, records 4 to 5 are missing/,
    stays: [6, 7, 8, 9, 10],
  },
  'the last ones are missing': {
    edits: () => [
      [journalKey(9), undefined],
      [journalKey(10), undefined],
    ],
    names: /of its audit journal, it ends with record 8, not 10/,
    stays: [1, 2, 3, 4, 5, 6, 7, 8],
  },
  'one does not match its sum': {
    edits: records => [[journalKey(3), records[3]!.stored]],
    names: /of its audit journal, the record after 2 does not match its sum/,
    stays: [4, 5, 6, 7, 8, 9, 10],
  },
  'all are missing': {
    edits: records => records.map(({ sequence }) => [journalKey(sequence), undefined]),
    names: /of its audit journal, it ends with record 0, not 10/,
    stays: [],
  },
}

for (const [what, { edits, names, stays }] of Object.entries(damages)) {
  t.test(`${what}: named, refused, and gone on from when that is accepted`, async t => {
    const { folder, records } = await tenRecords(t)
    await onDisk(folder, edits(records))
    for (const _try of [1, 2]) {
      const refused = await tryOpen(folder)
      t.ok(refused instanceof OperatingError)
      t.match(refused, { code: 'damaged', message: names })
      t.match(refused, { message: /start once with -store-accept-revision=1\b/ })
    }
    const accepted = await openLevel(folder, { acceptRevision: 1 })
    const texts = await textsOf(accepted)
    t.same(
      texts.slice(0, -1),
      stays.map(sequence => records[sequence - 1]!.text.toString('utf8')),
    )
    t.match(texts.at(-1), /"event":"damage accepted","damage":".*record/)
    await append(accepted, 'later')
    await accepted.close()
    const again = await openLevel(folder)
    t.equal((await textsOf(again)).length, stays.length + 2)
    t.ok(again.view().get(blobs, 'k'))
    await again.close()
  })
}

t.test('a journal that cannot be synced stops the store: neither row nor record', async t => {
  const folder = freshFolder(t)
  let isFailing = false
  const openDisk = levelDiskWith(async (ops, next) => {
    if (isFailing) throw new OperatingError('disk', 'input/output error', 'unknown')
    await next(ops)
  })
  const store = await openLevel(folder, { openDisk })
  await append(store, 'n1')
  isFailing = true
  await t.rejects(append(store, 'n2'), { code: 'disk', outcome: 'unknown' })
  t.match(store.journal.fault(), /the store stopped: input\/output error/)
  const written = store.write(
    () => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: null }),
    () => Buffer.from('{"name":"n3"}'),
  )
  await t.rejects(written, { code: 'disk', outcome: 'none' })
  t.match(await textsOf(store), [/n1/], 'reads go on')
  await store.close()
  const again = await openLevel(folder)
  t.equal(again.view().get(blobs, 'k'), undefined)
  t.match(await textsOf(again), [/n1/])
  await again.close()
})

t.test('a record that is lost under a running store is named when it is read', async t => {
  const { folder } = await tenRecords(t)
  let forget = false
  const store = await openLevel(folder, {
    openDisk: levelDiskWith((ops, next) =>
      next(forget ? ops.filter(op => op.key[0] !== 0x6a) : ops),
    ),
  })
  forget = true
  await append(store, 'n11')
  forget = false
  // The newest ones are in memory; this one no longer.
  const more = Array.from({ length: 2 * limits.journalRecentRecords }, () => append(store, 'more'))
  await Promise.all(more)
  await t.rejects(store.journal.read(1, 100), {
    code: 'damaged',
    message: /record 11 of the audit/,
  })
  await store.close()
})

t.test('records of one batch lie in few rows, and are read from anywhere', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  const count = 2 * limits.journalBlockRecords + 5
  await append(store, 'first')
  await Promise.all(Array.from({ length: count }, (_, at) => append(store, `n${at}`)))
  await store.close()
  const disk = await openLevelDisk(join(folder, 'store'))
  let rows = 0
  for await (const page of disk.scan(...JOURNAL_RANGE)) rows += page.length
  await disk.close()
  t.ok(rows <= 6, `${rows} rows`)
  const again = await openLevel(folder)
  for (const from of [1, 2, 3, limits.journalBlockRecords + 1, count + 1]) {
    const [record] = await again.journal.read(from, 1)
    t.equal(record?.sequence, from)
  }
  t.equal((await again.journal.read(50, 40)).at(-1)?.sequence, 89)
  await again.journal.trim(count + 2)
  t.equal(again.journal.floor().sequence, count + 1)
  await append(again, 'after')
  await again.close()
  const last = await openLevel(folder)
  t.match(await textsOf(last), [/after/])
  await last.close()
})

t.test('a block with one damaged record is refused as a whole', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: null }))
  await append(store, 'n1')
  await Promise.all([1, 2, 3, 4].map(at => append(store, `block${at}`)))
  await append(store, 'n2')
  const records = await store.journal.read(1, 1_000)
  await store.close()
  const disk = await openLevelDisk(join(folder, 'store'))
  const rows: [Buffer, Buffer][] = []
  for await (const page of disk.scan(...JOURNAL_RANGE)) rows.push(...page)
  const [key, stored] = rows.toSorted((a, b) => b[1].length - a[1].length)[0]!
  const block = Buffer.from(stored)
  block[block.length - 20]! ^= 1
  await disk.close()
  await onDisk(folder, [[key, block]])
  t.match(await tryOpen(folder), { message: /the record after [12] does not match its sum/ })
  const accepted = await openLevel(folder, { acceptRevision: 1 })
  const [first] = await textsOf(accepted)
  t.equal(first, records.at(-1)!.text.toString('utf8'), 'what came after it stays')
  await accepted.close()
})
