/**
 * The only importer of `level`: an ordered store of bytes on disk, with synced atomic batches.
 *
 * Owns opening, the mapping of its errors to ours, and paging. Must never be trusted to notice
 * damage: LevelDB 1.20 skips torn log records and reads tables unchecked. Whoever stores here
 * checks his own records.
 */
import { existsSync, readdirSync } from 'node:fs'
import { Level } from 'level'
import { OperatingCode, OperatingError } from '../errors.ts'
import { limits } from '../limits.ts'
import { checkLevelTables } from './level-tables.ts'

/** One operation of a batch; without a value the key is deleted. */
export interface DiskOp {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

/** What may be read in order. */
export interface DiskReader {
  /**
   * Entries from `from` up to, not including, `to`, in pages, of about `pageEntries` where that
   * many are wanted.
   */
  scan(from: Buffer, to: Buffer, pageEntries?: number): AsyncIterable<[Buffer, Buffer][]>
  close(): Promise<void>
}

/** A disk that keeps keys in order. The port that fault wrappers in tests stand in for. */
export interface OrderedDisk extends DiskReader {
  get(key: Buffer): Promise<Buffer | undefined>
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]>
  /** Applies all or nothing; with `sync` it resolves once the disk has it. */
  batch(ops: readonly DiskOp[], options: { sync: boolean }): Promise<void>
  /** Deletes all keys from `from` up to, not including, `to`. */
  clear(from: Buffer, to: Buffer): Promise<void>
  /** What is there now, held still until it is closed. */
  pin(): DiskReader
}

const PAGE_ENTRIES = 1_000
const ENCODING = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/** Opens (creates) a folder. Throws OperatingError `locked`, `disk` or `damaged`. */
export async function openLevelDisk(folder: string): Promise<OrderedDisk> {
  // Before the database is made: it opens by itself, wanted or not.
  checkCurrent(folder)
  checkLevelTables(folder)
  const db = new Level<Buffer, Buffer>(folder, {
    ...ENCODING,
    createIfMissing: true,
    errorIfExists: false,
    compression: true,
    writeBufferSize: 4_194_304,
    cacheSize: 8_388_608,
  })
  try {
    await db.open()
  } catch (error) {
    throw toOperatingError(error, OperatingCode.damaged)
  }
  const free: NativeBatch[] = []
  return {
    get: key => guarded(db.get(key, ENCODING), OperatingCode.damaged),
    getMany: keys => guarded(db.getMany(keys, ENCODING), OperatingCode.damaged),
    batch: (ops, { sync }) => guarded(write(db, free, ops, sync)),
    clear: (from, to) => guarded(db.clear({ ...ENCODING, gte: from, lt: to })),
    close: () => guarded(db.close()),
    scan: (from, to, pageEntries) => entries(db, from, to, pageEntries),
    pin() {
      const snapshot = db.snapshot()
      return {
        scan: (from, to, pageEntries) => entries(db, from, to, pageEntries, { snapshot }),
        close: () => guarded(snapshot.close()),
      }
    },
  }
}

async function* entries(
  db: Level<Buffer, Buffer>,
  from: Buffer,
  to: Buffer,
  pageEntries = PAGE_ENTRIES,
  options: object = {},
): AsyncGenerator<[Buffer, Buffer][]> {
  const range = { gte: from, lt: to, fillCache: false }
  const iterator = db.iterator({ ...ENCODING, ...range, ...options })
  try {
    const next = (): Promise<[Buffer, Buffer][]> => {
      const page = guarded(iterator.nextv(pageEntries), OperatingCode.damaged)
      page.catch(() => {}) // Told when it is awaited, which may be never.
      return page
    }
    // The next page is read while the caller works on this one, where it may want one.
    const isWhole = pageEntries === PAGE_ENTRIES
    for (let page = await next(); page.length > 0; ) {
      const reading = isWhole ? next() : undefined
      yield page
      page = await (reading ?? next())
    }
  } finally {
    await iterator.close()
  }
}

/** Where CURRENT alone is missing LevelDB would start anew and delete all that it finds. */
function checkCurrent(folder: string): void {
  const names = existsSync(folder) ? readdirSync(folder) : []
  const holdsData = names.some(name => /\.(ldb|sst|log)$/.test(name))
  if (!holdsData || names.includes('CURRENT')) return
  throw new OperatingError(OperatingCode.damaged, 'its file CURRENT is missing')
}

/** What a database and a chained batch of its own have for their implementations. */
interface NativeBatch {
  _put(key: Buffer, value: Buffer): void
  _del(key: Buffer): void
  _clear(): void
  _write(options: { readonly sync: boolean }): Promise<void>
  /** The database holds it until then. */
  close(): Promise<void>
}
interface NativeLevel {
  _chainedBatch(): NativeBatch
}

/**
 * Writes by one of the batches that are `free`, which are used again: with a list of operations it
 * took six times as long until the disk had it to do (1.6 and 0.27 µs an operation).
 */
async function write(
  db: Level<Buffer, Buffer>,
  free: NativeBatch[],
  ops: readonly DiskOp[],
  sync: boolean,
): Promise<void> {
  if (ops.length === 0) return
  // The implementation takes it for granted.
  if (db.status !== 'open') throw new Error('the database is not open')
  const batch = free.pop() ?? (db as unknown as NativeLevel)._chainedBatch()
  let sizeBytes = 0
  for (const { key, value } of ops) {
    sizeBytes += key.length + (value?.length ?? 0)
    if (value === undefined) batch._del(key)
    else batch._put(key, value)
  }
  let isKept = false
  try {
    await batch._write({ sync })
    batch._clear()
    isKept = sizeBytes <= limits.levelBatchKeptSizeBytes
  } finally {
    if (isKept) free.push(batch)
    else await batch.close()
  }
}

/** `otherwise`: what it is where the error does not say: reading fails where files are damaged. */
async function guarded<T>(
  work: Promise<T>,
  otherwise: OperatingCode = OperatingCode.disk,
): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw toOperatingError(error, otherwise)
  }
}

/** The system's own reasons, as strerror puts them. */
const SYSTEM =
  /no space left|read-only file system|permission denied|input\/output error|too many open files/i
const DAMAGE = /corruption|bad block|checksum|missing files/i

function toOperatingError(error: unknown, otherwise: OperatingCode): OperatingError {
  const causes: string[] = []
  let code = ''
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    causes.push(at.message)
    code = (at as { code?: string }).code ?? code
  }
  const text = causes.join(': ')
  if (code === 'LEVEL_LOCKED') return new OperatingError(OperatingCode.locked, text)
  if (SYSTEM.test(text)) return new OperatingError(OperatingCode.disk, text, 'unknown', error)
  if (DAMAGE.test(text)) return new OperatingError(OperatingCode.damaged, text, 'none', error)
  const outcome = otherwise === OperatingCode.damaged ? 'none' : 'unknown'
  return new OperatingError(otherwise, text, outcome, error)
}
