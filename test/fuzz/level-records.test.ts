/**
 * Records of the level engine: damage is noticed, or what is read is what was written. Where the
 * sum was made to fit, nothing but a record or `undefined` may come out of it.
 */

import { crc32 } from 'node:zlib'
import t from 'tap'
import { revision, wallMs } from '../../src/base/brand.ts'
import { type JournalMark, type JournalRecord, sealRecord } from '../../src/store/journal.ts'
import {
  CHAIN_START,
  decodeHead,
  decodeJournal,
  decodeLog,
  decodeRow,
  encodeHead,
  encodeJournal,
  encodeLog,
  encodeRow,
  HEAD_FORMAT,
  journalKey,
  logKey,
} from '../../src/store/level/layout.ts'
import type { RowWrite } from '../../src/store/local.ts'
import { rowSum } from '../../src/store/table.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, type Stock } from './mutate.ts'

const FIRST = 7
const FULL_KEY = 'kv/a/key'
const chain = CHAIN_START.toString('hex')

const head = (draw: Draw): Buffer =>
  encodeHead({
    format: HEAD_FORMAT,
    clusterId: 'a0b1c2d3',
    generation: draw.below(5),
    indexOffset: draw.below(1_000),
    revision: draw.below(2 ** 31),
    chain,
    sum: draw.below(2 ** 31),
    rows: draw.below(1_000),
    logFloor: draw.below(1_000),
    logFloorChain: chain,
  })

function write(draw: Draw, fullKey: string): RowWrite & { value: Buffer } {
  const value = Buffer.alloc(draw.below(60), draw.below(256))
  const at = revision(1 + draw.below(2 ** 31))
  const lease = draw.pick(['', 'a-lease'])
  const version = draw.below(100)
  return { at, fullKey, value, createRevision: at, version, lease, sum: rowSum(fullKey, value) }
}

function log(draw: Draw): Buffer {
  const writes = Array.from({ length: draw.below(5) }, (_, i): RowWrite => {
    const one = write(draw, `kv/${i}`)
    return draw.chance(30) ? { ...one, value: undefined, sum: 0 } : { ...one, sum: 0 }
  })
  return encodeLog({
    first: revision(FIRST),
    last: revision(FIRST + writes.length),
    previousChain: CHAIN_START,
    writes,
    touched: new Map([['nodes', revision(FIRST)]]),
  })
}

function sealedAfter(draw: Draw, after: JournalMark): JournalRecord {
  const body = Buffer.from(JSON.stringify({ path: 'kv/a', bodyBytes: draw.below(1_000) }))
  return sealRecord(body, after, wallMs(draw.below(2 ** 31)))
}

function block(draw: Draw): Buffer {
  const records = [sealedAfter(draw, { sequence: FIRST - 1, chain: CHAIN_START })]
  while (draw.chance(60)) records.push(sealedAfter(draw, records.at(-1)!))
  return encodeJournal(records)
}

/** The records as they would be sealed from what was read of them. */
function rereadJournal(bytes: Buffer): Buffer | undefined {
  const read = decodeJournal(journalKey(FIRST), bytes)
  if (read === undefined) return undefined
  const records = read.map(({ sequence, previousChain, text, timeMs }) => {
    const body = Buffer.concat([Buffer.from('{'), text.subarray(text.indexOf('Z",') + 3)])
    return sealRecord(body, { sequence: sequence - 1, chain: previousChain }, timeMs)
  })
  return encodeJournal(records)
}

const stockFrom = (make: (draw: Draw) => Buffer): Stock => {
  const draw = seeded(1)
  return { inputs: Array.from({ length: 50 }, () => make(draw)), pieces: [] }
}

interface Kind {
  readonly name: string
  readonly stock: Stock
  /** The bytes that what was read is written as; undefined where it was found damaged. */
  reread(record: Buffer): Buffer | undefined
  /** The record with a sum that fits. */
  resum?(record: Buffer): Buffer
}

/** The sum of heads and log records starts from this. */
const SEED = 0x67617465

function withSum(record: Buffer): Buffer {
  if (record.length < 4) return record
  const copy = Buffer.from(record)
  copy.writeUInt32BE(crc32(copy.subarray(0, -4), SEED), copy.length - 4)
  return copy
}

const kinds: readonly Kind[] = [
  {
    name: 'head',
    stock: stockFrom(head),
    reread(record) {
      const read = decodeHead(record)
      return read && encodeHead(read)
    },
    resum: withSum,
  },
  {
    name: 'log',
    stock: stockFrom(log),
    reread(record) {
      const read = decodeLog(logKey(FIRST), record)
      return read && encodeLog(read)
    },
    resum: withSum,
  },
  { name: 'journal', stock: stockFrom(block), reread: rereadJournal },
  {
    name: 'row',
    stock: stockFrom(draw => {
      const { value, ...drawn } = write(draw, FULL_KEY)
      return encodeRow(drawn, value)
    }),
    reread(record) {
      const read = decodeRow(record, value => rowSum(FULL_KEY, value))
      if (read === undefined) return undefined
      const { header, value } = read
      const sum = rowSum(FULL_KEY, value)
      return encodeRow({ ...header, at: header.modRevision, fullKey: FULL_KEY, sum }, value)
    },
  },
]

t.test('any record', async t => {
  let damaged = 0
  const make = (draw: Draw) => {
    const kind = draw.pick(kinds)
    const record = mutated(draw, kind.stock)
    const resum = draw.chance(30) ? kind.resum : undefined
    return { kind, hasSum: resum !== undefined, record: resum?.(record) ?? record }
  }
  const count = await untilBudget(
    'records of the level engine',
    1_500_000,
    casesOf({
      make,
      run({ kind, hasSum, record }) {
        const reread = readOf(kind, record, hasSum)
        if (reread === undefined) damaged++
        else if (!hasSum && !reread.equals(record)) throw new Error('it is read as another record')
      },
      show: ({ kind, record }) => `${kind.name} ${record.toString('hex')}`,
    }),
  )
  t.ok(count > damaged && damaged > 0)
})

/** Nonsense with a fitting sum may be read as what cannot be written. */
function readOf(kind: Kind, record: Buffer, hasSum: boolean): Buffer | undefined {
  if (!hasSum) return kind.reread(record)
  decodeHead(record)
  decodeLog(logKey(FIRST), record)
  return undefined
}
