/**
 * The key/value store's entries.
 *
 * Owns the row and its binary codec, the index by holding session, and the tombstones that let a
 * watcher of a prefix see deletions. Values and keys are bytes; nothing here reads them.
 */
import { fromText, owned } from '../../base/bytes.ts'
import { type Codec, defineTable } from '../table.ts'

export interface KvRow {
  readonly value: Buffer
  /** An unsigned 64-bit number that belongs to the client. */
  readonly flags: bigint
  /** The id of the session that holds the key, '' for none. */
  readonly session: string
  /** How often the key was acquired: the fencing index. */
  readonly lockIndex: number
}

const FIXED_SIZE_BYTES = 8 + 6 + 2

function encodeKv(start: number, { value, flags, session, lockIndex }: KvRow): Buffer {
  const sizeBytes = start + FIXED_SIZE_BYTES + session.length + value.length
  const bytes = Buffer.allocUnsafe(sizeBytes)
  bytes.writeBigUInt64BE(flags, start)
  bytes.writeUIntBE(lockIndex, start + 8, 6)
  bytes.writeUInt16BE(session.length, start + 14)
  if (session !== '') bytes.write(session, start + FIXED_SIZE_BYTES, 'latin1')
  value.copy(bytes, start + FIXED_SIZE_BYTES + session.length)
  return bytes
}

/** flags (8 bytes), lock index (6), length of the session's id (2), the id, the value. */
const kvCodec: Codec<KvRow> = {
  encode: row => encodeKv(0, row),
  encodeBehind: encodeKv,
  decode(bytes) {
    const valueAt = FIXED_SIZE_BYTES + bytes.readUInt16BE(14)
    return {
      // Copied out: the page that it was read with must not live as long as the row.
      value: owned(bytes.subarray(valueAt)),
      flags: bytes.readBigUInt64BE(0),
      session: bytes.toString('latin1', FIXED_SIZE_BYTES, valueAt),
      lockIndex: bytes.readUIntBE(8, 6),
    }
  },
}

/** The key is the entry's key, as bytes. */
export const kv = defineTable<KvRow>({
  name: 'kv',
  // A lock that is freed.
  need: ({ session }, before) => (session === '' && before?.session ? 'upkeep' : 'data'),
  prefix: 'kv/',
  codec: kvCodec,
  indexes: {
    session: {
      guarded: true,
      fields: ['session'],
      values: row => (row.session === '' ? [] : [fromText(row.session)]),
    },
  },
  // One guard for all keys under one first segment.
  guard: key => key.split('/', 1)[0]!,
  tombstones: true,
  intern: row => ({ ...row, value: owned(row.value) }),
})
