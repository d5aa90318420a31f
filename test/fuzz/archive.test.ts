/**
 * Archives that were damaged inside and packed anew, their sums made to fit: taken whole or
 * refused, and then the store is what it was.
 */
import { createHash } from 'node:crypto'
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { everybody } from '../../src/base/who.ts'
import { putKv } from '../../src/registry/kv.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { restoreSnapshot } from '../../src/store/snapshot.ts'
import type { Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { archiveOf, contentOf, inPieces } from '../conformance/snapshot.ts'
import { openExample } from '../dns/example.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, mutatedJson, type Stock } from './mutate.ts'

const BLOCK_SIZE_BYTES = 512
const ROW_HEAD_SIZE_BYTES = 18

/** The files of a tar in order, each with its header block. */
function filesOf(tar: Buffer): { header: Buffer; content: Buffer }[] {
  const files: { header: Buffer; content: Buffer }[] = []
  for (let at = 0; tar[at] !== 0; ) {
    const header = tar.subarray(at, at + BLOCK_SIZE_BYTES)
    const size = Number.parseInt(header.toString('latin1', 124, 135), 8)
    const start = at + BLOCK_SIZE_BYTES
    files.push({ header, content: tar.subarray(start, start + size) })
    at = start + Math.ceil(size / BLOCK_SIZE_BYTES) * BLOCK_SIZE_BYTES
  }
  return files
}

/** A header block for a content of this size; the size and the sum of the block are set. */
function headerFor(header: Buffer, sizeBytes: number): Buffer {
  const copy = Buffer.from(header)
  copy.write(`${sizeBytes.toString(8).padStart(11, '0')} `, 124, 'latin1')
  copy.fill(' ', 148, 156)
  const sum = copy.reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return copy
}

const pad = (content: Buffer): Buffer =>
  Buffer.alloc((BLOCK_SIZE_BYTES - (content.length % BLOCK_SIZE_BYTES)) % BLOCK_SIZE_BYTES)

const sumOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

const registry = await openExample()
const archive = await archiveOf(registry.store, registryTables)
await registry.store.close()
const [meta, state, sums] = filesOf(gunzipSync(archive))
const MAGIC = 'gatehouse state 1\n'
const rows = [...rowsOf(state!.content.subarray(MAGIC.length))]
const pieces = ['00', 'ffffffff', '00000000', 'ffff', '000000000001']
  .map(text => Buffer.from(text, 'hex'))
  .concat(
    ['null', '""', '-1', '1e308', '{}', '[]', 'kv/', 'system/lease/', 'registry/node/'].map(text =>
      Buffer.from(text),
    ),
  )
const metas: Stock = { inputs: [meta!.content], pieces }
const states: Stock = { inputs: [state!.content], pieces }
const sumFiles: Stock = { inputs: [sums!.content], pieces }
const whole: Stock = { inputs: [gunzipSync(archive), archive], pieces }

/** An archive: its tar damaged as a whole, or one of its files, with all else made to fit. */
function make(draw: Draw): Buffer {
  if (draw.chance(20)) return mutated(draw, { ...whole, inputs: [archive] })
  if (draw.chance(20)) return packed(mutated(draw, whole))
  const stateBytes = draw.chance(40) ? mutated(draw, states) : stateOf(draw)
  const said = { ...JSON.parse(meta!.content.toString()), Size: stateBytes.length }
  const metaBytes = draw.chance(20) ? mutated(draw, metas) : Buffer.from(JSON.stringify(said))
  const right = `${sumOf(metaBytes)}  meta.json\n${sumOf(stateBytes)}  state.bin\n`
  const sumBytes = draw.chance(10) ? mutated(draw, sumFiles) : Buffer.from(right)
  const files = [
    { header: meta!.header, content: metaBytes },
    { header: state!.header, content: stateBytes },
    { header: sums!.header, content: sumBytes },
  ]
  const blocks = files.flatMap(({ header, content }) => [
    headerFor(header, content.length),
    content,
    pad(content),
  ])
  return packed(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_SIZE_BYTES)]))
}

/** The rows of a state: a head, a key and a body each. */
function* rowsOf(bytes: Buffer): Iterable<{ head: Buffer; key: Buffer; body: Buffer }> {
  for (let at = 0; at < bytes.length; ) {
    const keyAt = at + ROW_HEAD_SIZE_BYTES
    const bodyAt = keyAt + bytes.readUInt16BE(at)
    const head = bytes.subarray(at, keyAt)
    at = bodyAt + bytes.readUInt32BE(at + 2)
    yield { head, key: bytes.subarray(keyAt, bodyAt), body: bytes.subarray(bodyAt, at) }
  }
}

/** The state, in which one row says something else. */
function stateOf(draw: Draw): Buffer {
  const changed = draw.below(rows.length)
  const parts = rows.flatMap(({ head, key, body }, index) => {
    if (index !== changed) return [head, key, body]
    const other = Buffer.from(draw.chance(10) ? 'null' : mutatedJson(draw, body.toString()))
    const headOfOther = Buffer.from(head)
    headOfOther.writeUInt32BE(other.length, 2)
    return [headOfOther, key, other]
  })
  return Buffer.concat([Buffer.from(MAGIC), ...parts])
}

const packed = (tar: Buffer): Buffer => gzipSync(tar, { level: constants.Z_BEST_SPEED })

async function openFilled(): Promise<Store> {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  const asked = { flags: 0n, cas: undefined, acquire: undefined, release: undefined }
  const request = { key: 'kept', value: Buffer.from('as it was'), ...asked }
  await store.write(view => putKv(view, everybody, request))
  return store
}

t.test('any archive', async t => {
  let store = await openFilled()
  const outcomes = { taken: 0, refused: 0 }
  const run = async (bytes: Buffer): Promise<void> => {
    const before = statusOf(store)
    const given = await restoreSnapshot(store, inPieces(bytes, 3_000))
    if (given instanceof Refusal) {
      outcomes.refused++
      if (statusOf(store) !== before) throw new Error(`refused, and changed: ${given.text}`)
      return
    }
    outcomes.taken++
    // What was taken can be read, saved and taken again.
    const again = await archiveOf(store, registryTables)
    const content = JSON.stringify(contentOf(store, registryTables))
    const restored = await restoreSnapshot(store, inPieces(again))
    if (restored instanceof Refusal) throw new Error(`taken once, and then: ${restored.text}`)
    const isSame = JSON.stringify(contentOf(store, registryTables)) === content
    if (!isSame) throw new Error('saved, it is another store')
    await store.close()
    store = await openFilled()
  }
  const show = (bytes: Buffer): string => bytes.toString('base64')
  const count = await untilBudget('archives damaged within', 30_000, casesOf({ make, run, show }))
  t.comment(JSON.stringify(outcomes))
  t.ok(count > 0)
  await store.close()
})

function statusOf(store: Store): string {
  const { sum, rows, generation, revision } = store.status()
  return JSON.stringify({ sum, rows, generation, revision })
}
