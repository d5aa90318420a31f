/**
 * The journal of the level engine over restarts: what was kept, what a trim left behind, and what
 * stays when damage is accepted.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OperatingError } from '../../../src/base/errors.ts'
import { openLevelDisk } from '../../../src/base/io/level.ts'
import { limits } from '../../../src/base/limits.ts'
import { framed, type JournalRecord, readRecord, sealRecord } from '../../../src/store/journal.ts'
import { writeAt } from '../../../src/store/level/journal-files.ts'
import { decodeHead, HEAD_KEY, JOURNAL_RANGE, journalKey } from '../../../src/store/level/layout.ts'
import { Witness } from '../../../src/store/level/witness.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { blobs } from '../../conformance/store.ts'
import { freshFolder } from '../../fake/folder.ts'
import { plain } from '../../fake/record.ts'
import { levelDiskWith } from '../../faults/disks.ts'
import { openLevel, tryOpen } from '../../faults/level.ts'

const append = (store: Store, name: string): Promise<void> =>
  store.journal.append(JSON.stringify({ name }))

const textsOf = async (store: Store): Promise<string[]> =>
  (await store.journal.read(1, 1_000)).map(({ text }) => text.toString('utf8'))

/** A write with a record, which lies in a row then; `append` makes one that lies in a file. */
const ride = (store: Store, name: string): Promise<unknown> =>
  store.write(
    () => ({ txn: [put(blobs, 'k', Buffer.from(name))], answer: null }),
    () => JSON.stringify({ name }),
  )

/** A folder with ten records at a revision, and those. */
interface Ten {
  readonly folder: string
  readonly records: readonly JournalRecord[]
  readonly revision: number
}

async function tenRecords(t: Test, make = append): Promise<Ten> {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: null }))
  for (let i = 1; i <= 10; i++) await make(store, `n${i}`)
  const records = await store.journal.read(1, 1_000)
  const { revision } = store.view()
  await store.close()
  return { folder, records, revision }
}

const tenRidden = (t: Test): Promise<Ten> =>
  tenRecords(t, async (store, name) => void (await ride(store, name)))

/** The only file of a folder's journal. */
function fileOf(folder: string): string {
  const names = readdirSync(join(folder, 'journal'))
  if (names.length !== 1) throw new Error(`${names.length} files`)
  return join(folder, 'journal', names[0]!)
}

/** Where each record of a file begins, and where the last one ends. */
function placesIn(path: string): number[] {
  const bytes = readFileSync(path)
  const places = [0]
  for (let at = 0; at + 4 <= bytes.length && bytes.readUInt32BE(at) > 0; ) {
    at += 4 + bytes.readUInt32BE(at)
    places.push(at)
  }
  return places
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

for (const [where, make] of Object.entries({ files: tenRecords, rows: tenRidden })) {
  t.test(`in ${where} it is there after a restart, and goes on`, async t => {
    const { folder, records } = await make(t)
    const store = await openLevel(folder)
    t.same(store.journal.head(), { sequence: 10, chain: records.at(-1)!.chain })
    t.same(await store.journal.read(1, 1_000), records.map(plain))
    await append(store, 'n11')
    await ride(store, 'n12')
    t.equal(store.journal.head().sequence, 12)
    await store.close()
    const again = await openLevel(folder)
    t.same((await textsOf(again)).length, 12)
    await again.close()
  })
}

t.test('one chain goes through rows and files', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  const count = 60
  for (let at = 1; at <= count; at++) {
    // Alone, several at once, with writes among them.
    if (at % 3 === 0) await ride(store, `n${at}`)
    else await append(store, `n${at}`)
  }
  const records = await store.journal.read(1, 1_000)
  await store.close()
  const again = await openLevel(folder)
  t.same(await again.journal.read(1, 1_000), records.map(plain))
  t.same(
    (await again.journal.read(20, 7)).map(({ sequence }) => sequence),
    [20, 21, 22, 23, 24, 25, 26],
  )
  await again.journal.trim(31)
  await append(again, 'later')
  await again.close()
  const last = await openLevel(folder)
  t.equal(last.journal.head().sequence, count + 1)
  await last.close()
})

t.test('files that are full are followed by others, and go once they are trimmed', async t => {
  const folder = freshFolder(t)
  const names = (): string[] => readdirSync(join(folder, 'journal')).toSorted()
  const store = await openLevel(folder)
  const note = 'x'.repeat(100_000)
  const count = Math.ceil((2.5 * limits.journalFileSizeBytes) / note.length)
  for (let at = 1; at <= count; at++) await append(store, `${at} ${note}`)
  const made = names()
  t.equal(made.length, 3)
  for (const name of made) {
    const { size } = statSync(join(folder, 'journal', name))
    t.ok(size <= limits.journalFileSizeBytes + limits.journalFileGrowthBytes, `${size} bytes`)
  }
  await store.close()
  const again = await openLevel(folder)
  t.same((await again.journal.read(1, count)).length, count, 'in all of them')
  t.match(await again.journal.read(count - 1, 1), [{ sequence: count - 1 }])
  const below = Number(made[2]!.slice(0, 16))
  for (let floor = -1; floor !== again.journal.floor().sequence; ) {
    floor = again.journal.floor().sequence
    await again.journal.trim(below)
  }
  await again.close()
  t.same(names(), made.slice(2))
  const last = await openLevel(folder)
  t.equal(last.journal.head().sequence, count)
  await last.journal.trim(count + 1)
  await last.close()
  const empty = await openLevel(folder)
  t.same(names(), [], 'nor is there a file without records')
  t.equal(empty.journal.head().sequence, count)
  await append(empty, 'more')
  await empty.close()
})

t.test(
  'a write that a crash cut off goes, wherever it was cut, and what was synced stays',
  async t => {
    const { folder, records } = await tenRecords(t)
    const path = fileOf(folder)
    const whole = readFileSync(path)
    const last = placesIn(path).at(-2)!
    const end = placesIn(path).at(-1)!
    const witness = join(folder, 'witness')
    const seen = readFileSync(witness)
    for (let cut = last; cut < end; cut += 7) {
      for (const tail of [0, 300]) {
        // Its zeroes may be there already, or something that was never written whole.
        writeFileSync(path, Buffer.concat([whole.subarray(0, cut), Buffer.alloc(tail, tail % 7)]))
        writeFileSync(witness, seen)
        t.match(await tryOpen(folder), {
          message: /audit journal, (it ends with record 9|the record)/,
        })
        rmSync(witness)
        // Nobody was answered yet: as the witness was before.
        const before = await openWith(folder, records[8]!)
        t.equal(before.journal.head().sequence, 9)
        await append(before, 'again')
        await before.close()
        const again = await openLevel(folder)
        t.match((await textsOf(again)).at(-1), /again/)
        await again.close()
      }
    }
  },
)

/** Opens a folder whose witness saw the journal up to a record. */
async function openWith(folder: string, record: JournalRecord): Promise<Store> {
  const disk = await openLevelDisk(join(folder, 'store'))
  const head = decodeHead((await disk.get(HEAD_KEY))!)!
  await disk.close()
  const witness = new Witness(join(folder, 'witness'))
  witness.note(head.revision, Buffer.from(head.chain, 'hex'), record)
  witness.close()
  return await openLevel(folder)
}

t.test('a folder from before there were files goes on, its records where they are', async t => {
  const { folder, records } = await tenRidden(t)
  t.notOk(existsSync(join(folder, 'journal')), 'there are none')
  const store = await openLevel(folder)
  await append(store, 'n11')
  t.same((await store.journal.read(1, 10)).length, records.length)
  await store.close()
  const again = await openLevel(folder)
  t.equal(again.journal.head().sequence, 11)
  await again.close()
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
  const { folder, records } = await tenRidden(t)
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
    const ten = await tenRidden(t)
    await onDisk(ten.folder, edits(ten.records))
    await judge(t, ten, names, stays)
  })
}

/** Damage done to the file of records; they begin at `places`, where the last one ends, too. */
const fileDamages: Readonly<
  Record<
    string,
    {
      edit: (bytes: Buffer, places: readonly number[]) => Buffer | undefined
      names: RegExp
      stays: readonly number[]
    }
  >
> = {
  'a record is missing': {
    edit: (bytes, at) => Buffer.concat([bytes.subarray(0, at[3]), bytes.subarray(at[4]!)]),
    names: /of its audit journal, record 4 is missing/,
    stays: [5, 6, 7, 8, 9, 10],
  },
  'the last ones are missing': {
    edit: (bytes, at) => bytes.subarray(0, at[8]),
    names: /of its audit journal, it ends with record 8, not 10/,
    stays: [1, 2, 3, 4, 5, 6, 7, 8],
  },
  'the last one is cut': {
    edit: (bytes, at) => bytes.subarray(0, at[10]! - 1),
    names: /of its audit journal, the record after 9 does not match its sum/,
    stays: [1, 2, 3, 4, 5, 6, 7, 8, 9],
  },
  'a bit of one is another': {
    edit(bytes, at) {
      bytes[at[2]! + 60]! ^= 4
      return bytes
    },
    names: /of its audit journal, the record after 2 does not match its sum/,
    stays: [4, 5, 6, 7, 8, 9, 10],
  },
  'a bit of a size is another': {
    edit(bytes, at) {
      bytes[at[2]! + 1]! ^= 1
      return bytes
    },
    names: /of its audit journal, the record after 2 does not match its sum/,
    stays: [1, 2],
  },
  "two stand in each other's place": {
    edit: (bytes, at) =>
      Buffer.concat([
        bytes.subarray(0, at[3]),
        bytes.subarray(at[4], at[5]),
        bytes.subarray(at[3], at[4]),
        bytes.subarray(at[5]),
      ]),
    names: /of its audit journal, record 4 is missing/,
    stays: [6, 7, 8, 9, 10],
  },
  'the last one is forged': {
    edit(bytes, at) {
      const before = readRecord(bytes.subarray(at[8]! + 4, at[9]))!
      const forged = sealRecord('{"by":"a forger"}', before, before.timeMs)
      return Buffer.concat([bytes.subarray(0, at[9]), framed([forged]), Buffer.alloc(100)])
    },
    names: /of its audit journal, record 10 differs from what its witness saw/,
    stays: [1, 2, 3, 4, 5, 6, 7, 8, 9],
  },
  'the file is gone': {
    edit: () => undefined,
    names: /of its audit journal, it ends with record 0, not 10/,
    stays: [],
  },
}

for (const [what, { edit, names, stays }] of Object.entries(fileDamages)) {
  t.test(`in a file ${what}: named, refused, and gone on from when that is accepted`, async t => {
    const ten = await tenRecords(t)
    const path = fileOf(ten.folder)
    const edited = edit(readFileSync(path), placesIn(path))
    if (edited === undefined) rmSync(path)
    else writeFileSync(path, edited)
    await judge(t, ten, names, stays)
  })
}

/** Damage is named and refused, again and again, until it is accepted. */
async function judge(
  t: Test,
  { folder, records, revision }: Ten,
  names: RegExp,
  stays: readonly number[],
): Promise<void> {
  for (const _try of [1, 2]) {
    const refused = await tryOpen(folder)
    t.ok(refused instanceof OperatingError)
    t.match(refused, { code: 'damaged', message: names })
    t.match(refused, {
      message: new RegExp(`start once with -store-accept-revision=${revision}\\b`),
    })
  }
  const accepted = await openLevel(folder, { acceptRevision: revision })
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
}

t.test('a journal that cannot be synced stops the store: neither row nor record', async t => {
  const folder = freshFolder(t)
  let isFailing = false
  const store = await openLevel(folder, {
    async writeJournal(fd, bytes, at) {
      // A part of it may be there.
      await writeAt(fd, isFailing ? bytes.subarray(0, 50) : bytes, at)
      if (isFailing) throw new Error('input/output error')
    },
  })
  await append(store, 'n1')
  isFailing = true
  await t.rejects(append(store, 'n2'), { code: 'disk', outcome: 'unknown' })
  t.match(store.journal.fault(), /the store stopped: cannot write .*: input\/output error/)
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
  await ride(store, 'n11')
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
  await ride(store, 'first')
  await Promise.all(Array.from({ length: count }, (_, at) => ride(store, `n${at}`)))
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
  await ride(store, 'n1')
  await Promise.all([1, 2, 3, 4].map(at => ride(store, `block${at}`)))
  await ride(store, 'n2')
  const records = await store.journal.read(1, 1_000)
  const { revision } = store.view()
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
  const accepted = await openLevel(folder, { acceptRevision: revision })
  const [first] = await textsOf(accepted)
  t.equal(first, records.at(-1)!.text.toString('utf8'), 'what came after it stays')
  await accepted.close()
})
