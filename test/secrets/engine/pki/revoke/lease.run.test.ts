/** Leases of certificates. */
import t from 'tap'
import { FakeClock } from '../../../../fake/clock.ts'
import { openKept } from './authority.ts'

t.test('a lease that is revoked takes its certificate with it', async t => {
  const clock = new FakeClock()
  const mount = await openKept(t, clock)
  const { secrets } = mount
  await secrets.post('pki/roles/leased', {
    ...{ allow_any_name: true, enforce_hostnames: false, key_type: 'ec', generate_lease: true },
  })
  const lease = async () => {
    const data = { common_name: 'leased.example', ttl: '60s' }
    const { body } = await secrets.post('pki/issue/leased', data)
    return body as { lease_id: string; lease_duration: number; data: { serial_number: string } }
  }
  const [revoked, over] = [await lease(), await lease()]
  t.match(revoked.lease_id, /^pki\/issue\/leased\//)
  t.ok(revoked.lease_duration > 50)
  await secrets.post('sys/leases/revoke', { lease_id: revoked.lease_id })
  await clock.advance(2_000)
  const serial = revoked.data.serial_number.replaceAll(':', '')
  t.same(
    (await mount.list()).entries.map(each => each.serial),
    [serial],
  )
  t.equal((await secrets.post('sys/leases/lookup', { lease_id: revoked.lease_id })).status, 400)
  await clock.advance(61_000)
  t.equal((await secrets.post('sys/leases/lookup', { lease_id: over.lease_id })).status, 400)
  t.equal((await mount.list()).entries.length, 1, 'one that ended by itself needs no list')
})
