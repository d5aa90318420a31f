/**
 * The archive: a whole store in one file, to keep, to restore, and to move between engines.
 *
 * Owns the format: a gzipped tar of `meta.json`, `state.bin` and `SHA256SUMS`, whose outside is
 * that of Consul's snapshots, so that its tools can save and check one; `state.bin` is ours. Rows
 * travel with the indexes that clients saw; what belongs to the running servers stays behind. Where
 * Vault's clients ask, the sums stand there sealed too: they take no archive without.
 * Never trusts a length, a name or a sum that an archive states, and changes nothing before all of
 * it was found whole.
 */
import { createHash, type Hash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { pipeline as whole } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { extract, type Pack, pack } from 'tar-stream'
import { type Bytes, fromBuffer, toBuffer } from '../base/bytes.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { inSlices } from '../base/slices.ts'
import type { Frozen } from './cold.ts'
import type { Committed, RestoredRow, Store } from './store.ts'
import type { AnyTable } from './table.ts'

const META = 'meta.json'
const STATE = 'state.bin'
const SUMS = 'SHA256SUMS'
const SEALED_SUMS = 'SHA256SUMS.sealed'

/** What `state.bin` begins with; the number is that of the format. */
const MAGIC = Buffer.from('gatehouse state 1\n')
const INDEX_SIZE_BYTES = 6
const INDEX_MAX = 2 ** 47
const ROW_FIXED_SIZE_BYTES = 2 + 4 + 2 * INDEX_SIZE_BYTES
const CHUNK_SIZE_BYTES = 65_536
/** Nothing in it depends on when it was made: equal stores give equal archives. */
const NO_TIME = new Date(0)

/** What an archive says of itself. The names are those of Consul's. */
export interface Meta {
  readonly Version: number
  readonly ID: string
  readonly Index: number
  readonly Term: number
  readonly Peers: null
  readonly Configuration: { readonly Servers: readonly never[] }
  readonly ConfigurationIndex: number
  readonly Size: number
}

/** Archives of one store, as faces and schedules use them. */
export interface Snapshots {
  /** The index that an archive made now has at least. */
  index(): number
  /** An archive of the store as it is when the first piece is asked for. */
  save(seal?: SealSums): AsyncGenerator<Buffer, void, undefined>
  /** Sees to it that what is saved has all that was answered anywhere. Rejects without a quorum. */
  confirm(): Promise<unknown>
  /** Puts the content of an archive in the place of the store's. */
  restore(archive: AsyncIterable<Buffer>): Promise<Refusal | undefined>
}

/** Seals the sums of an archive under the keys of whoever asks for it. */
export type SealSums = (sums: string) => Buffer

// --- saving

/**
 * The archive of one view of the store, frozen when the first piece is asked for; with its sums
 * sealed where `seal` is given. Throws OperatingError `limit` when the store is larger than what
 * can be restored.
 */
export async function* saveSnapshot(
  store: Store,
  tables: readonly AnyTable[],
  seal?: SealSums,
): AsyncGenerator<Buffer, void, undefined> {
  const frozen = await store.freeze()
  try {
    yield* saveFrozen(frozen, tables, seal)
  } finally {
    await frozen.release()
  }
}

async function* saveFrozen(
  frozen: Frozen,
  tables: readonly AnyTable[],
  seal: SealSums | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { index, generation } = frozen
  const kept = tables
    .filter(({ internal, ofCluster }) => !internal && !ofCluster)
    .toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1))
  const meta: Meta = {
    Version: 1,
    ID: `${generation}-${index}`,
    Index: index,
    Term: generation,
    Peers: null,
    Configuration: { Servers: [] },
    ConfigurationIndex: 0,
    Size: await stateSize(frozen, kept),
  }
  const tar = pack()
  const gzip = createGzip()
  const filled = fill(tar, meta, stateChunks(frozen, kept), seal)
  // A failure of the one ends the other; it is thrown below, once.
  filled.catch((error: Error) => tar.destroy(error))
  pipeline(tar, gzip, () => {})
  try {
    for await (const chunk of gzip) yield chunk as Buffer
    await filled
  } finally {
    tar.destroy()
    gzip.destroy()
  }
}

type View = ReturnType<Store['view']>

/** A row as an archive holds it. */
interface KeptRow {
  readonly table: AnyTable
  readonly key: Bytes
  readonly body: Buffer
  readonly createIndex: number
  readonly modifyIndex: number
}

/** The rows of a table that an archive holds, in the order of their keys. */
function* keptRows(view: View, table: AnyTable): Iterable<KeptRow> {
  for (const cell of view.entries<unknown>(table)) {
    if (cell.lease !== '') continue
    const { key, row, createIndex, modifyIndex } = cell
    yield { table, key, body: table.codec.encode(row), createIndex, modifyIndex }
  }
}

/** The same of several tables, some of them cold, in parts. */
async function* keptParts(
  frozen: Frozen,
  tables: readonly AnyTable[],
): AsyncGenerator<Iterable<KeptRow>> {
  for (const table of tables) {
    if (!table.isCold) yield keptRows(frozen.view, table)
    else for await (const page of frozen.cold(table)) yield page.map(row => ({ table, ...row }))
  }
}

/** A tar names the size of a file before its content: rows are encoded once for that alone. */
async function stateSize(frozen: Frozen, tables: readonly AnyTable[]): Promise<number> {
  let sizeBytes = MAGIC.length
  for (const table of tables) {
    const fixedSizeBytes = ROW_FIXED_SIZE_BYTES + table.prefix.length
    if (table.isCold) {
      const cold = await frozen.coldSize(table)
      sizeBytes += cold.rows * fixedSizeBytes + cold.sizeBytes
    } else {
      await inSlices(keptRows(frozen.view, table), ({ key, body }) => {
        sizeBytes += fixedSizeBytes + key.length + body.length
      })
    }
  }
  if (sizeBytes <= limits.archiveSizeBytes) return sizeBytes
  throw new OperatingError(
    OperatingCode.limit,
    `the store of ${sizeBytes} bytes is too large for an archive, ` +
      `max size: ${limits.archiveSizeBytes} bytes`,
  )
}

async function* stateChunks(
  frozen: Frozen,
  tables: readonly AnyTable[],
): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [MAGIC]
  let sizeBytes = MAGIC.length
  for await (const rows of keptParts(frozen, tables)) {
    for (const kept of rows) {
      const row = encodeRow(kept)
      parts.push(row)
      sizeBytes += row.length
      if (sizeBytes < CHUNK_SIZE_BYTES) continue
      yield Buffer.concat(parts, sizeBytes)
      parts = []
      sizeBytes = 0
    }
  }
  yield Buffer.concat(parts, sizeBytes)
}

function encodeRow({ table, key: inTable, body, createIndex, modifyIndex }: KeptRow): Buffer {
  const key = toBuffer(table.prefix + inTable)
  const head = Buffer.allocUnsafe(ROW_FIXED_SIZE_BYTES)
  let at = head.writeUInt16BE(key.length, 0)
  at = head.writeUInt32BE(body.length, at)
  at = head.writeUIntBE(createIndex, at, INDEX_SIZE_BYTES)
  head.writeUIntBE(modifyIndex, at, INDEX_SIZE_BYTES)
  return Buffer.concat([head, key, body])
}

async function fill(
  tar: Pack,
  meta: Meta,
  state: AsyncIterable<Buffer>,
  seal: SealSums | undefined,
): Promise<void> {
  const metaText = `${JSON.stringify(meta)}\n`
  const sum = createHash('sha256')
  tar.entry({ name: META, mtime: NO_TIME }, metaText)
  const summed = async function* (): AsyncIterable<Buffer> {
    for await (const chunk of state) {
      sum.update(chunk)
      yield chunk
    }
  }
  await whole(
    // One piece at a time: each is encoded when the last one was taken.
    Readable.from(summed(), { highWaterMark: 1 }),
    tar.entry({ name: STATE, size: meta.Size, mtime: NO_TIME }) as unknown as NodeJS.WritableStream,
  )
  const sums = sumLines(createHash('sha256').update(metaText), sum)
  tar.entry({ name: SUMS, mtime: NO_TIME }, sums)
  if (seal !== undefined) tar.entry({ name: SEALED_SUMS, mtime: NO_TIME }, seal(sums))
  tar.finalize()
}

const sumLines = (meta: Hash, state: Hash): string =>
  `${meta.digest('hex')}  ${META}\n${state.digest('hex')}  ${STATE}\n`

// --- restoring

/**
 * Replaces the content of a store by that of an archive. Gives a Refusal when the archive cannot be
 * read or is damaged, and rejects with an OperatingError when the store fails: the content is the
 * old one then (unless the error says `unknown`). `archive` is ended where reading stops early.
 * `problemOf`: why a row must not be here, for who knows more than its table. Of `tables`, the rows
 * that belong to the cluster stay as they are.
 */
export async function restoreSnapshot(
  store: Store,
  archive: AsyncIterable<Buffer>,
  problemOf?: ProblemOf,
  tables: readonly AnyTable[] = [],
): Promise<Committed | Refusal> {
  const reader = new ArchiveReader(archive, problemOf)
  const staying = tables.filter(({ ofCluster }) => ofCluster)
  try {
    const { Index } = await reader.meta()
    const verify = (): void => reader.verify()
    let at = store.view().revision
    const viewOf = (): View => {
      const view = store.view()
      at = view.revision
      return view
    }
    const rows = withStaying(reader.rows(), viewOf, staying)
    const kept = { tables: staying, at: () => at }
    return await store.restore({ rows, index: Index, verify, staying: kept })
  } catch (error) {
    if (reader.fault !== undefined) return new Refusal(500, reader.fault.message)
    // A row that no table of this version can read: the engine says so.
    const isRow = error instanceof OperatingError && error.code === OperatingCode.damaged
    if (isRow) return new Refusal(500, `failed to restore snapshot: ${error.message}`)
    throw error
  } finally {
    reader.close()
  }
}

/** The rows of an archive, and those of the cluster as they are. */
async function* withStaying(
  archived: AsyncIterable<RestoredRow>,
  view: () => View,
  staying: readonly AnyTable[],
): AsyncGenerator<RestoredRow> {
  for await (const row of archived) {
    const table = staying.find(({ prefix }) => row.key.startsWith(prefix))
    if (table !== undefined) {
      const text = `the archive holds rows of ${table.name}, which belong to one cluster alone`
      throw new OperatingError(OperatingCode.damaged, text)
    }
    yield row
  }
  const now = view()
  for (const table of staying) {
    for (const { key, body, createIndex, modifyIndex } of keptRows(now, table)) {
      yield { key: table.prefix + key, body, createIndex, modifyIndex }
    }
  }
}

/** What one row of an archive is and takes there. */
export interface SeenRow {
  /** With the prefix of its table. */
  readonly key: Bytes
  readonly sizeBytes: number
}

/**
 * Reads an archive to its end and checks it as a restore does, changing nothing: `see` gets every
 * row. Gives a Refusal when it cannot be read or is damaged.
 */
export async function inspectSnapshot(
  archive: AsyncIterable<Buffer>,
  see: (row: SeenRow) => void,
): Promise<Meta | Refusal> {
  const reader = new ArchiveReader(archive)
  try {
    const meta = await reader.meta()
    for await (const { key, body } of reader.rows()) {
      see({ key, sizeBytes: ROW_FIXED_SIZE_BYTES + key.length + body.length })
    }
    reader.verify()
    return meta
  } catch (error) {
    if (reader.fault !== undefined) return new Refusal(500, reader.fault.message)
    throw error
  } finally {
    reader.close()
  }
}

/** Why a row of an archive must not come into a store; undefined where it may. */
export type ProblemOf = (row: RestoredRow) => string | undefined

/** The archive's fault; the text is for the caller. */
class ArchiveFault extends Error {}

interface Entry extends AsyncIterable<Buffer> {
  readonly header: { readonly name: string; readonly size: number }
}

class ArchiveReader {
  readonly #input: Readable
  readonly #extract = extract()
  readonly #entries: AsyncIterator<Entry>
  readonly #metaSum = createHash('sha256')
  readonly #stateSum = createHash('sha256')
  readonly #problemOf: ProblemOf
  #meta: Meta | undefined
  #isWhole = false
  /** Why the archive cannot be read. */
  fault: ArchiveFault | undefined

  constructor(archive: AsyncIterable<Buffer>, problemOf: ProblemOf = () => undefined) {
    this.#problemOf = problemOf
    this.#input = Readable.from(archive)
    const writable = this.#extract as unknown as NodeJS.WritableStream
    // Errors reach whoever reads the entries.
    pipeline(this.#input, createGunzip(), bounded, writable, () => {})
    this.#entries = this.#extract[Symbol.asyncIterator]() as unknown as AsyncIterator<Entry>
  }

  /** The first file. Must be called first. */
  meta(): Promise<Meta> {
    return this.#guarded(async () => {
      const entry = await this.#entry(META)
      const text = await smallFile(entry)
      this.#metaSum.update(text)
      this.#meta = decodeMeta(text)
      return this.#meta
    })
  }

  /** The rows, in the order of their keys; ends only when all of the archive was found whole. */
  async *rows(): AsyncGenerator<RestoredRow, void, undefined> {
    const rows = this.#stateRows()
    for (;;) {
      const next = await this.#guarded(() => rows.next())
      if (next.done === true) break
      yield next.value
    }
    await this.#guarded(() => this.#checkSums())
  }

  async *#stateRows(): AsyncGenerator<RestoredRow, void, undefined> {
    const entry = await this.#entry(STATE)
    const { Index, Size } = this.#meta!
    if (entry.header.size !== Size) throw new ArchiveFault(`${STATE} is not of the size stated`)
    const decoder = new StateDecoder(Index)
    for await (const chunk of entry) {
      this.#stateSum.update(chunk)
      for (const row of decoder.rows(chunk)) {
        const problem = this.#problemOf(row)
        if (problem !== undefined) throw new ArchiveFault(problem)
        yield row
      }
    }
    decoder.end()
  }

  async #checkSums(): Promise<void> {
    const stated = (await smallFile(await this.#entry(SUMS))).toString('latin1')
    const found = sumLines(this.#metaSum, this.#stateSum)
    for (const line of found.trimEnd().split('\n')) {
      if (stated.split('\n').includes(line)) continue
      const file = line.slice(line.lastIndexOf(' ') + 1)
      throw new ArchiveFault(
        `failed checking integrity of snapshot: hash check failed for "${file}"`,
      )
    }
    let { value } = await this.#entries.next()
    if (value?.header.name === SEALED_SUMS) {
      // Only who has the keys could say whether it is right, and the sums themselves were.
      await smallFile(value)
      ;({ value } = await this.#entries.next())
    }
    if (value !== undefined) throw unexpected(value)
    this.#isWhole = true
  }

  /** Throws unless all rows were read and the sums were right. */
  verify(): void {
    if (!this.#isWhole) throw new ArchiveFault('the archive was not read to its end')
  }

  close(): void {
    this.#extract.destroy()
    this.#input.destroy()
  }

  async #entry(name: string): Promise<Entry> {
    const { value } = await this.#entries.next()
    if (value === undefined) {
      throw new ArchiveFault(`failed checking integrity of snapshot: file missing: "${name}"`)
    }
    if (value.header.name !== name) throw unexpected(value)
    return value
  }

  async #guarded<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      this.fault = toFault(error)
      throw this.fault
    }
  }
}

function unexpected({ header }: Entry): ArchiveFault {
  return new ArchiveFault(`unexpected file ${JSON.stringify(header.name.slice(0, 64))} in snapshot`)
}

function toFault(error: unknown): ArchiveFault {
  if (error instanceof ArchiveFault) return error
  const text = messageOf(error)
  const code = String((error as { code?: unknown }).code)
  if (/header|compression method/.test(text) && code.startsWith('Z_')) {
    return new ArchiveFault('failed to decompress snapshot: gzip: invalid header')
  }
  if (code.startsWith('Z_')) return new ArchiveFault(`failed to decompress snapshot: gzip: ${text}`)
  return new ArchiveFault(`failed to read snapshot: ${text}`)
}

/** Stops unpacking once there is more than any archive of ours can hold. */
async function* bounded(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let left = limits.archiveSizeBytes + 4 * limits.archiveMetaSizeBytes
  for await (const chunk of source) {
    left -= chunk.length
    if (left < 0) throw new ArchiveFault('failed to read snapshot: its content is too large')
    yield chunk
  }
}

async function smallFile(entry: Entry): Promise<Buffer> {
  if (entry.header.size > limits.archiveMetaSizeBytes) {
    throw new ArchiveFault(`failed to read snapshot: ${entry.header.name} is too large`)
  }
  const chunks: Buffer[] = []
  for await (const chunk of entry) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function decodeMeta(text: Buffer): Meta {
  let meta: Partial<Meta> | null
  try {
    meta = JSON.parse(text.toString('utf8'))
  } catch {
    throw new ArchiveFault(`failed to decode snapshot metadata: ${META} is not JSON`)
  }
  const isIndex = Number.isSafeInteger(meta?.Index) && meta!.Index! > 0 && meta!.Index! < INDEX_MAX
  if (meta?.Version !== 1 || !isIndex || !Number.isSafeInteger(meta.Size)) {
    throw new ArchiveFault(`failed to decode snapshot metadata: ${META} lacks what is needed`)
  }
  return meta as Meta
}

/** Takes rows out of `state.bin` as its pieces come; holds no more than one row. */
class StateDecoder {
  readonly #index: number
  #parts: Buffer[] = []
  #sizeBytes = 0
  /** How much must be there before the next step can be taken. */
  #needed = MAGIC.length
  #isOurs = false
  #lastKey: Bytes = ''

  constructor(index: number) {
    this.#index = index
  }

  *rows(chunk: Buffer): Generator<RestoredRow, void, undefined> {
    this.#parts.push(chunk)
    this.#sizeBytes += chunk.length
    if (this.#sizeBytes < this.#needed) return
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#sizeBytes)
    let at = 0
    if (!this.#isOurs) {
      if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
        throw new ArchiveFault(
          `failed to read snapshot: ${STATE} was not made by this program, or by a newer one`,
        )
      }
      this.#isOurs = true
      at = MAGIC.length
    }
    for (;;) {
      this.#needed = rowSize(bytes, at)
      if (bytes.length - at < this.#needed) break
      yield this.#row(bytes.subarray(at, at + this.#needed))
      at += this.#needed
    }
    this.#parts = [bytes.subarray(at)]
    this.#sizeBytes = bytes.length - at
  }

  #row(bytes: Buffer): RestoredRow {
    const bodyAt = ROW_FIXED_SIZE_BYTES + bytes.readUInt16BE(0)
    const key = fromBuffer(bytes.subarray(ROW_FIXED_SIZE_BYTES, bodyAt))
    const createIndex = bytes.readUIntBE(6, INDEX_SIZE_BYTES)
    const modifyIndex = bytes.readUIntBE(6 + INDEX_SIZE_BYTES, INDEX_SIZE_BYTES)
    const isInOrder = key > this.#lastKey
    if (!isInOrder || createIndex < 1 || createIndex > modifyIndex || modifyIndex > this.#index) {
      throw new ArchiveFault(`failed to read snapshot: ${STATE} holds rows that cannot be`)
    }
    this.#lastKey = key
    return { key, body: bytes.subarray(bodyAt), createIndex, modifyIndex }
  }

  /** To be called after the last piece. */
  end(): void {
    if (this.#isOurs && this.#sizeBytes === 0) return
    throw new ArchiveFault(`failed to read snapshot: ${STATE} ends inside a row`)
  }
}

/** The size of the row at `at` as far as it can be told, which is at least that of its head. */
function rowSize(bytes: Buffer, at: number): number {
  if (bytes.length - at < ROW_FIXED_SIZE_BYTES) return ROW_FIXED_SIZE_BYTES
  const keySizeBytes = bytes.readUInt16BE(at)
  const bodySizeBytes = bytes.readUInt32BE(at + 2)
  if (keySizeBytes > limits.keySizeBytes || bodySizeBytes > limits.rowSizeBytes) {
    throw new ArchiveFault(`failed to read snapshot: ${STATE} holds a row that is too large`)
  }
  return ROW_FIXED_SIZE_BYTES + keySizeBytes + bodySizeBytes
}
