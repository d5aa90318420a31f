/** Archives that are saved by themselves. */
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SnapshotSchedule, type SnapshotSettings } from '../../src/agent/snapshot-schedule.ts'
import { snapshotsOf } from '../../src/agent/snapshots.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { type LogFields, silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { FakeClock } from '../fake/clock.ts'
import { freshFolder } from '../fake/folder.ts'
import { allTables, openMemory } from '../http/engines.ts'
import { until } from '../store/etcd/stores.ts'

const HOUR_MS = 3_600_000

t.test('schedule: the first soon, the next after the interval, the oldest goes', async t => {
  const { clock, schedule, folder, files } = await open(t, { retain: 2 })
  t.equal(age(schedule, clock), undefined)
  for (let saved = 1; saved <= 3; saved++) {
    await clock.advance(saved === 1 ? 2 * limits.snapshotFirstMs : HOUR_MS)
    await until(() => schedule.lastMs !== undefined && files().length === Math.min(saved, 2))
    await until(() => clock.timers > 0)
  }
  for (const file of files()) {
    t.match(file, /^gatehouse-\d{8}T\d{6}Z-\d+\.snap$/)
    t.equal(statSync(join(folder, file)).mode & 0o777, 0o600)
  }
  t.ok((age(schedule, clock) ?? HOUR_MS) < HOUR_MS)
})

t.test('schedule: goes on after a restart where the files say that it was', async t => {
  const first = await open(t)
  await first.schedule.save()
  writeFileSync(join(first.folder, '.gatehouse-20260101T000000Z-1.snap.tmp'), 'half')
  writeFileSync(join(first.folder, 'notes.txt'), 'not ours')
  const second = await open(t, { folder: first.folder })
  t.notOk(existsSync(join(first.folder, '.gatehouse-20260101T000000Z-1.snap.tmp')))
  t.ok(existsSync(join(first.folder, 'notes.txt')))
  t.equal(second.schedule.lastMs, Math.floor(first.clock.wall() / 1_000) * 1_000)
  await second.clock.advance(HOUR_MS / 2)
  t.equal(second.files().length, 1, 'it is not due yet')
})

t.test('schedule: what fails is told and tried again, and loses no older file', async t => {
  const { clock, schedule, lines, files, fail, metrics } = await open(t, { retain: 1 })
  const kept = await schedule.save()
  fail(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }))
  await clock.advance(HOUR_MS)
  await until(() => lines.length === 1)
  t.match(lines[0], /no archive of the store was saved.*the disk is full, free some of it/)
  t.ok(existsSync(kept))
  t.equal(files().length, 1)
  t.same(
    readdirSync(join(kept, '..')).filter(file => file.endsWith('.tmp')),
    [],
  )
  t.equal(metrics.counter('snapshot.failed', '').total.sum, 1)
  fail(undefined)
  await until(() => clock.timers > 0)
  await clock.advance(limits.snapshotRetryMs)
  await until(() => !existsSync(kept) && files().length === 1)
})

t.test('schedule: what cannot be read back is not kept', async t => {
  const { schedule, files, cut } = await open(t)
  cut()
  await t.rejects(schedule.save(), /what was written cannot be read/)
  t.same(files(), [])
})

t.test('schedule: a folder that is gone is made again', async t => {
  const { schedule, folder, files } = await open(t)
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true })
  await schedule.save()
  t.equal(files().length, 1)
})

const age = ({ lastMs }: SnapshotSchedule, clock: FakeClock): number | undefined =>
  lastMs === undefined ? undefined : clock.wall() - lastMs

async function open(t: Test, settings: Partial<SnapshotSettings> = {}) {
  const store = await openMemory()
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  const lines: string[] = []
  const folder = settings.folder ?? join(freshFolder(t), 'snapshots')
  let fault: Error | undefined
  let isCut = false
  const snapshots = snapshotsOf(store, allTables)
  const save = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of snapshots.save()) {
      if (fault !== undefined) throw fault
      yield isCut ? piece.subarray(1) : piece
    }
  }
  const note = (message: string, fields: LogFields = {}): void =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  const schedule = new SnapshotSchedule(
    {
      ...{ clock, metrics, random: systemRandom, save, index: () => snapshots.index() },
      log: { ...silentLog, error: note },
    },
    { intervalMs: HOUR_MS, retain: 3, ...settings, folder },
  )
  t.teardown(async () => {
    await schedule.stop()
    await store.close()
  })
  await schedule.start()
  return {
    ...{ clock, schedule, folder, lines, metrics },
    files: () => readdirSync(folder).filter(file => file.endsWith('.snap')),
    fail: (error: Error | undefined) => {
      fault = error
    },
    cut: () => {
      isCut = true
    },
  }
}
