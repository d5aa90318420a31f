/**
 * Mutilated data folders: whatever was done to one file or one record, opening gives the state
 * that was there, or an older one that was, or a refusal that names the damage and the way out.
 * Never other data, never a crash.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { OperatingError } from '../../src/base/errors.ts'
import { openLevelDisk } from '../../src/base/io/level.ts'
import { sealRecord } from '../../src/store/journal.ts'
import {
  coldRange,
  decodeHead,
  decodeJournal,
  encodeHead,
  encodeJournal,
  HEAD_KEY,
  JOURNAL_RANGE,
  journalKey,
  LOG_RANGE,
  logKey,
  rowRange,
} from '../../src/store/level/layout.ts'
import type { LocalStore } from '../../src/store/local.ts'
import { freshFolder } from '../fake/folder.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { isLong, reached, untilBudget } from '../run/budget.ts'
import { History, openLevel, stateOf, tryOpen, writeAtRandom } from './level.ts'

/** A record as it once was, to be put back later. */
interface Past {
  readonly heads: Buffer[]
  readonly rows: Map<string, Buffer[]>
}

interface Base {
  readonly name: string
  readonly folder: string
  readonly history: History
  readonly past: Past
  /** Copies of the witness of earlier moments. */
  readonly witnesses: Buffer[]
}

t.test('mutilations', async t => {
  const bases = await makeBases(freshFolder(t))
  const work = freshFolder(t)
  const outcomes = new Map<string, number>()
  const texts = new Set<string>()
  const count = await untilBudget(
    'mutilations',
    1_000,
    async index => {
      const draw = seeded(index)
      const base = bases[index % bases.length]!
      const folder = join(work, String(index))
      cpSync(base.folder, folder, { recursive: true })
      const mutilate = draw.pick(mutilations)
      const what = await mutilate(folder, draw, base)
      const outcome = await judge(folder, base, `case ${index}, ${base.name}: ${what}`, texts)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      rmSync(folder, { recursive: true, force: true })
    },
    60,
  )
  for (const [outcome, times] of outcomes) reached(`mutilations: ${outcome}`, times)
  for (const text of texts) t.pass(text)
  t.ok(count >= (isLong ? 1_000 : 60))
  t.ok((outcomes.get('refused') ?? 0) > 0, 'damage was found')
})

/** Says what opening came to; throws when it came to anything that may not be. */
async function judge(
  folder: string,
  base: Base,
  what: string,
  texts: Set<string>,
): Promise<string> {
  const opened = await tryOpen(folder)
  if (!('write' in opened)) {
    checkRefusal(opened, what, texts)
    return await judgeWayOut(folder, base, opened, what)
  }
  try {
    if (await isColdDamage(opened, base.history)) return 'a cold row is damage, all else unharmed'
    await base.history.check(opened)
    const isNewest = opened.view().revision === base.history.newest
    // Each mutilation is one fault: the witness and the store do not both forget.
    const { sequence } = opened.journal.head()
    if (sequence !== base.history.newestRecord) throw new Error(`its journal ends at ${sequence}`)
    if (!isNewest) throw new Error(`opened at ${opened.view().revision}, older than the witness`)
    return 'state unharmed'
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`)
  } finally {
    await opened.close()
  }
}

/**
 * Whether cold rows do not prove to be what they were. Each that can be read must be one that was
 * there under its key.
 */
async function isColdDamage(store: LocalStore, history: History): Promise<boolean> {
  try {
    await store.cold.prove()
    return false
  } catch (error) {
    if ((error as OperatingError).code !== 'damaged') throw error
  }
  const known = [...history.states.values()].map(state => JSON.parse(state))
  const was = known.find(({ revision }) => revision === store.view().revision)
  const now = JSON.parse(await stateOf(store, 'readable'))
  if (JSON.stringify({ ...was, cold: [] }) !== JSON.stringify({ ...now, cold: [] })) {
    throw new Error('rows that are not cold differ, too')
  }
  const everWas = new Set(
    known.flatMap(({ cold }) => cold.map((row: unknown) => JSON.stringify(row))),
  )
  for (const row of now.cold) {
    if (!everWas.has(JSON.stringify(row))) throw new Error(`never was: ${JSON.stringify(row)}`)
  }
  return true
}

function checkRefusal(error: OperatingError, what: string, texts: Set<string>): void {
  texts.add(error.message.replace(/\/\S+/g, 'FOLDER').replace(/\d+/g, 'N'))
  const isNamed = error.code === 'damaged' && /is damaged: \S/.test(error.message)
  const isHelpful = /Restore a snapshot|-store-accept-revision=\d+/.test(error.message)
  if (!isNamed || !isHelpful) throw new Error(`${what}: refused with '${error.message}'`)
}

/** A second try must not find what the first refused, unless the way out that it named is taken. */
async function judgeWayOut(
  folder: string,
  base: Base,
  first: OperatingError,
  what: string,
): Promise<string> {
  const again = await tryOpen(folder)
  if ('write' in again) throw new Error(`${what}: refused, and then opened as if nothing had been`)
  const accept = /-store-accept-revision=(\d+)/.exec(first.message)?.[1]
  if (accept === undefined) return 'refused'
  const accepted = await openLevel(folder, { acceptRevision: Number(accept) })
  if (!(await isColdDamage(accepted, base.history))) await base.history.check(accepted)
  const { revision } = accepted.view()
  await accepted.close()
  const after = await openLevel(folder)
  if (after.view().revision !== revision) throw new Error(`${what}: moved after it was accepted`)
  await after.close()
  return 'refused, older state on request'
}

// --- the folders that are mutilated

/** A folder closed well, one as a kill leaves it, and one that was restored and compacted. */
async function makeBases(parent: string): Promise<Base[]> {
  const bases: Base[] = []
  for (const name of ['closed', 'killed', 'restored']) {
    const folder = join(parent, name)
    const history = new History()
    const past: Past = { heads: [], rows: new Map() }
    const witnesses: Buffer[] = []
    const draw = seeded(name.length)
    // Several lives, so that there are table files beside the log.
    for (const life of [0, 1, 2]) {
      const store = await openLevel(folder)
      if (name === 'restored' && life === 1) {
        const body = Buffer.from('restored')
        const row = { key: 'test/blob/k0/0', body, createIndex: 5, modifyIndex: 6 }
        await store.restore({ rows: [row], index: 9, verify: () => {} })
        history.states.clear()
        history.changes.clear()
        history.newest = store.view().revision
        await history.note(store)
        await store.journal.trim(store.journal.head().sequence + 1)
      }
      await writeAtRandom(store, draw, 60, async store => {
        await history.note(store)
        witnesses.push(readFileSync(join(folder, 'witness')))
      })
      if (life === 1) await store.compact(store.view().revision)
      const isLast = life === 2
      if (isLast && name === 'killed') cpSync(folder, `${folder}-copy`, { recursive: true })
      await store.close()
      if (!isLast) await remember(folder, past)
    }
    const kept = name === 'killed' ? `${folder}-copy` : folder
    rmSync(join(kept, 'store', 'LOCK'), { force: true })
    bases.push({ name, folder: kept, history, past, witnesses })
  }
  return bases
}

async function remember(folder: string, past: Past): Promise<void> {
  const disk = await openLevelDisk(join(folder, 'store'))
  past.heads.push((await disk.get(HEAD_KEY))!)
  for (const generation of [1, 2]) {
    for (const range of [rowRange(generation), coldRange(generation)]) {
      for await (const page of disk.scan(...range)) {
        for (const [key, value] of page) {
          const id = key.toString('latin1')
          past.rows.set(id, [...(past.rows.get(id) ?? []), value])
        }
      }
    }
  }
  await disk.close()
}

// --- what is done to them

type Mutilation = (folder: string, draw: Draw, base: Base) => string | Promise<string>

/** A data file: any but the log of messages, which LevelDB never reads. */
function someFile(folder: string, draw: Draw): string {
  const names = readdirSync(join(folder, 'store')).filter(name => !/^(LOG|LOCK)/.test(name))
  const files = [...names.map(name => join('store', name)), 'witness']
  // Files that are rare among the others get their share.
  if (draw.chance(15)) return draw.pick(coldFilesOf(folder))
  if (draw.chance(15)) return draw.pick(journalFilesOf(folder))
  return draw.chance(25) ? draw.pick(['witness', 'store/CURRENT']) : draw.pick(files)
}

const coldFilesOf = (folder: string): string[] =>
  readdirSync(join(folder, 'cold'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.rows'))
    .map(name => join('cold', name))

const journalFilesOf = (folder: string): string[] =>
  readdirSync(join(folder, 'journal')).map(name => join('journal', name))

function change(path: string, edit: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, edit(readFileSync(path)))
}

const flipBit: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  const path = join(folder, file)
  const { size } = statSync(path)
  if (size === 0) return `${file} is empty`
  const at = draw.below(size)
  change(path, bytes => {
    bytes[at]! ^= 1 << draw.below(8)
    return bytes
  })
  return `a bit of ${file} at ${at} of ${size}`
}

const noise: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  const path = join(folder, file)
  const { size } = statSync(path)
  const at = draw.below(Math.max(1, size))
  const length = 1 + draw.below(600)
  const value = draw.pick([0, 0xff, -1])
  change(path, bytes => {
    for (let i = at; i < Math.min(size, at + length); i++) {
      bytes[i] = value === -1 ? draw.below(256) : value
    }
    return bytes
  })
  return `${length} bytes of ${file} at ${at} of ${size} are ${value}`
}

const truncate: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  const path = join(folder, file)
  const { size } = statSync(path)
  const to = draw.chance(20) ? 0 : draw.below(Math.max(1, size))
  change(path, bytes => bytes.subarray(0, to))
  return `${file} cut from ${size} to ${to}`
}

const remove: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  rmSync(join(folder, file))
  return `${file} removed`
}

const lengthen: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  change(join(folder, file), bytes => Buffer.concat([bytes, Buffer.alloc(1 + draw.below(300))]))
  return `${file} made longer`
}

const swapBlocks: Mutilation = (folder, draw) => {
  const file = someFile(folder, draw)
  const path = join(folder, file)
  const { size } = statSync(path)
  const length = draw.pick([64, 512, 4_096])
  const [a, b] = [draw.below(Math.max(1, size - length)), draw.below(Math.max(1, size - length))]
  change(path, bytes => {
    const copy = Buffer.from(bytes)
    bytes.copy(copy, a, b, b + length)
    bytes.copy(copy, b, a, a + length)
    return copy
  })
  return `${length} bytes of ${file} at ${a} and ${b} swapped`
}

const swapFiles: Mutilation = (folder, draw) => {
  const names = readdirSync(join(folder, 'store')).filter(name => /\.(ldb|log)$/.test(name))
  const [a, b] = [draw.pick(names), draw.pick(names)]
  const bytes = readFileSync(join(folder, 'store', a))
  writeFileSync(join(folder, 'store', a), readFileSync(join(folder, 'store', b)))
  writeFileSync(join(folder, 'store', b), bytes)
  return `${a} and ${b} swapped`
}

const removeStore: Mutilation = folder => {
  rmSync(join(folder, 'store'), { recursive: true })
  return 'all data removed'
}

const olderWitness: Mutilation = (folder, draw, { witnesses }) => {
  writeFileSync(join(folder, 'witness'), draw.pick(witnesses))
  return 'an older witness'
}

/** Damage done through LevelDB itself, whose own checksums are right then. */
type Edit = (records: Records, draw: Draw, base: Base) => [Buffer, Buffer | undefined][]

interface Records {
  readonly head: Buffer
  readonly rows: [Buffer, Buffer][]
  /** Where cold rows lie. */
  readonly entries: [Buffer, Buffer][]
  readonly logs: [Buffer, Buffer][]
  readonly journal: [Buffer, Buffer][]
}

function throughLevel(what: string, edit: Edit): Mutilation {
  return async (folder, draw, base) => {
    const disk = await openLevelDisk(join(folder, 'store'))
    const records: Records = {
      head: (await disk.get(HEAD_KEY))!,
      ...{ rows: [], entries: [], logs: [], journal: [] },
    }
    for (const generation of [1, 2]) {
      for await (const page of disk.scan(...rowRange(generation))) records.rows.push(...page)
      for await (const page of disk.scan(...coldRange(generation))) records.entries.push(...page)
    }
    for await (const page of disk.scan(...LOG_RANGE)) records.logs.push(...page)
    for await (const page of disk.scan(...JOURNAL_RANGE)) records.journal.push(...page)
    const ops = edit(records, draw, base).map(([key, value]) => ({ key, value }))
    await disk.batch(ops, { sync: true })
    await disk.close()
    return what
  }
}

const pair = (draw: Draw, records: [Buffer, Buffer][]): [number, number] => {
  const a = draw.below(records.length)
  return [a, (a + 1 + draw.below(records.length - 1)) % records.length]
}

const throughLevelItself: readonly Mutilation[] = [
  throughLevel('two rows swapped', ({ rows }, draw) => {
    const [a, b] = pair(draw, rows)
    return [
      [rows[a]![0], rows[b]![1]],
      [rows[b]![0], rows[a]![1]],
    ]
  }),
  throughLevel('a row removed', ({ rows }, draw) => [[draw.pick(rows)[0], undefined]]),
  throughLevel('a row repeated elsewhere', ({ rows }, draw) => {
    const [a, b] = pair(draw, rows)
    return [[rows[a]![0], rows[b]![1]]]
  }),
  throughLevel('a row added', ({ rows }, draw) => {
    const [key, value] = draw.pick(rows)
    return [[Buffer.concat([key, Buffer.from('more')]), value]]
  }),
  throughLevel('a row as it was before', ({ rows }, draw, { past }) => {
    const changed = rows.flatMap(([key, now]) => {
      const older = past.rows.get(key.toString('latin1')) ?? []
      return older.filter(value => !value.equals(now)).map(value => [key, value] as const)
    })
    return [[...draw.pick(changed)]]
  }),
  throughLevel('a row that was deleted is back', ({ rows }, draw, { past }) => {
    const present = new Set(rows.map(([key]) => key.toString('latin1')))
    const gone = [...past.rows].filter(([key]) => !present.has(key))
    if (gone.length === 0) return [[draw.pick(rows)[0], undefined]]
    const [key, values] = draw.pick(gone)
    return [[Buffer.from(key, 'latin1'), values[0]!]]
  }),
  throughLevel('a byte of a row changed', ({ rows }, draw) => {
    const [key, value] = draw.pick(rows)
    const copy = Buffer.from(value)
    copy[draw.below(copy.length)]! ^= 1 + draw.below(255)
    return [[key, copy]]
  }),
  throughLevel('an entry of a cold row removed', ({ entries }, draw) => [
    [draw.pick(entries)[0], undefined],
  ]),
  throughLevel('an entry of a cold row in place of another', ({ entries }, draw) => {
    const [a, b] = pair(draw, entries)
    return [[entries[a]![0], entries[b]![1]]]
  }),
  throughLevel('an entry of a cold row as it was before', ({ entries }, draw, { past }) => {
    const changed = entries.flatMap(([key, now]) => {
      const older = past.rows.get(key.toString('latin1')) ?? []
      return older.filter(value => !value.equals(now)).map(value => [key, value] as const)
    })
    return [[...draw.pick(changed)]]
  }),
  throughLevel('a byte of an entry changed', ({ entries }, draw) => {
    const [key, value] = draw.pick(entries)
    const copy = Buffer.from(value)
    copy[draw.below(copy.length)]! ^= 1 + draw.below(255)
    return [[key, copy]]
  }),
  throughLevel('a log record removed', ({ logs }, draw) => [[draw.pick(logs)[0], undefined]]),
  throughLevel('a log record repeated', ({ logs }, draw) => {
    const [key, value] = draw.pick(logs)
    return [[logKey(key.readUIntBE(1, 6) + 1 + draw.below(500)), value]]
  }),
  throughLevel('a log record in place of another', ({ logs }, draw) => {
    const [a, b] = pair(draw, logs)
    return [[logs[a]![0], logs[b]![1]]]
  }),
  throughLevel('all of the log removed', ({ logs }) => logs.map(([key]) => [key, undefined])),
  throughLevel('a byte of a log record changed', ({ logs }, draw) => {
    const [key, value] = draw.pick(logs)
    const copy = Buffer.from(value)
    copy[draw.below(copy.length)]! ^= 1 + draw.below(255)
    return [[key, copy]]
  }),
  throughLevel('a record of the journal removed', ({ journal }, draw) => [
    [draw.pick(journal)[0], undefined],
  ]),
  throughLevel('the last records of the journal removed', ({ journal }, draw) =>
    journal.slice(-1 - draw.below(5)).map(([key]) => [key, undefined]),
  ),
  throughLevel('all of the journal removed', ({ journal }) =>
    journal.map(([key]) => [key, undefined]),
  ),
  throughLevel('a record of the journal in place of another', ({ journal }, draw) => {
    const [a, b] = pair(draw, journal)
    return [[journal[a]![0], journal[b]![1]]]
  }),
  throughLevel('a record of the journal forged, its own sum right', ({ journal }, draw) => {
    const [key, block] = draw.pick(journal)
    const records = [...decodeJournal(key, block)!]
    const at = draw.below(records.length)
    const { sequence, previousChain, timeMs } = records[at]!
    const before = { sequence: sequence - 1, chain: previousChain }
    records[at] = sealRecord(Buffer.from('{"by":"a forger"}'), before, timeMs)
    return [[key, encodeJournal(records)]]
  }),
  throughLevel('a record added to the journal', ({ journal }) => {
    const last = decodeJournal(...journal.at(-1)!)!.at(-1)!
    const added = sealRecord(Buffer.from('{"by":"somebody else"}'), last, last.timeMs)
    return [[journalKey(added.sequence), added.stored]]
  }),
  throughLevel('a byte of the journal changed', ({ journal }, draw) => {
    const [key, value] = draw.pick(journal)
    const copy = Buffer.from(value)
    copy[draw.below(copy.length)]! ^= 1 + draw.below(255)
    return [[key, copy]]
  }),
  throughLevel('the end of journal and head as they were before', ({ head, journal }, draw) => {
    // All that the store itself holds is right then: only the witness knows.
    const ends = journal.map(([key, block]) => decodeJournal(key, block)!.at(-1)!)
    const kept = ends[draw.below(ends.length - 1)]!
    const was = decodeHead(head)!
    const { floor, floorChain } = was.journal!
    const mark = { sequence: kept.sequence, chain: kept.chain.toString('hex') }
    return [
      [HEAD_KEY, encodeHead({ ...was, journal: { ...mark, floor, floorChain } })],
      ...journal
        .filter(([key]) => key.compare(journalKey(kept.sequence)) > 0)
        .map(([key]): [Buffer, undefined] => [key, undefined]),
    ]
  }),
  throughLevel('an older head', (_, draw, { past }) => [[HEAD_KEY, draw.pick(past.heads)]]),
  throughLevel('no head', () => [[HEAD_KEY, undefined]]),
  throughLevel('a byte of the head changed', ({ head }, draw) => {
    const copy = Buffer.from(head)
    copy[draw.below(copy.length)]! ^= 1 + draw.below(255)
    return [[HEAD_KEY, copy]]
  }),
]

const mutilations: readonly Mutilation[] = [
  flipBit,
  flipBit,
  flipBit,
  flipBit,
  noise,
  noise,
  truncate,
  truncate,
  remove,
  lengthen,
  swapBlocks,
  swapFiles,
  removeStore,
  olderWitness,
  ...throughLevelItself,
]
