/**
 * What the barrier keeps: rows whose content nobody can read without the keyring.
 *
 * Owns how they lie: a clear header with what must be known while sealed (when a row is over, and
 * what it is), and the sealed rest. Keys are names in clear: `<namespace id>/<area>/<path>`.
 * Nothing here can open a row.
 */
import type { Bytes } from '../../base/bytes.ts'
import { owned } from '../../base/bytes.ts'
import { type Codec, defineTable } from '../table.ts'
import { scope } from './names.ts'

/** What is known of a row without opening it. It is authenticated with the rest. */
export interface SealedHeader {
  /** What ends the row once it is over: the name of a deadline's kind. */
  readonly kind?: string
  /** When it is over, by the wall clock. */
  readonly dueMs?: number
  /**
   * What else the row is found by: folders in which a row would lie that held nothing but the way
   * to this one. They begin as keys do.
   */
  readonly folders?: readonly Bytes[]
}

export interface SealedRow {
  readonly header: SealedHeader
  /** The header as it was sealed: what the seal stands on. */
  readonly headerText: string
  readonly sealed: Buffer
}

const HEADER_SIZE_BYTES = 2

/** Length of the header (2 bytes), the header as JSON ('' for none), what is sealed. */
const sealedCodec: Codec<SealedRow> = {
  encode({ headerText, sealed }) {
    const bytes = Buffer.allocUnsafe(HEADER_SIZE_BYTES + headerText.length + sealed.length)
    bytes.writeUInt16BE(headerText.length, 0)
    bytes.write(headerText, HEADER_SIZE_BYTES, 'latin1')
    sealed.copy(bytes, HEADER_SIZE_BYTES + headerText.length)
    return bytes
  },
  decode(bytes) {
    const sealedAt = HEADER_SIZE_BYTES + bytes.readUInt16BE(0)
    const headerText = bytes.toString('latin1', HEADER_SIZE_BYTES, sealedAt)
    return sealedRow(headerText, owned(bytes.subarray(sealedAt)))
  },
}

const NO_HEADER: SealedHeader = {}

const sealedRow = (headerText: string, sealed: Buffer): SealedRow => ({
  header: headerText === '' ? NO_HEADER : (JSON.parse(headerText) as SealedHeader),
  headerText,
  sealed,
})

/** The header as text whose characters are bytes: kinds are names of ours, folders are bytes. */
export const headerTextOf = ({ kind, dueMs, folders = NO_FOLDERS }: SealedHeader): string => {
  const isEmpty = kind === undefined && dueMs === undefined && folders.length === 0
  if (isEmpty) return ''
  return JSON.stringify(folders.length === 0 ? { kind, dueMs } : { kind, dueMs, folders })
}

const NO_FOLDERS: readonly Bytes[] = []

const touched = [scope.secrets]

/** The key is `<namespace id>/<area>/<path>`; keys of one folder are guarded together. */
export const secretData = defineTable<SealedRow>({
  name: 'secret-data',
  prefix: 'secret/data/',
  codec: sealedCodec,
  guard: folderOf,
  indexes: {
    folders: { values: ({ header }) => header.folders ?? NO_FOLDERS, guarded: true },
  },
  eras: { kinds: ['ground', 'identity'], kindOf },
  scopes: () => touched,
})

/** Areas of what every request stands on, and of who is who. */
const KINDS: ReadonlyMap<string, 'ground' | 'identity'> = new Map([
  ...['namespaces', 'namespace-ids', 'mounts', 'policies', 'conditions', 'quotas', 'settings'].map(
    area => [area, 'ground'] as const,
  ),
  ...['mfa-enforcements', 'mfa-methods'].map(area => [area, 'ground'] as const),
  ...['entities', 'aliases', 'groups'].map(area => [area, 'identity'] as const),
])

/** The kind of rows that an area has; undefined for none. */
export const kindOfArea = (area: string): 'ground' | 'identity' | undefined => KINDS.get(area)

function kindOf(key: Bytes): string | undefined {
  const areaAt = key.indexOf('/') + 1
  return KINDS.get(key.slice(areaAt, key.indexOf('/', areaAt)))
}

function folderOf(key: Bytes): Bytes {
  return key.slice(0, key.lastIndexOf('/') + 1)
}

/**
 * Rows of the same form that may be more than memory should hold. The key is `<area>/<path>`: an
 * area is the only one of its name, so that it need not be rewritten when its mount is moved.
 */
export const secretCold = defineTable<SealedRow>({
  name: 'secret-cold',
  prefix: 'secret/cold/',
  codec: sealedCodec,
  need: () => 'extra',
  isCold: true,
})

export const secretTables = [secretData, secretCold]
