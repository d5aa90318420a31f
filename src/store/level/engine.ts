/**
 * The level engine: one server's store on disk, the default.
 *
 * Owns the folder: rows, the chained change log, the audit journal, the head and the witness. A
 * batch is one synced atomic write of all of them; one of records alone goes to a file. Opening
 * proves that nothing is missing: every row by its checksum, all rows by their sum, log and journal
 * by their chains, the end by the witness; else it refuses, names the damage and the way out, and
 * changes nothing.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Revision, revision } from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import { type DiskOp, type OrderedDisk, openLevelDisk } from '../../base/io/level.ts'
import { limits } from '../../base/limits.ts'
import type { ColdRange, StoredCold } from '../cold.ts'
import type { JournalBook, JournalRecord } from '../journal.ts'
import {
  type Batch,
  type ColdDisk,
  type Loaded,
  type LocalOptions,
  LocalStore,
  type Opened,
  type Persistence,
  type RowWrite,
} from '../local.ts'
import { loadRestored, offsetAbove } from '../memory/engine.ts'
import type { Change, Event, RestoreContent } from '../store.ts'
import { type AnyTable, type Cell, rowSum } from '../table.ts'
import { TableSet, toCell } from '../tables.ts'
import { addSums, Version } from '../view.ts'
import { ColdFiles, type ColdState, dropOtherFiles } from './cold.ts'
import { headOf, type OpenedJournal, openJournal, readRecords } from './journal.ts'
import { JournalFiles, type WriteSynced } from './journal-files.ts'
import { KeptRecords } from './kept.ts'
import {
  CHAIN_START,
  chainAfter,
  coldKey,
  coldRange,
  decodeHead,
  decodeLog,
  decodeRow,
  encodeHead,
  encodeJournal,
  encodeLog,
  encodeRow,
  fullKeyOf,
  HEAD_FORMAT,
  HEAD_KEY,
  type Head,
  journalKey,
  LOG_RANGE,
  logKey,
  ROWS_END,
  recordSum,
  rowKey,
  rowRange,
  sumIn,
} from './layout.ts'
import { Witness } from './witness.ts'

export interface LevelOptions extends LocalOptions {
  /** The folder of the store; made when missing, private to this user. */
  readonly folder: string
  /** Goes on from exactly this revision although the witness saw a later one. */
  readonly acceptRevision?: number | undefined
  /** Opens the disk; tests wrap it to add faults. */
  readonly openDisk?: (folder: string) => Promise<OrderedDisk>
  /** Writes to files of the journal; tests wrap it likewise. */
  readonly writeJournal?: WriteSynced
}

/** Opens (creates) a store on disk. Throws OperatingError `locked`, `disk` or `damaged`. */
export async function openLevelStore(options: LevelOptions): Promise<LocalStore> {
  const files = folderFiles(options.folder)
  const disk = await openDisk(options, files)
  let witness: Witness | undefined
  let persistence: LevelPersistence | undefined
  try {
    witness = openWitness(files.witness)
    persistence = new LevelPersistence(disk, witness, files, options)
    const loaded = await persistence.load()
    return new LocalStore(persistence, loaded, options)
  } catch (error) {
    witness?.close()
    await persistence?.letGo()
    await disk.close()
    const isDamage = error instanceof OperatingError && error.code === OperatingCode.damaged
    const isNamed = isDamage && error.message.startsWith(`the store in ${options.folder}`)
    throw isDamage && !isNamed ? damaged(files, error.message, error) : error
  }
}

interface Files {
  readonly folder: string
  readonly data: string
  readonly witness: string
  /** The folder of cold rows. */
  readonly cold: string
  /** The folder of records that ride with no write. */
  readonly journal: string
  readonly holder: string
}

function folderFiles(folder: string): Files {
  return {
    folder,
    data: join(folder, 'store'),
    witness: join(folder, 'witness'),
    cold: join(folder, 'cold'),
    journal: join(folder, 'journal'),
    holder: join(folder, 'holder.pid'),
  }
}

async function openDisk(options: LevelOptions, files: Files): Promise<OrderedDisk> {
  try {
    makeFolder(files.data)
  } catch (error) {
    throw new OperatingError(OperatingCode.disk, `cannot make ${files.data}: ${messageOf(error)}`)
  }
  let disk: OrderedDisk | undefined
  try {
    disk = await (options.openDisk ?? openLevelDisk)(files.data)
    writeFileSync(files.holder, `${process.pid}\n`, { mode: 0o600 })
    return disk
  } catch (error) {
    await disk?.close()
    if (!(error instanceof OperatingError)) {
      throw new OperatingError(OperatingCode.disk, messageOf(error), 'none', error)
    }
    if (error.code === OperatingCode.locked) {
      throw new OperatingError(
        OperatingCode.locked,
        `the folder ${files.folder} is in use by ${holderOf(files)}; ` +
          'stop that process or give this one another -data-dir',
        'none',
        error,
      )
    }
    if (error.code === OperatingCode.damaged) throw damaged(files, error.message, error)
    throw new OperatingError(error.code, `cannot open ${files.folder}: ${error.message}`)
  }
}

/** One by one: a recursive mkdir says 'no such file' where the disk is read-only. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

function holderOf(files: Files): string {
  try {
    return `process ${Number(readFileSync(files.holder, 'utf8'))}`
  } catch {
    return 'another process'
  }
}

function damaged(files: Files, what: string, cause?: unknown): OperatingError {
  return new OperatingError(
    OperatingCode.damaged,
    `the store in ${files.folder} is damaged: ${what}. It was not opened. ` +
      'Restore a snapshot into a new folder, or put back a copy of this folder',
    'none',
    cause,
  )
}

/** Behind the cold rows of all generations. */
const COLD_END = Buffer.from('d')

/** Up to where the log is forgotten, and the chain there. */
type Floor = Pick<Head, 'logFloor' | 'logFloorChain'>

/** What the log told. */
interface Walked {
  readonly touched: Map<string, Revision>
  /** The chain at the revision of the witness. */
  readonly witnessed: Buffer | undefined
  /** The last write of each cold row that its file may lack. */
  readonly cold: ReadonlyMap<Bytes, RowWrite>
}

class LevelPersistence implements Persistence {
  readonly engine = 'level'
  readonly supports = { durable: true, shared: false, transactionOps: limits.transactionOps }
  readonly #disk: OrderedDisk
  readonly #files: Files
  readonly #options: LevelOptions
  readonly #tables: TableSet
  readonly #witness: Witness
  #head!: Head
  #journal!: JournalBook
  readonly #journalFiles: JournalFiles
  #cold!: ColdFiles
  #chain: Buffer = CHAIN_START
  #kept = new KeptRecords(revision(0))

  constructor(disk: OrderedDisk, witness: Witness, files: Files, options: LevelOptions) {
    this.#disk = disk
    this.#witness = witness
    this.#files = files
    this.#options = options
    this.#tables = new TableSet(options.tables)
    this.#journalFiles = new JournalFiles(files.journal, options.writeJournal)
  }

  get compacted(): Revision {
    return revision(this.#head.logFloor)
  }

  async load(): Promise<Opened> {
    const head = await this.#readHead()
    this.#head = head
    const version = await this.#loadRows(head)
    const { touched, witnessed, cold } = await this.#walkLog(head, version)
    const { last } = this.#witness
    const isAccepted = this.#options.acceptRevision === head.revision
    const journal = last?.journal
    const opened = await openJournal(this.#disk, this.#journalFiles, head, journal, isAccepted)
    if ('damage' in opened) {
      const way = wayOut(head, 'what of it is damaged')
      throw damaged(this.#files, `of its audit journal, ${opened.damage}. ${way}`)
    }
    this.#checkWitness(head, witnessed)
    // Nothing is written before everything was found whole.
    this.#cold = this.#coldFiles(head.generation, head.cold)
    const lost = await this.#cold.mend(cold)
    if (lost !== '' && !isAccepted) {
      throw damaged(this.#files, `${lost}. ${wayOut(head, 'what of it is damaged')}`)
    }
    if (lost !== '') await this.#writeHead({ cold: this.#cold.forgive(head.revision) })
    await this.#mendJournal(opened)
    this.#witness.reset(head.revision, this.#chain, opened.book.head)
    await this.#dropOtherGenerations(head.generation)
    await dropOtherFiles(this.#files.cold, head.generation)
    this.#journal = opened.book
    return { ...this.#loaded(version, touched), journal: opened.book }
  }

  async #writeHead(changed: Partial<Head>, ops: readonly DiskOp[] = []): Promise<void> {
    const head: Head = { ...this.#head, ...changed }
    await this.#disk.batch([...ops, { key: HEAD_KEY, value: encodeHead(head) }], { sync: true })
    this.#head = head
  }

  #coldFiles(generation: number, state?: ColdState): ColdFiles {
    return new ColdFiles(this.#disk, this.#files.cold, generation, state)
  }

  /** Takes away what a journal holds that was not finished, or that was accepted as damage. */
  async #mendJournal({ book, ops, end }: OpenedJournal): Promise<void> {
    if (ops.length > 0) await this.#writeHead({ journal: headOf(book.head, book.floor) }, ops)
    await this.#journalFiles.settle(end, book.floor.sequence)
  }

  #loaded(version: Version, touched: ReadonlyMap<string, Revision>): Loaded {
    const { clusterId, generation, indexOffset, logFloor } = this.#head
    const compacted = revision(logFloor)
    return { version, clusterId, generation, indexOffset, compacted, touched }
  }

  async #readHead(): Promise<Head> {
    const record = await this.#disk.get(HEAD_KEY)
    if (record !== undefined) {
      const head = decodeHead(record)
      if (head === undefined) throw damaged(this.#files, 'its head record does not match its sum')
      if (head.format !== HEAD_FORMAT) {
        throw new OperatingError(
          OperatingCode.damaged,
          `the store in ${this.#files.folder} has format ${head.format}, which this version ` +
            'does not know: it was written by a newer one',
        )
      }
      return head
    }
    for await (const _page of this.#disk.scan(Buffer.from([0]), Buffer.from([255]))) {
      throw damaged(this.#files, 'its head record is missing')
    }
    if (this.#witness.last !== undefined) {
      const { revision: seen } = this.#witness.last
      throw damaged(this.#files, `it is empty, and was at revision ${seen} before`)
    }
    return await this.#create()
  }

  async #create(): Promise<Head> {
    const chain = CHAIN_START.toString('hex')
    const head: Head = {
      format: HEAD_FORMAT,
      clusterId: this.#options.random.uuid(),
      generation: 1,
      indexOffset: 0,
      revision: 0,
      chain,
      sum: 0,
      rows: 0,
      logFloor: 0,
      logFloorChain: chain,
    }
    await this.#disk.batch([{ key: HEAD_KEY, value: encodeHead(head) }], { sync: true })
    return head
  }

  /** What a restore that was cut off, or the one before, left behind. */
  async #dropOtherGenerations(generation: number): Promise<void> {
    await this.#disk.clear(coldKey(0, ''), coldKey(generation, ''))
    await this.#disk.clear(coldKey(generation + 1, ''), COLD_END)
    await this.#disk.clear(rowKey(0, ''), rowKey(generation, ''))
    await this.#disk.clear(rowKey(generation + 1, ''), ROWS_END)
  }

  async #loadRows(head: Head): Promise<Version> {
    const version = new Version(this.#options.tables)
    const cells = new Map<AnyTable, Cell<unknown>[]>()
    let sum = 0
    for await (const page of this.#disk.scan(...rowRange(head.generation))) {
      for (const [diskKey, record] of page) {
        const fullKey = fullKeyOf(diskKey)
        const row = decodeRow(record, value => rowSum(fullKey, value))
        if (row === undefined) throw damaged(this.#files, 'a row does not match its sum')
        const table = this.#tables.of(fullKey)
        const cell = toCell(table, fullKey, row.value, row.header, head.indexOffset)
        const ofTable = cells.get(table)
        if (ofTable === undefined) cells.set(table, [cell])
        else ofTable.push(cell)
        sum = addSums(sum, row.recordSum)
      }
    }
    for (const [table, ofTable] of cells) version.load(table, ofTable)
    if (sum !== head.sum || version.rows !== head.rows) {
      throw damaged(
        this.#files,
        `it has ${version.rows} rows where it should have ${head.rows}, ` +
          'or rows of another time',
      )
    }
    version.revision = revision(head.revision)
    version.setFloor(revision(head.logFloor))
    return version
  }

  /** Proves that the log is whole, and takes from it what rows alone do not tell. */
  async #walkLog(head: Head, version: Version): Promise<Walked> {
    const touched = new Map<string, Revision>()
    const cold = new Map<Bytes, RowWrite>()
    let witnessed: Buffer | undefined
    this.#kept = new KeptRecords(revision(head.logFloor))
    let expected = head.logFloor + 1
    let chain: Buffer = Buffer.from(head.logFloorChain, 'hex')
    for await (const page of this.#disk.scan(...LOG_RANGE)) {
      for (const [key, bytes] of page) {
        const record = decodeLog(key, bytes)
        if (record === undefined) throw damaged(this.#files, 'a log record does not match its sum')
        if (record.first !== expected || !record.previousChain.equals(chain)) {
          throw damaged(this.#files, `log records are missing before revision ${record.first}`)
        }
        chain = chainAfter(bytes)
        expected = record.last + 1
        if (record.last === this.#witness.last?.revision) witnessed = chain
        this.#kept.add(record.last, bytes.length)
        for (const [name, at] of record.touched) touched.set(name, at)
        for (const write of record.writes) {
          const { isCold } = this.#tables.of(write.fullKey)
          if (isCold && write.at > (head.cold?.synced ?? 0)) cold.set(write.fullKey, write)
          if (!isCold && write.value === undefined) this.#bury(version, write.fullKey, write.at)
        }
      }
    }
    if (expected !== head.revision + 1 || chain.toString('hex') !== head.chain) {
      throw damaged(this.#files, `its log ends at revision ${expected - 1}, not ${head.revision}`)
    }
    this.#chain = chain
    return { touched, witnessed, cold }
  }

  #bury(version: Version, fullKey: string, at: Revision): void {
    const table = this.#tables.of(fullKey)
    const key = fullKey.slice(table.prefix.length)
    if (version.get(table, key) === undefined) version.apply(table, key, undefined, at)
  }

  /** `witnessed` is the chain at the witness's revision, where the log still knows it. */
  #checkWitness(head: Head, witnessed: Buffer | undefined): void {
    const { last } = this.#witness
    const { acceptRevision } = this.#options
    const way = wayOut(head, 'what came after it')
    if (acceptRevision === head.revision) return
    if (last === undefined) {
      if (head.revision === 0) return
      throw damaged(this.#files, `its witness file is missing or unreadable. ${way}`)
    }
    if (last.revision > head.revision) {
      throw damaged(
        this.#files,
        `it is at revision ${head.revision} and was at ${last.revision} before. ${way}`,
      )
    }
    const atThatTime = last.revision === head.revision ? this.#chain : witnessed
    if (atThatTime !== undefined && !atThatTime.equals(last.chain)) {
      throw damaged(this.#files, `its history differs from what its witness saw. ${way}`)
    }
  }

  async persist(batch: Batch): Promise<void> {
    const isOfRecords = batch.writes.length === 0 && batch.trim === undefined
    await (isOfRecords ? this.#journalFiles.append(batch.records) : this.#persistBatch(batch))
    const { revision: at } = this.#head
    this.#witness.note(at, this.#chain, batch.records.at(-1) ?? this.#journal.head)
  }

  async #persistBatch(batch: Batch): Promise<void> {
    const { ops, sum } = this.#rowOps(batch)
    const cold = await this.#cold.stage(batch.writes)
    for (const op of cold?.ops ?? []) ops.push(op)
    const log = batch.changes.length === 0 ? undefined : this.#logOf(batch)
    if (log !== undefined) ops.push({ key: logKey(batch.changes[0]!.revision), value: log })
    const chain = log === undefined ? this.#chain : chainAfter(log)
    const floor = await this.#trim(limits.logKeptSizeBytes, ops)
    let state = cold?.state ?? this.#head.cold
    // What the log forgets is to be in the files.
    if (state !== undefined && (floor !== undefined || this.#cold.needsSync(state))) {
      state = await this.#cold.synced(state, batch.revision)
    }
    const head: Head = {
      ...this.#head,
      ...floor,
      ...(state !== undefined && { cold: state }),
      ...this.#journalOps(batch, ops),
      revision: batch.revision,
      chain: chain.toString('hex'),
      sum,
      rows: batch.rows,
    }
    ops.push({ key: HEAD_KEY, value: encodeHead(head) })
    await this.#disk.batch(ops, { sync: true })
    if (state !== undefined) await this.#cold.took({ state })
    await this.#dropJournal(head)
    this.#head = head
    this.#chain = chain
    if (log !== undefined) this.#kept.add(batch.revision, log.length)
  }

  #logOf(batch: Batch): Buffer {
    return encodeLog({
      first: batch.changes[0]!.revision,
      last: batch.revision,
      previousChain: this.#chain,
      writes: batch.writes,
      touched: batch.touched,
    })
  }

  /** Adds the records of the journal and its trim; gives what the head says of it then. */
  #journalOps({ records, trim }: Batch, ops: DiskOp[]): Pick<Head, 'journal'> | undefined {
    const { head, floor } = this.#journal
    const last = records.at(-1) ?? head
    if (last.sequence === 0) return undefined
    for (let at = 0; at < records.length; at += limits.journalBlockRecords) {
      const block = records.slice(at, at + limits.journalBlockRecords)
      ops.push({ key: journalKey(block[0]!.sequence), value: encodeJournal(block) })
    }
    const trimmed = trim !== undefined && trim.sequence > floor.sequence ? trim : floor
    return { journal: headOf(last, trimmed) }
  }

  /** Deletes what a head says is trimmed. What a crash leaves over goes when the store opens. */
  async #dropJournal({ journal }: Head): Promise<void> {
    const before = this.#head.journal?.floor ?? 0
    if (journal === undefined || journal.floor === before) return
    await this.#disk.clear(journalKey(before + 1), journalKey(journal.floor + 1))
    this.#journalFiles.drop(journal.floor)
  }

  records(from: number, limit: number): Promise<JournalRecord[]> {
    return readRecords(this.#disk, this.#journalFiles, from, limit)
  }

  readonly cold: ColdDisk = {
    read: range => this.#readCold(range),
    freeze: () => this.#cold.freeze(),
  }

  /** What was read of a generation that a restore ended meanwhile is read of the new one. */
  async #readCold(range: ColdRange): Promise<readonly StoredCold[]> {
    for (;;) {
      const files = this.#cold
      try {
        const rows = await files.read(range)
        if (files === this.#cold) return rows
      } catch (error) {
        if (files === this.#cold) throw error
      }
    }
  }

  /**
   * What a batch writes of rows, and the sum of the records of all rows after it: each that is put,
   * less each whose place it takes. Where it replaces what it put itself, each row's last write is
   * enough: the log has the others, and a row that is written again and again would take twice the
   * bytes. Most batches do not, and gather no keys for it.
   */
  #rowOps({ writes, changes }: Batch): { readonly ops: DiskOp[]; readonly sum: number } {
    const { generation, revision: durable } = this.#head
    let { sum } = this.#head
    let isReplacing = false
    for (const { events } of changes) {
      for (const { before } of events) {
        if (before === undefined) continue
        if (before.modRevision > durable) isReplacing = true
        else sum = addSums(sum, -recordSum(before))
      }
    }
    const last = isReplacing ? new Map(writes.map(write => [write.fullKey, write])) : undefined
    const ops: DiskOp[] = []
    for (const write of writes) {
      if (write.isCold === true || (last !== undefined && last.get(write.fullKey) !== write)) {
        continue
      }
      const { value } = write
      const record = value === undefined ? undefined : encodeRow(write, value)
      if (record !== undefined) sum = addSums(sum, sumIn(record, write.lease))
      ops.push({ key: rowKey(generation, write.fullKey), value: record })
    }
    return { ops, sum }
  }

  /** Drops the oldest log records down to a size, in halves; gives the new floor. */
  async #trim(keepSizeBytes: number, ops: DiskOp[]): Promise<Floor | undefined> {
    if (this.#kept.sizeBytes <= 2 * keepSizeBytes) return undefined
    return await this.#drop(this.#kept.countAbove(keepSizeBytes), ops)
  }

  /** Drops the oldest log records: the next one on disk knows the chain before it. */
  async #drop(count: number, ops: DiskOp[]): Promise<Floor> {
    let chain: Buffer = this.#chain
    if (count < this.#kept.count) {
      const key = logKey(this.#kept.firstOf(count))
      const bytes = await this.#disk.get(key)
      const next = bytes === undefined ? undefined : decodeLog(key, bytes)
      if (next === undefined) throw damaged(this.#files, 'a log record is lost')
      chain = next.previousChain
    }
    this.#dropKeys(count, ops)
    return { logFloor: this.#kept.drop(count), logFloorChain: chain.toString('hex') }
  }

  #dropKeys(count: number, ops: DiskOp[]): void {
    for (let i = 0; i < count; i++) {
      ops.push({ key: logKey(this.#kept.firstOf(i)), value: undefined })
    }
  }

  async compact(upTo: Revision): Promise<void> {
    const count = this.#kept.countUpTo(upTo)
    if (count === 0) return
    const ops: DiskOp[] = []
    const { cold: before, revision: at } = this.#head
    const cold = before === undefined ? undefined : await this.#cold.synced(before, at)
    const floor = await this.#drop(count, ops)
    const head: Head = { ...this.#head, ...floor, ...(cold !== undefined && { cold }) }
    ops.push({ key: HEAD_KEY, value: encodeHead(head) })
    await this.#disk.batch(ops, { sync: true })
    if (cold !== undefined) await this.#cold.took({ state: cold })
    this.#head = head
  }

  async history(after: Revision, limit: number): Promise<Change[] | undefined> {
    if (after < this.#head.logFloor) return undefined
    const older = this.#kept.countUpTo(after)
    if (older === this.#kept.count) return []
    let expected = this.#kept.firstOf(older)
    const changes = new Map<Revision, Event[]>()
    for await (const page of this.#disk.scan(logKey(expected), LOG_RANGE[1])) {
      for (const [key, bytes] of page) {
        const record = decodeLog(key, bytes)
        if (record?.first !== expected) throw damaged(this.#files, 'a log record is lost')
        expected = revision(record.last + 1)
        for (const write of record.writes) {
          if (write.at <= after) continue
          const events = changes.get(write.at) ?? []
          if (!this.#tables.of(write.fullKey).isCold) events.push(this.#eventOf(write))
          changes.set(write.at, events)
        }
        if (changes.size >= limit) return toChanges(changes)
      }
    }
    return toChanges(changes)
  }

  #eventOf({ fullKey, value, at, createRevision, version, lease }: Batch['writes'][number]): Event {
    const table = this.#tables.of(fullKey)
    const key = fullKey.slice(table.prefix.length)
    const header = { createRevision, modRevision: at, version, lease }
    const after =
      value === undefined
        ? undefined
        : toCell(table, fullKey, value, header, this.#head.indexOffset)
    return { table, key, before: undefined, after }
  }

  async restore(content: RestoreContent, from: Revision): Promise<Loaded> {
    const coldFiles = this.#coldFiles(this.#head.generation + 1)
    try {
      return await this.#restoreInto(coldFiles, content, from)
    } catch (error) {
      if (this.#cold !== coldFiles) await coldFiles.retire()
      throw error
    }
  }

  async #restoreInto(
    coldFiles: ColdFiles,
    content: RestoreContent,
    from: Revision,
  ): Promise<Loaded> {
    const at = revision(from + 1)
    const generation = this.#head.generation + 1
    const indexOffset = offsetAbove(content, from, this.#head.indexOffset)
    // A restore that failed may have left rows there.
    await this.#disk.clear(...rowRange(generation))
    await this.#disk.clear(...coldRange(generation))
    await coldFiles.wipe()
    const cold: RowWrite[] = []
    const ops: DiskOp[] = []
    let sizeBytes = 0
    let sum = 0
    // Synced each: LevelDB changes its log file on the way, and a later sync covers only the last.
    const flush = async (): Promise<void> => {
      sizeBytes = 0
      const staged = await coldFiles.stage(cold.splice(0))
      if (staged !== undefined) {
        ops.push(...staged.ops)
        await coldFiles.took(staged)
      }
      await this.#disk.batch(ops.splice(0), { sync: true })
    }
    const { version, touched } = await loadRestored(
      content,
      this.#tables,
      at,
      indexOffset,
      async (fullKey, value, { isCold }) => {
        const header = { createRevision: at, modRevision: at, version: 1, lease: '' }
        const row = { ...header, at, fullKey, value, sum: rowSum(fullKey, value) }
        sizeBytes += value.length
        if (isCold) cold.push({ ...row, isCold })
        else {
          sum = addSums(sum, recordSum(row))
          ops.push({ key: rowKey(generation, fullKey), value: encodeRow(row, value) })
        }
        if (ops.length + cold.length >= limits.batchRows || sizeBytes >= limits.batchSizeBytes)
          await flush()
      },
    )
    await flush()
    const state = await coldFiles.synced(coldFiles.state, at)
    await coldFiles.took({ state })
    await this.#flip(version, { generation, indexOffset, sum, cold: state }, coldFiles)
    return this.#loaded(version, touched)
  }

  /** One synced batch makes the new generation the store; the old one is dropped afterwards. */
  async #flip(
    version: Version,
    made: Pick<Head, 'generation' | 'indexOffset' | 'sum'> & { readonly cold: ColdState },
    coldFiles: ColdFiles,
  ): Promise<void> {
    const ops: DiskOp[] = []
    this.#dropKeys(this.#kept.count, ops)
    const chain = chainAfter(
      Buffer.concat([this.#chain, Buffer.from(`restore ${made.generation}`)]),
    )
    const head: Head = {
      ...this.#head,
      ...made,
      clusterId: this.#options.random.uuid(),
      revision: version.revision,
      chain: chain.toString('hex'),
      rows: version.rows,
      logFloor: version.revision,
      logFloorChain: chain.toString('hex'),
    }
    ops.push({ key: HEAD_KEY, value: encodeHead(head) })
    await this.#disk.batch(ops, { sync: true })
    this.#head = head
    this.#chain = chain
    const before = this.#cold
    this.#cold = coldFiles
    await before.retire()
    this.#kept = new KeptRecords(version.revision)
    this.#witness.note(head.revision, chain, this.#journal.head)
    await this.#dropOtherGenerations(head.generation)
  }

  /** Closes the files of cold rows and of the journal. */
  async letGo(): Promise<void> {
    await this.#cold?.close()
    await this.#journalFiles.close()
  }

  async close(): Promise<void> {
    this.#witness.close()
    await this.letGo()
    await this.#disk.close()
  }
}

/** What an operator does who would rather go on than restore. */
const wayOut = ({ revision: at }: Head, loss: string): string =>
  `To go on from revision ${at} and lose ${loss}, ` + `start once with -store-accept-revision=${at}`

function openWitness(path: string): Witness {
  try {
    return new Witness(path)
  } catch (error) {
    throw new OperatingError(OperatingCode.disk, `cannot open ${path}: ${messageOf(error)}`)
  }
}

function toChanges(byRevision: ReadonlyMap<Revision, Event[]>): Change[] {
  return [...byRevision].map(([at, events]) => ({ revision: at, events }))
}
