/** A member that is full, and how it gets room again; with real ones. */
import t, { type Test } from 'tap'
import { connectEtcd } from '../../../../src/store/etcd/client.ts'
import type { MemberHealth } from '../../../../src/store/etcd/member/health.ts'
import { Upkeep } from '../../../../src/store/etcd/member/upkeep.ts'
import { MemberWatch } from '../../../../src/store/etcd/member/watch.ts'
import { until } from '../../../clients/process.ts'
import { FakeClock } from '../../../fake/clock.ts'
import { absent } from '../../../run/clients.ts'
import { openServers, type TestServer } from './servers.ts'

const skip = absent('etcd')
t.setTimeout(100_000)
const QUOTA_SIZE_BYTES = 8_388_608
const WINDOW_MS = 61_000

t.test('upkeep: full of history: room is made, then the alarm goes', { skip }, async t => {
  const [server] = await openServers(t, 1, { quota: QUOTA_SIZE_BYTES })
  await server!.start()
  await server!.serve()
  const { upkeep, clock, look } = upkeepOf(t, server!)
  const etcd = await connectEtcd(server!.member.endpoints, server!.member.access)
  t.teardown(() => etcd.close())
  const write = (): Promise<unknown> => {
    const value = Buffer.alloc(500_000, 'x')
    return etcd.txn({ success: [{ requestPut: { key: Buffer.from('other'), value } }] })
  }
  await t.rejects(
    (async () => {
      for (;;) await write()
    })(),
    { code: 'RESOURCE_EXHAUSTED' },
  )
  await until('the alarm is seen', async () => (await look())[0]?.alarms.includes('NOSPACE'))
  await upkeep.step()
  await clock.advance(WINDOW_MS)
  await until('there is room', async () => {
    await upkeep.step()
    await clock.advance(WINDOW_MS)
    return (await look())[0]?.alarms.length === 0
  })
  await write()
  const text = server!.lines.join('\n')
  t.match(text, /defragmented a member/)
  t.match(text, /there is room again/)
  const [after] = await look()
  t.ok(after!.sizeBytes < QUOTA_SIZE_BYTES, `${after!.sizeBytes} bytes`)
})

function upkeepOf(t: Test, { member, store, log }: TestServer) {
  const clock = new FakeClock()
  const watch = new MemberWatch({
    clock,
    operators: member.operators,
    endpoints: () => member.endpoints,
    rules: () => ({ lastContactThresholdMs: 5_000, maxTrailingLogs: 1_000 }),
    onLook: () => {},
  })
  const look = (): Promise<readonly MemberHealth[]> => watch.look()
  const upkeep = new Upkeep({
    ...{ store, clock, log, look, operators: member.operators },
    isOurs: () => true,
    quotaSizeBytes: member.quotaSizeBytes,
  })
  t.teardown(() => upkeep.stop())
  return { upkeep, clock, look }
}
