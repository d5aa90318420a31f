/**
 * Checks LevelDB's table files before LevelDB itself reads them.
 *
 * LevelDB 1.20 as it is built for node reads tables unchecked, and a damaged one can end the whole
 * process by an assertion. Owns as much of the table format as finding each block and its checksum
 * takes (LevelDB's doc/table_format.md). A file without a whole footer is left alone: a crash may
 * leave one that is of no use yet, and LevelDB refuses one that is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OperatingCode, OperatingError } from '../errors.ts'

const FOOTER_SIZE_BYTES = 48
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
/** Behind each block: how it is packed, and a checksum. */
const TRAILER_SIZE_BYTES = 5
const SNAPPY = 1

/** Throws OperatingError `damaged` when a block of any table does not match its checksum. */
export function checkLevelTables(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (!/\.(ldb|sst)$/.test(name) || isSound(readFileSync(join(folder, name)))) continue
    throw new OperatingError(
      OperatingCode.damaged,
      `its table file ${name} does not match its checksums`,
    )
  }
}

function isSound(file: Buffer): boolean {
  const footer = file.subarray(-FOOTER_SIZE_BYTES)
  if (footer.length < FOOTER_SIZE_BYTES || !footer.subarray(-8).equals(MAGIC)) return true
  try {
    const handles = new Varints(footer)
    const [meta, index] = [handles.handle(), handles.handle()]
    blockAt(file, meta)
    for (const handle of handlesOf(blockAt(file, index))) checkedBlock(file, handle)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

interface Handle {
  readonly at: number
  readonly sizeBytes: number
}

class Varints {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  next(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 53; factor *= 128) {
      const byte = this.#bytes.readUInt8(this.at++)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new RangeError('too long')
  }

  handle(): Handle {
    return { at: this.next(), sizeBytes: this.next() }
  }
}

/** A block as it lies in the file. Throws a RangeError when it does not match its checksum. */
function checkedBlock(file: Buffer, { at, sizeBytes }: Handle): Buffer {
  const crc = crc32c(file.subarray(at, at + sizeBytes + 1))
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
  if (masked !== file.readUInt32LE(at + sizeBytes + 1)) throw new RangeError('wrong checksum')
  return file.subarray(at, at + sizeBytes + TRAILER_SIZE_BYTES)
}

function blockAt(file: Buffer, handle: Handle): Buffer {
  const block = checkedBlock(file, handle)
  const content = block.subarray(0, -TRAILER_SIZE_BYTES)
  return block[content.length] === SNAPPY ? unpack(content) : content
}

/** The handles that an index block holds: the values of its entries. */
function* handlesOf(index: Buffer): Iterable<Handle> {
  const restarts = index.readUInt32LE(index.length - 4)
  const end = index.length - 4 * (restarts + 1)
  for (let at = 0; at < end; ) {
    const head = new Varints(index.subarray(at))
    head.next() // How much of the key it shares with the one before.
    const keySizeBytes = head.next()
    const valueSizeBytes = head.next()
    const valueAt = at + head.at + keySizeBytes
    at = valueAt + valueSizeBytes
    yield new Varints(index.subarray(valueAt, at)).handle()
  }
}

/** Unpacks Snappy's raw format (its format_description.txt). */
function unpack(packed: Buffer): Buffer {
  const head = new Varints(packed)
  const out = Buffer.alloc(head.next())
  let to = 0
  for (let at = head.at; at < packed.length; ) {
    const tag = packed.readUInt8(at++)
    const kind = tag & 3
    if (kind === 0) {
      const extra = Math.max(0, (tag >> 2) - 59)
      const length = (extra > 0 ? packed.readUIntLE(at, extra) : tag >> 2) + 1
      at += extra
      to += packed.copy(out, to, at, at + length)
      at += length
      continue
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const sizeOfOffset = kind === 3 ? 4 : kind
    const offset = packed.readUIntLE(at, sizeOfOffset) + (kind === 1 ? (tag >> 5) << 8 : 0)
    at += sizeOfOffset
    // One by one: a copy may reach into what it is just writing.
    for (const end = to + length; to < end; to++) out[to] = out[to - offset]!
  }
  return out
}

const CRC32C = 0x82f63b78
/** For each of four bytes ahead, what it adds to the checksum. */
const crcTables = Array.from({ length: 4 }, () => new Uint32Array(256))
for (let n = 0; n < 256; n++) {
  let crc = n
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC32C : crc >>> 1
  crcTables[0]![n] = crc
}
for (let ahead = 1; ahead < 4; ahead++) {
  for (let n = 0; n < 256; n++) {
    const crc = crcTables[ahead - 1]![n]!
    crcTables[ahead]![n] = (crc >>> 8) ^ crcTables[0]![crc & 0xff]!
  }
}

/** CRC-32 with Castagnoli's polynomial, which zlib does not have. */
function crc32c(bytes: Buffer): number {
  const [one, two, three, four] = crcTables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
  let crc = 0xffffffff
  let at = 0
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      four[crc & 0xff]! ^ three[(crc >>> 8) & 0xff]! ^ two[(crc >>> 16) & 0xff]! ^ one[crc >>> 24]!
  }
  for (; at < bytes.length; at++) crc = one[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
