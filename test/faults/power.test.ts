/**
 * Power losses, on a disk that keeps only what was synced: every answered write is there
 * afterwards, and the store opens by itself. Engines with planted bugs must be found out by the
 * same check.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import type { DiskOp, OrderedDisk } from '../../src/base/io/level.ts'
import { type WriteSynced, writeAt } from '../../src/store/level/journal-files.ts'
import { decodeHead, HEAD_KEY, JOURNAL_RANGE, LOG_RANGE } from '../../src/store/level/layout.ts'
import type { LocalStore } from '../../src/store/local.ts'
import { freshFolder } from '../fake/folder.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { isLong, untilBudget } from '../run/budget.ts'
import { type OnBatch, withBatch } from './disks.ts'
import { ForgetfulDisk } from './forgetful-disk.ts'
import { History, openLevel, randomTxn, recordOf } from './level.ts'

/** Lives of one store, each ended by a power loss, and what was found wrong; '' for nothing. */
async function livesOf(
  folder: string,
  seed: number,
  onBatch: OnBatch,
  writeJournal: WriteSynced = writeAt,
): Promise<string> {
  const draw = seeded(seed)
  const disk = new ForgetfulDisk()
  const openDisk = async (): Promise<OrderedDisk> => withBatch(await disk.open(), onBatch)
  const history = new History()
  rmSync(folder, { recursive: true, force: true })
  let answered: Answered = { revision: 0, record: 0 }
  for (let life = 0; life < 3; life++) {
    // What died may still be writing: to files that nobody reads any more.
    const own = join(folder, `life ${life}`)
    if (life === 0) mkdirSync(own, { recursive: true })
    else await leave(join(folder, `life ${life - 1}`), own, disk, draw)
    const world = { folder: own, disk, draw, history }
    try {
      const options = { openDisk, writeJournal, clock: systemClock, random: systemRandom }
      const store = await openLevel(own, options)
      if (store.view().revision < answered.revision) return `lost revision ${answered.revision}`
      if (store.journal.head().sequence < answered.record) return `lost record ${answered.record}`
      await world.history.check(store).catch((error: Error) => {
        // A write whose answer nobody heard may be there; the history does not know it.
        if (!error.message.includes('it never was')) throw error
      })
      answered = await liveOnce(store, world)
    } catch (error) {
      return (error as Error).message
    }
  }
  return ''
}

/** What a power loss leaves of the files beside LevelDB, of which not all was synced. */
async function leave(from: string, to: string, disk: ForgetfulDisk, draw: Draw): Promise<void> {
  cpSync(from, to, { recursive: true })
  const kept = await disk.open()
  const record = await kept.get(HEAD_KEY)
  const synced = (record && decodeHead(record))?.cold?.synced ?? 0
  if (synced === 0 && draw.chance(50)) rmSync(join(to, 'cold'), { recursive: true, force: true })
}

interface World {
  readonly folder: string
  readonly disk: ForgetfulDisk
  readonly draw: Draw
  readonly history: History
}

/** The newest revision, and the newest record, that somebody was told of. */
interface Answered {
  readonly revision: number
  readonly record: number
}

/** Writes until the power goes, at some batch; gives what was answered by then. */
async function liveOnce(store: LocalStore, world: World): Promise<Answered> {
  const { folder, disk, draw, history } = world
  const witness = join(folder, 'witness')
  copyFileSync(witness, `${witness}.old`)
  await history.note(store)
  const writes = 1 + draw.below(12)
  for (let i = 0; i < writes; i++) {
    const txn = draw.chance(20) ? [] : randomTxn(draw)
    const record = draw.chance(50) ? recordOf(draw) : undefined
    await store.write(() => ({ txn, answer: undefined }), record)
    if (draw.chance(20)) await store.journal.append(Buffer.from(`{"by":"itself ${i}"}`))
    await history.note(store)
  }
  if (draw.chance(10)) await store.journal.trim(store.journal.head().sequence + 1)
  if (draw.chance(20)) await store.compact(store.view().revision)
  if (draw.chance(20)) await restoreSome(store, draw, history)
  // One more under way, at any stage.
  void store.write(() => ({ txn: randomTxn(draw), answer: undefined })).catch(() => {})
  for (let turns = draw.below(6); turns > 0; turns--) await new Promise(r => setImmediate(r))
  const answered = {
    revision: store.view().revision,
    record: store.journal.head().sequence,
  }
  disk.losePower(() => draw.chance(50))
  // The witness is synced only when the store is opened: later notes may be lost with the power.
  if (draw.chance(50) && existsSync(`${witness}.old`)) copyFileSync(`${witness}.old`, witness)
  return answered
}

async function restoreSome(store: LocalStore, draw: Draw, history: History): Promise<void> {
  const rows = Array.from({ length: draw.below(120) }, (_, i) => ({
    key: `test/blob/r${String(i).padStart(3, '0')}`,
    body: Buffer.alloc(draw.below(300), i),
    createIndex: 3,
    modifyIndex: 4,
  }))
  await store.restore({ rows, index: 1_000, verify: () => {} })
  history.changes.clear()
  history.newest = store.view().revision
  await history.note(store)
}

const honest: OnBatch = (ops, next) => next(ops)

t.test('an engine on a disk that keeps its promises loses nothing', async t => {
  const folder = freshFolder(t)
  const count = await untilBudget(
    'power losses, three a case',
    3_000,
    async seed => {
      const found = await livesOf(folder, seed, honest)
      if (found !== '') throw new Error(`seed ${seed}: ${found}`)
    },
    60,
  )
  t.ok(count >= (isLong ? 3_000 : 60))
})

const isHead = ({ key }: DiskOp): boolean => key.equals(HEAD_KEY)
const isLog = ({ key }: DiskOp): boolean =>
  key.compare(LOG_RANGE[0]) >= 0 && key.compare(LOG_RANGE[1]) < 0
const isRecord = ({ key }: DiskOp): boolean =>
  key.compare(JOURNAL_RANGE[0]) >= 0 && key.compare(JOURNAL_RANGE[1]) < 0
const isRow = (op: DiskOp): boolean => !isHead(op) && !isLog(op) && !isRecord(op)

/** Bugs that an engine might have, as the disk would see them. */
const mutants: Readonly<Record<string, () => OnBatch>> = {
  'does not sync': () => (ops, next) => next(ops, false),
  'syncs every second batch': () => {
    let count = 0
    return (ops, next) => next(ops, count++ % 2 === 0)
  },
  'answers before the disk does': () => async (ops, next) => {
    void next(ops).catch(() => {})
  },
  'writes the head by itself, first': () => async (ops, next) => {
    await next(ops.filter(isHead))
    await next(ops.filter(op => !isHead(op)))
  },
  'writes the head by itself, last': () => async (ops, next) => {
    await next(ops.filter(op => !isHead(op)))
    await next(ops.filter(isHead))
  },
  'syncs only the head': () => async (ops, next) => {
    await next(
      ops.filter(op => !isHead(op)),
      false,
    )
    await next(ops.filter(isHead))
  },
  'does not sync the rows of a restore': () => (ops, next) => next(ops, ops.some(isHead)),
  'forgets the first row of a batch': () => (ops, next) => {
    const first = ops.findIndex(isRow)
    return next(ops.filter((_, i) => i !== first))
  },
  'forgets deletions': () => (ops, next) => next(ops.filter(op => op.value !== undefined)),
  'forgets the records of the journal': () => (ops, next) =>
    next(ops.filter(op => !isRecord(op) || op.value === undefined)),
  'does not sync what is only for the journal': () => (ops, next) =>
    next(
      ops,
      ops.some(op => !isHead(op) && !isRecord(op)),
    ),
  'forgets the log': () => (ops, next) => next(ops.filter(op => !isLog(op))),
  'forgets the head now and then': () => {
    let count = 0
    return (ops, next) => next(ops.filter(op => !isHead(op) || count++ % 3 !== 2))
  },
  'drops a batch now and then': () => {
    let count = 0
    return async (ops, next) => {
      if (count++ % 5 !== 4) await next(ops)
    }
  },
  'writes a batch twice, the older one last': () => {
    let before: readonly DiskOp[] = []
    return async (ops, next) => {
      await next(ops)
      await next(before)
      before = ops
    }
  },
}

t.test('planted bugs are found', async t => {
  const folder = freshFolder(t)
  const seeds = 100
  for (const [name, make] of Object.entries(mutants)) {
    let found = ''
    let seed = 0
    for (; seed < seeds && found === ''; seed++) found = await livesOf(folder, seed, make())
    t.not(found, '', `${name}: found after ${seed} seeds: ${found.slice(0, 90)}`)
  }
})

/** The same of how files of the journal are written. */
const fileMutants: Readonly<Record<string, () => WriteSynced>> = {
  'forgets records of a file': () => () => Promise.resolve(),
  'leaves the end of them out': () => (fd, bytes, at) => {
    const end = bytes.findLastIndex(byte => byte !== 0)
    return writeAt(fd, bytes.subarray(0, end - 20), at)
  },
  'writes the last ones elsewhere': () => {
    let count = 0
    return (fd, bytes, at) => writeAt(fd, bytes, count++ % 3 === 2 ? at + 1 : at)
  },
  'writes them over what is there': () => (fd, bytes) => writeAt(fd, bytes, 0),
}

t.test('planted bugs in the files of the journal are found', async t => {
  const folder = freshFolder(t)
  for (const [name, make] of Object.entries(fileMutants)) {
    let found = ''
    let seed = 0
    for (; seed < 100 && found === ''; seed++) found = await livesOf(folder, seed, honest, make())
    t.not(found, '', `${name}: found after ${seed} seeds: ${found.slice(0, 90)}`)
  }
})
