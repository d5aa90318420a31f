/**
 * The files of cold rows: what a power loss takes of them comes back from the log, what dies in
 * them goes, and what is damaged is found when it is read. Files are small here.
 */
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { revision } from '../../../src/base/brand.ts'
import { type OrderedDisk, openLevelDisk } from '../../../src/base/io/level.ts'
import { ColdFiles, type ColdState, dropOtherFiles } from '../../../src/store/level/cold.ts'
import { coldRange } from '../../../src/store/level/layout.ts'
import type { RowWrite } from '../../../src/store/local.ts'
import { NO_KEPT_INDEXES, rowSum, seal } from '../../../src/store/table.ts'
import { freshFolder } from '../../fake/folder.ts'
import { seeded } from '../../fake/random.ts'

const SMALL = { fileSizeBytes: 4_000, moveSizeBytes: 500 }
const ALL = { from: '', to: '\u00ff', limit: 1_000, keysOnly: false }

/** Cold rows on a disk of their own, written as the engine would. */
class World {
  readonly folder: string
  readonly disk: OrderedDisk
  files: ColdFiles
  at = 0
  /** The last write of each key since the files were synced. */
  log = new Map<string, RowWrite>()
  readonly model = new Map<string, string>()

  constructor(folder: string, disk: OrderedDisk) {
    this.folder = folder
    this.disk = disk
    this.files = new ColdFiles(disk, folder, 1, undefined, SMALL)
  }

  async write(changes: Readonly<Record<string, string | undefined>>): Promise<void> {
    const at = revision(++this.at)
    const writes = Object.entries(changes).map(([fullKey, text]): RowWrite => {
      const value = text === undefined ? undefined : seal(Buffer.from(text), NO_KEPT_INDEXES)
      const header = { createRevision: at, version: 1, lease: '', isCold: true }
      return { at, fullKey, value, sum: value ? rowSum(fullKey, value) : 0, ...header }
    })
    const staged = (await this.files.stage(writes))!
    await this.disk.batch(staged.ops, { sync: false })
    await this.files.took(staged)
    for (const write of writes) this.log.set(write.fullKey, write)
    for (const [key, text] of Object.entries(changes)) {
      if (text === undefined) this.model.delete(key)
      else this.model.set(key, text)
    }
  }

  async sync(): Promise<void> {
    await this.files.took({ state: await this.files.synced(this.files.state, this.at) })
    this.log.clear()
  }

  /** Goes on as another process would. */
  async reopen(state: ColdState = this.files.state): Promise<string> {
    await this.files.close()
    this.files = new ColdFiles(this.disk, this.folder, 1, state, SMALL)
    return await this.files.mend(this.log)
  }

  async rows(): Promise<[string, string][]> {
    const rows = await this.files.read(ALL)
    return rows.map(({ key, value }) => [key, value!.toString('utf8', 1)])
  }

  wanted(): [string, string][] {
    return [...this.model].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  names(): string[] {
    return readdirSync(join(this.folder, '1')).sort()
  }

  path(name: string): string {
    return join(this.folder, '1', name)
  }
}

async function newWorld(t: { teardown(over: () => Promise<void>): void }): Promise<World> {
  const folder = freshFolder(t as never)
  const disk = await openLevelDisk(join(folder, 'db'))
  const world = new World(join(folder, 'cold'), disk)
  t.teardown(async () => {
    await world.files.close()
    await disk.close()
  })
  return world
}

t.test('any sequence of writes equals a plain map, and dead files go', async t => {
  for (let seed = 0; seed < 12; seed++) {
    const world = await newWorld(t)
    const draw = seeded(seed)
    for (let step = 0; step < 120; step++) {
      const changes: Record<string, string | undefined> = {}
      for (let i = draw.below(6); i >= 0; i--) {
        const isGone = draw.chance(step > 80 ? 70 : 30)
        changes[`k${draw.below(40)}`] = isGone ? undefined : 'x'.repeat(draw.below(400))
      }
      await world.write(changes)
      if (draw.chance(5)) await world.sync()
      if (draw.chance(5)) t.equal(await world.reopen(), '')
    }
    t.same(await world.rows(), world.wanted(), `seed ${seed}`)
    t.equal(world.files.state.rows, world.model.size)
    const liveSizeBytes = [...world.model.values()].reduce((sum, text) => sum + text.length + 60, 0)
    const kept = world.names().map(name => statSync(world.path(name)).size)
    const keptSizeBytes = kept.reduce((sum, size) => sum + size, 0)
    t.ok(keptSizeBytes < 3 * liveSizeBytes + 3 * SMALL.fileSizeBytes, 'dead rows go')
    for (const key of [...world.model.keys()]) await world.write({ [key]: undefined })
    t.same(await world.rows(), [])
    t.match(world.files.state, { sum: 0, rows: 0 }, 'sum and number come back to nothing')
    t.ok(world.names().length <= 2)
  }
})

t.test('what was not synced comes back from the log', async t => {
  const world = await newWorld(t)
  for (let i = 0; i < 30; i++) await world.write({ [`a${i}`]: 'a'.repeat(300) })
  await world.sync()
  for (let i = 0; i < 30; i++) await world.write({ [`b${i}`]: 'b'.repeat(300), [`a${i}`]: 'new' })
  await world.write({ b3: undefined })
  const { syncedFile, syncedSizeBytes } = world.files.state
  for (const name of world.names()) {
    const number = Number.parseInt(name, 10)
    if (number > syncedFile) rmSync(world.path(name))
    if (number === syncedFile) truncateSync(world.path(name), syncedSizeBytes)
  }
  t.equal(await world.reopen(), '')
  t.same(await world.rows(), world.wanted())
  for (const name of world.names().slice(-2)) {
    writeFileSync(world.path(name), Buffer.alloc(statSync(world.path(name)).size))
  }
  await t.rejects(world.rows(), { code: 'damaged' })
  t.equal(await world.reopen(), '', 'noise in place of them')
  t.same(await world.rows(), world.wanted())
})

t.test('a file that was synced and is cut off or gone is named', async t => {
  const world = await newWorld(t)
  for (let i = 0; i < 60; i++) await world.write({ [`a${i}`]: 'a'.repeat(300) })
  await world.sync()
  const [first = '', second = ''] = world.names()
  truncateSync(world.path(second), 100)
  t.match(await world.reopen(), new RegExp(`${second} is cut off or gone`))
  rmSync(world.path(first))
  t.match(await world.reopen(), new RegExp(`${first} is cut off or gone`))
  await t.rejects(world.rows(), { code: 'damaged' }, 'reading is damage, never absence')
  t.same((await world.files.read({ ...ALL, keysOnly: true })).length, 60, 'keys are there')
})

t.test('every bit of a row counts', async t => {
  const world = await newWorld(t)
  await world.write({ a: 'first', b: 'second' })
  const [name = ''] = world.names()
  const good = readFileSync(world.path(name))
  const one = { from: 'a', to: 'a\u0000', limit: 1, keysOnly: false }
  const other = { from: 'b', to: 'b\u0000', limit: 1, keysOnly: false }
  const half = good.indexOf('first') + 'first'.length
  for (let bit = 0; bit < 8 * half; bit++) {
    const bad = Buffer.from(good)
    bad[bit >> 3]! ^= 1 << (bit & 7)
    writeFileSync(world.path(name), bad)
    // The sizes before a row are for who goes through the file: its entry knows them.
    if (bit >= 8 * 6) await t.rejects(world.files.read(one), { code: 'damaged' }, `bit ${bit}`)
    t.equal((await world.files.read(other)).length, 1)
  }
  writeFileSync(world.path(name), good)
  t.equal((await world.files.read(one)).length, 1)
})

t.test('an entry that is damaged, or stands under another key', async t => {
  const world = await newWorld(t)
  await world.write({ a: 'first', b: 'second' })
  const entries: [Buffer, Buffer][] = []
  for await (const page of world.disk.scan(...coldRange(1))) entries.push(...page)
  const [[keyA, a], [keyB, b]] = entries as [[Buffer, Buffer], [Buffer, Buffer]]
  const bad = Buffer.from(a)
  bad[3]! ^= 1
  const put = (key: Buffer, value: Buffer) => world.disk.batch([{ key, value }], { sync: false })
  for (const value of [bad, b, a.subarray(1), Buffer.alloc(0)]) {
    await put(keyA, value)
    await t.rejects(world.rows(), { code: 'damaged' })
  }
  await put(keyA, a)
  t.same(await world.rows(), world.wanted())
  await put(keyB, bad)
  await world.write({ b: 'third' })
  t.same(await world.rows(), world.wanted(), 'writing over it helps')
})

t.test('what is frozen stays, whatever is written', async t => {
  const world = await newWorld(t)
  for (let i = 0; i < 60; i++) await world.write({ [`a${i}`]: 'a'.repeat(300) })
  const wanted = world.wanted()
  const frozen = world.files.freeze()
  for (let i = 0; i < 60; i++) await world.write({ [`a${i}`]: i % 3 === 0 ? 'b' : undefined })
  const rows = await frozen.read(ALL)
  t.same(
    rows.map(({ key, value }) => [key, value!.toString('utf8', 1)]),
    wanted,
  )
  const before = world.names().length
  await frozen.release()
  await frozen.release()
  await world.write({ a0: undefined })
  t.ok(world.names().length < before, 'then its files go')
  t.same(await world.rows(), world.wanted())
  const again = world.files.freeze()
  await world.files.retire()
  t.equal((await again.read(ALL)).length, world.model.size, 'a restore came')
  await again.release()
  t.same(readdirSync(world.folder), [])
})

t.test('files of other generations, and strangers, are removed', async t => {
  const world = await newWorld(t)
  await world.write({ a: 'first' })
  writeFileSync(world.path('99999999.rows'), 'left behind')
  await new ColdFiles(world.disk, world.folder, 2, undefined, SMALL).mend(new Map())
  t.equal(await world.reopen(), '')
  t.same(world.names(), ['00000001.rows'])
  writeFileSync(join(world.folder, '7'), '')
  await dropOtherFiles(world.folder, 1)
  t.same(readdirSync(world.folder), ['1'])
  t.same(await world.rows(), world.wanted())
})
