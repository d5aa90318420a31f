/**
 * A crash at any byte: the newest log file of LevelDB cut anywhere, with the witness as it was
 * then. Opening gives the state before or after the batch that was being written, and never less
 * than the witness saw.
 */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freshFolder } from '../fake/folder.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { isLong, reached, untilBudget } from '../run/budget.ts'
import { History, openLevel, tryOpen, writeAtRandom } from './level.ts'

/** How far the log had come when a write was answered, and what the witness file held. */
interface Moment {
  readonly logSizeBytes: number
  readonly revision: number
  /** The newest record of the journal. */
  readonly record: number
  readonly witness: Buffer
  /** The files of the journal by their names. */
  readonly files: ReadonlyMap<string, Buffer>
}

interface Base {
  readonly folder: string
  readonly log: string
  readonly sizeBytes: number
  readonly history: History
  readonly moments: readonly Moment[]
}

t.test('the log cut at any byte', async t => {
  const bases = [await makeBase(freshFolder(t), 1), await makeBase(freshFolder(t), 2)]
  const work = freshFolder(t)
  const outcomes = new Map<string, number>()
  const cut = async (base: Base, at: number, draw: Draw): Promise<void> => {
    const folder = join(work, 'copy')
    cpSync(base.folder, folder, { recursive: true })
    const outcome = await cutAt(folder, base, at, draw)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    rmSync(folder, { recursive: true, force: true })
  }
  const count = await untilBudget(
    'logs cut at a byte',
    4_000,
    async index => {
      const draw = seeded(index)
      const base = bases[index % 2]!
      // The edges of answered writes and of the log's blocks first, then any byte.
      const edges = [...base.moments.map(moment => moment.logSizeBytes), 32_768, 65_536]
      const edge = edges[index >> 1]
      const at = edge === undefined ? draw.below(base.sizeBytes + 1) : edge + draw.below(3) - 1
      await cut(base, Math.max(0, Math.min(at, base.sizeBytes)), draw)
    },
    100,
  )
  for (const [outcome, times] of outcomes) reached(`logs cut: ${outcome}`, times)
  t.ok(count >= (isLong ? 4_000 : 100))
  for (const wanted of ['opened', 'refused']) t.ok((outcomes.get(wanted) ?? 0) > 0, wanted)
})

/** A folder as a kill leaves it: one table file of an earlier life, and a log of this one. */
async function makeBase(parent: string, seed: number): Promise<Base> {
  const draw = seeded(seed)
  const history = new History()
  const folder = join(parent, 'open')
  const first = await openLevel(folder)
  await writeAtRandom(first, draw, 20, store => history.note(store))
  await first.close()
  const store = await openLevel(folder)
  const log = newestLog(folder)
  const moments: Moment[] = []
  const note = async (): Promise<void> => {
    await history.note(store)
    const logSizeBytes = statSync(log).size
    const witness = readFileSync(join(folder, 'witness'))
    const { sequence } = store.journal.head()
    const { revision } = store.view()
    moments.push({ logSizeBytes, revision, record: sequence, witness, files: filesOf(folder) })
  }
  await note()
  await writeAtRandom(store, draw, 80, note)
  const kept = join(parent, 'killed')
  cpSync(folder, kept, { recursive: true })
  await store.close()
  const name = log.slice(folder.length + 1)
  return { folder: kept, log: name, sizeBytes: statSync(join(kept, name)).size, history, moments }
}

/** The files of the journal, without the zeroes that they grow by. */
function filesOf(folder: string): Map<string, Buffer> {
  const path = join(folder, 'journal')
  const names = existsSync(path) ? readdirSync(path) : []
  const whole = names.map(name => [name, readFileSync(join(path, name))] as const)
  return new Map(whole.map(([name, bytes]) => [name, bytes.subarray(0, usedOf(bytes))]))
}

/** Each record stands behind its size. */
function usedOf(bytes: Buffer): number {
  let end = 0
  while (end + 4 <= bytes.length && bytes.readUInt32BE(end) > 0) end += 4 + bytes.readUInt32BE(end)
  return end
}

function newestLog(folder: string): string {
  const logs = readdirSync(join(folder, 'store')).filter(name => name.endsWith('.log'))
  return join(folder, 'store', logs.toSorted().at(-1)!)
}

async function cutAt(folder: string, base: Base, at: number, draw: Draw): Promise<string> {
  truncateSync(join(folder, base.log), at)
  const { moments, history } = base
  const answered = moments.filter(moment => moment.logSizeBytes <= at)
  // Nothing was answered yet: the witness is that of the moment when the folder was opened.
  const then = answered.at(-1) ?? moments[0]!
  const kind = draw.below(4)
  // As it was then; or older, since it is not synced; or of a later moment, as if a disk had
  // forgotten what it said it had.
  const [witness, least] =
    kind === 0 && answered.length > 0
      ? [draw.pick(answered), then]
      : kind === 1
        ? [draw.pick(moments), then]
        : [then, then]
  writeFileSync(join(folder, 'witness'), witness.witness)
  rmSync(join(folder, 'journal'), { recursive: true, force: true })
  mkdirSync(join(folder, 'journal'))
  for (const [name, bytes] of then.files) writeFileSync(join(folder, 'journal', name), bytes)
  const what = `cut at ${at}, answered ${then.revision}, witness of ${witness.revision}`
  const opened = await tryOpen(folder)
  if (!('write' in opened)) {
    const isSeen = witness.revision <= least.revision && witness.record <= least.record
    if (isSeen && answered.length > 0) {
      throw new Error(`${what}: refused with '${opened.message}'`)
    }
    if (!/-store-accept-revision=\d+/.test(opened.message)) throw new Error(opened.message)
    return 'refused'
  }
  try {
    const { revision } = opened.view()
    await history.check(opened)
    if (revision < witness.revision) throw new Error(`opened at ${revision}`)
    if (answered.length > 0 && revision < then.revision) throw new Error(`opened at ${revision}`)
    const { sequence } = opened.journal.head()
    if (sequence < witness.record) throw new Error(`opened at record ${sequence}`)
    if (answered.length > 0 && sequence < then.record) throw new Error(`lost ${then.record}`)
    const written = await opened.write(() => ({ txn: [], answer: 'it goes on' }))
    if (!('answer' in written)) throw new Error('no answer')
    return 'opened'
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`)
  } finally {
    await opened.close()
  }
}

t.test('killed while the very first folder was being made', async t => {
  const whole = join(freshFolder(t), 'whole')
  const store = await openLevel(whole)
  await store.close()
  const names = readdirSync(join(whole, 'store'))
  // Every subset that a crash can leave before the first write was answered: files are made in
  // this order, and the head is written last.
  const order = ['LOCK', 'LOG', names.find(name => name.startsWith('MANIFEST')) ?? '']
  for (let made = 0; made <= order.length; made++) {
    const folder = freshFolder(t)
    for (const name of order.slice(0, made)) {
      cpSync(join(whole, 'store', name), join(folder, 'store', name), { recursive: true })
    }
    const again = await openLevel(folder)
    t.equal(again.view().revision, 0)
    await again.close()
  }
  // The log is there and empty, or cut in the head's record.
  const log = newestLog(whole)
  const { size } = statSync(log)
  for (let at = 0; at <= size; at++) {
    const folder = freshFolder(t)
    cpSync(whole, folder, { recursive: true })
    truncateSync(join(folder, log.slice(whole.length + 1)), at)
    rmSync(join(folder, 'witness'))
    const again = await openLevel(folder)
    if (again.view().revision !== 0) t.fail(`cut at ${at}`)
    await again.close()
    copyFileSync(join(whole, 'witness'), join(folder, 'witness'))
  }
  t.pass(`${size + 1} cuts of the first log`)
})
