/** The log of a member that was killed: what is added to it, and when nothing is. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bytesField, numberField } from '../../../../src/base/protobuf.ts'
import { castagnoli, decideAll } from '../../../../src/store/etcd/member/log-tail.ts'
import { put } from '../../../../src/store/store.ts'
import { things } from '../../../conformance/store.ts'
import { seeded } from '../../../fake/random.ts'
import { absent } from '../../../run/clients.ts'
import { openServers } from './servers.ts'

t.test('the sum is that of RFC 3720, also in parts', async t => {
  t.equal(castagnoli(0, Buffer.alloc(32)), 0x8a9136aa)
  t.equal(castagnoli(0, Buffer.alloc(32, 0xff)), 0x62a8ab43)
  const text = Buffer.from('123456789')
  t.equal(castagnoli(0, text), 0xe3069283)
  t.equal(castagnoli(castagnoli(0, text.subarray(0, 4)), text.subarray(4)), 0xe3069283)
})

const NAME = '0000000000000000-0000000000000000.wal'

/** Records in their frames, each with its sum, as etcd writes them. */
function logOf(...records: readonly (readonly [type: number, data: Buffer])[]): Buffer {
  let sum = 0
  const frames = records.map(([type, data]) => {
    if (type !== SUM) sum = castagnoli(sum, data)
    const record = Buffer.concat([
      ...[numberField(1, type), numberField(2, sum)],
      ...(data.length > 0 ? [bytesField(3, [data])] : []),
    ])
    const padding = (8 - (record.length % 8)) % 8
    const head = Buffer.alloc(8)
    head.writeUInt32LE(record.length)
    if (padding > 0) head[7] = 0x80 | padding
    return Buffer.concat([head, record, Buffer.alloc(padding)])
  })
  return Buffer.concat(frames)
}

const [METADATA, ENTRY, STATE, SUM, SNAPSHOT] = [1, 2, 3, 4, 5]
const NOTHING = Buffer.alloc(0)
const VOTE = Buffer.from('10ffffffffffffffffff01', 'hex')
const stateOf = (decided: number): Buffer =>
  Buffer.concat([numberField(1, 2), VOTE, numberField(3, decided)])
const entryOf = (index: number, text: string): Buffer =>
  Buffer.concat([numberField(2, 2), numberField(3, index), bytesField(4, [Buffer.from(text)])])
const begun = [
  ...[
    [SUM, NOTHING] as const,
    [METADATA, Buffer.from('id')] as const,
    [SNAPSHOT, NOTHING] as const,
  ],
  ...[1, 2, 3, 4, 5].map(index => [ENTRY, entryOf(index, 'x'.repeat(index))] as const),
  [STATE, stateOf(3)] as const,
  // The fifth is another one now, and the last.
  [ENTRY, entryOf(4, 'again')] as const,
]

t.test('what is not known to be decided is', async t => {
  const data = t.testdir({ member: { wal: {} } })
  const file = join(data, 'member', 'wal', NAME)
  const room = Buffer.alloc(256)
  writeFileSync(file, Buffer.concat([logOf(...begun), room]))
  t.same(await decideAll(data), { decided: 3, last: 4 })
  const wanted = logOf(...begun, [STATE, stateOf(4)])
  const found = readFileSync(file)
  t.equal(found.subarray(0, wanted.length).toString('hex'), wanted.toString('hex'))
  t.ok(found.subarray(wanted.length).every(byte => byte === 0))
  t.same(await decideAll(data), { decided: 4, last: 4 }, 'it is noted now')
  t.equal(Buffer.compare(readFileSync(file), found), 0)
  // A further file goes on with the sum of the one before it.
  writeFileSync(file, logOf(...begun))
  const next = Buffer.alloc(8 + 8)
  next.writeUInt32LE(8)
  const sum = numberField(2, sumOf(begun.slice(1).map(([, bytes]) => bytes)))
  Buffer.concat([numberField(1, SUM), sum]).copy(next, 8)
  next.writeUInt32LE(2 + sum.length)
  const second = join(data, 'member', 'wal', '0000000000000001-0000000000000005.wal')
  writeFileSync(second, next)
  t.same(await decideAll(data), { decided: 3, last: 4 })
  t.equal(Buffer.compare(readFileSync(file), logOf(...begun)), 0)
  t.ok(readFileSync(second).length > next.length)
  t.same(await decideAll(data), { decided: 4, last: 4 })
})

const sumOf = (all: readonly Buffer[]): number => all.reduce(castagnoli, 0)

t.test('nothing is added to what is damaged', async t => {
  const data = t.testdir({ member: { wal: {} } })
  const file = join(data, 'member', 'wal', NAME)
  const whole = logOf(...begun, [STATE, stateOf(4)])
  const draw = seeded(7)
  let noticed = 0
  for (let tries = 0; tries < 500; tries += 1) {
    const damaged = Buffer.from(
      draw.chance(20) ? whole.subarray(0, draw.below(whole.length)) : whole,
    )
    const at = draw.below(damaged.length || 1)
    if (damaged.length === whole.length) damaged[at] = damaged[at]! ^ (1 << draw.below(8))
    writeFileSync(file, damaged)
    const found = await decideAll(data)
    if (found === undefined) noticed += 1
    const isChanged = Buffer.compare(readFileSync(file), damaged) !== 0
    // Whole records alone: the log ended before what is missing.
    if (isChanged) t.ok(damaged.length < whole.length || found!.last <= 5, `byte ${at}`)
  }
  t.ok(noticed > 300, `${noticed} of 500`)
})

t.test("etcd's own log is read", { skip: absent('etcd') }, async t => {
  const [server] = await openServers(t, 1)
  await server!.start()
  const store = await server!.serve()
  const row = { group: 'g', tags: [], size: 7 }
  await store.write(() => ({ txn: [put(things, 'k', row)], answer: undefined }))
  const killed = t.testdir()
  cpSync(join(server!.dataDir, 'etcd'), killed, { recursive: true })
  const tail = (await decideAll(killed))!
  t.ok(tail.decided > 0)
  t.ok(tail.last >= tail.decided)
  t.same(await decideAll(killed), { decided: tail.last, last: tail.last })
})

t.test('no log has nothing to say', async t => {
  t.equal(await decideAll(t.testdir({ member: { wal: {} } })), undefined)
  const empty = { '0000000000000000-0000000000000000.wal': Buffer.alloc(64) }
  t.equal(await decideAll(t.testdir({ member: { wal: empty } })), undefined)
})
