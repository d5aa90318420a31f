/** Tidying a mount of PKI: what is over goes, what is not stays, step by step. */
import tap, { type Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../../src/base/clock.ts'
import { Refusal } from '../../../../../src/base/errors.ts'
import { silentLog } from '../../../../../src/base/log.ts'
import { tidyDuty } from '../../../../../src/secrets/engine/pki/tidy/duty.run.ts'
import { autoTidyEnd } from '../../../../../src/secrets/engine/pki/tidy/paths.ts'
import { areaOf, mountsOf } from '../../../../../src/secrets/mount/mount.ts'
import { Draft } from '../../../../../src/secrets/storage.ts'
import { openSecrets, type TestSecrets } from '../../../harness.ts'

const HOUR_MS = 3_600_000

/** A clock that a test sets forward. */
function movableClock() {
  let aheadMs = 0
  const clock: Clock = {
    ...systemClock,
    wall: () => (systemClock.wall() + aheadMs) as ReturnType<Clock['wall']>,
    after: (delayMs, run) => systemClock.after(Math.min(delayMs, 20), run),
  }
  return { clock, forward: (byMs: number) => (aheadMs += byMs) }
}

async function open(t: Test) {
  const { clock, forward } = movableClock()
  const secrets = await openSecrets(t, { clock })
  const config = { maxLeaseTtlMs: 87_600 * HOUR_MS, defaultLeaseTtlMs: HOUR_MS }
  await secrets.mount('pki', 'pki/', { config: config as never })
  const root = { common_name: 'Root', key_type: 'ec', ttl: '80000h' }
  await secrets.post('pki/root/generate/internal', root)
  const role = { allow_any_name: true, key_type: 'ec', max_ttl: '80000h' }
  await secrets.post('pki/roles/web', role)
  return { secrets, clock, forward }
}

/** Does the work until nothing is left to do. */
async function work(secrets: TestSecrets, clock: Clock): Promise<void> {
  const stop = new AbortController()
  const ports = { store: secrets.store, clock, random: systemRandom, log: silentLog }
  const running = tidyDuty({ ...ports, barrier: () => secrets.barrier })(stop.signal, one => one)
  for (let i = 0; i < 400; i++) {
    const { state } = (await secrets.read('pki/tidy-status')).body.data
    if (state !== 'Running' && state !== 'Cancelling') break
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  stop.abort()
  await running
}

const issue = async (secrets: TestSecrets, ttl: string): Promise<string> => {
  const got = await secrets.post('pki/issue/web', { common_name: 'a.example', ttl })
  return got.body.data.serial_number as string
}

const stored = async (secrets: TestSecrets): Promise<string[]> =>
  ((await secrets.list('pki/certs')).body.data?.keys ?? []) as string[]

tap.test('certificates that are over go, however many; others stay', async t => {
  const { secrets, clock, forward } = await open(t)
  const old: string[] = []
  for (let i = 0; i < 7; i++) old.push(await issue(secrets, '1h'))
  const young = await issue(secrets, '1000h')
  const before = (await stored(secrets)).length
  forward(3 * HOUR_MS)
  const begun = await secrets.post('pki/tidy', {
    ...{ tidy_cert_store: true, safety_buffer: '1h', page_size: 3 },
  })
  t.equal(begun.status, 202)
  t.match(begun.body.warnings, [/^Tidy operation successfully started/])
  const again = await secrets.post('pki/tidy', { tidy_cert_store: true })
  t.match(again.body.warnings, ['Tidy operation already in progress.'])
  t.match((await secrets.read('pki/tidy-status')).body.data, { state: 'Running' })
  await work(secrets, clock)
  const { data } = (await secrets.read('pki/tidy-status')).body
  t.match(data, { state: 'Finished', cert_store_deleted_count: 7, safety_buffer: 3_600 })
  const left = await stored(secrets)
  t.equal(left.length, before - 7)
  t.ok(left.includes(young))
  t.notOk(left.some(serial => old.includes(serial)))
})

tap.test('what is over for less than the buffer stays', async t => {
  const { secrets, clock, forward } = await open(t)
  await issue(secrets, '1h')
  forward(2 * HOUR_MS)
  await secrets.post('pki/tidy', { tidy_cert_store: true, safety_buffer: '2h' })
  await work(secrets, clock)
  t.match((await secrets.read('pki/tidy-status')).body.data, { cert_store_deleted_count: 0 })
})

tap.test(
  'revoked ones that are over go from the list, and the list gets another number',
  async t => {
    const { secrets, clock, forward } = await open(t)
    const [old, young] = [await issue(secrets, '1h'), await issue(secrets, '1000h')]
    for (const serial_number of [old, young]) await secrets.post('pki/revoke', { serial_number })
    const revoked = async () => (await secrets.list('pki/certs/revoked')).body.data.keys as string[]
    t.strictSame((await revoked()).sort(), [old, young].sort())
    forward(3 * HOUR_MS)
    await secrets.post('pki/tidy', { tidy_revoked_certs: true, safety_buffer: '1h' })
    await work(secrets, clock)
    t.match((await secrets.read('pki/tidy-status')).body.data, { revoked_cert_deleted_count: 1 })
    t.strictSame(await revoked(), [young])
    t.notOk((await stored(secrets)).includes(old), 'it is forgotten as a certificate too')
  },
)

tap.test('issuers that are long over go, but not the default one', async t => {
  const { secrets, clock, forward } = await open(t)
  const short = { common_name: 'Short', key_type: 'ec', ttl: '1h' }
  await secrets.post('pki/issuers/generate/root/internal', short)
  const issuers = async () =>
    ((await secrets.list('pki/issuers')).body.data.keys as string[]).length
  t.equal(await issuers(), 2)
  forward(3 * HOUR_MS)
  await secrets.post('pki/tidy', { tidy_expired_issuers: true, issuer_safety_buffer: '1h' })
  await work(secrets, clock)
  t.equal(await issuers(), 1)
  t.match((await secrets.read('pki/issuer/default')).status, 200)
})

tap.test('one that is cancelled ends, and tells so', async t => {
  const { secrets, clock } = await open(t)
  const none = await secrets.post('pki/tidy-cancel')
  t.match(none.body.warnings, [/none is currently running/])
  await secrets.post('pki/tidy', { tidy_cert_store: true })
  t.match((await secrets.post('pki/tidy-cancel')).body.data, { state: 'Cancelling' })
  await work(secrets, clock)
  t.match((await secrets.read('pki/tidy-status')).body.data, { state: 'Cancelled' })
  const again = await secrets.post('pki/tidy', { tidy_cert_store: true })
  t.equal(again.status, 202, 'another may begin')
})

tap.test('automatic ones begin when they are due, and are due again', async t => {
  const { secrets, clock, forward } = await open(t)
  const set = { enabled: true, tidy_cert_store: true, interval_duration: '1h' }
  t.match((await secrets.post('pki/config/auto-tidy', set)).body.data, {
    ...{ enabled: true, tidy_cert_store: true, interval_duration: 3_600, page_size: 1_000 },
  })
  const due = () => {
    const now = clock.wall()
    const draft = new Draft(secrets.store.view(), secrets.barrier!, now, systemRandom)
    const [mount] = mountsOf(draft, { id: 'root' }, 'secret').filter(one => one.path === 'pki/')
    const place = { namespaceId: 'root', area: areaOf(mount!), path: 'config/auto-tidy' }
    return { place, dueMs: draft.area('root', place.area).dueMs(place.path)! }
  }
  const first = due().dueMs
  t.ok(first > clock.wall())
  forward(2 * HOUR_MS)
  const written = await secrets.store.write((view, now, random) => {
    const draft = new Draft(view, secrets.barrier!, clock.wall(), random)
    autoTidyEnd.end(draft, due().place)
    return { txn: draft.ops(), answer: now }
  })
  t.notOk(written instanceof Refusal)
  await work(secrets, clock)
  const { data } = (await secrets.read('pki/tidy-status')).body
  t.match(data, { state: 'Finished', last_auto_tidy_finished: /^20/ })
  t.ok(due().dueMs > first)
})

tap.test('settings that cannot be are refused', async t => {
  const { secrets } = await open(t)
  const wrong = [
    ['pki/tidy', { tidy_cert_store: true, safety_buffer: '0s' }],
    ['pki/tidy', { tidy_cert_store: true, issuer_safety_buffer: 0 }],
    ['pki/tidy', { tidy_cert_store: true, page_size: 0 }],
    ['pki/tidy', { tidy_cert_store: true, pause_duration: 'x' }],
    ['pki/config/auto-tidy', { enabled: true }],
    ['pki/config/auto-tidy', { interval_duration: 0 }],
    ['pki/config/auto-tidy', { publish_stored_certificate_count_metrics: true }],
  ] as const
  for (const [path, data] of wrong) {
    t.equal((await secrets.post(path, data)).status, 400, JSON.stringify(data))
  }
  const nothing = await secrets.post('pki/tidy', {})
  t.match(nothing, { status: 202, body: { warnings: [/^Manual tidy requested but no tidy/] } })
  t.match((await secrets.read('pki/tidy-status')).body.data, { state: 'Inactive', error: null })
})
