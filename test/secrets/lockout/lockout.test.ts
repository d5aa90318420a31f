/** When names are locked out, and what says so. */
import tap from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import {
  countFailure,
  DEFAULT_LOCKOUT,
  forgetFailures,
  isLocked,
  type Lockout,
  lockedNames,
  lockoutEnd,
  lockoutFrom,
  lockoutOf,
} from '../../../src/secrets/lockout/lockout.ts'
import { type MountRow, newMount } from '../../../src/secrets/mount/mount.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'

const mount = newMount(systemRandom, {
  ...{ kind: 'auth', path: 'people/', type: 'userpass', namespaceId: 'root' },
})

const fail = (secrets: TestSecrets, name: string, lockout: Lockout = DEFAULT_LOCKOUT) =>
  secrets.write(draft => countFailure(draft, mount, name, lockout))

async function locked(secrets: TestSecrets, name: string, lockout = DEFAULT_LOCKOUT) {
  let found: boolean | undefined
  await secrets.write(draft => {
    found = isLocked(draft, mount, name, lockout)
  })
  return found
}

tap.test('the fifth failure locks a name out for a quarter of an hour', async t => {
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock })
  for (let i = 0; i < 4; i++) await fail(secrets, 'ann')
  t.equal(await locked(secrets, 'ann'), false)
  await fail(secrets, 'ann')
  t.equal(await locked(secrets, 'ann'), true)
  t.equal(await locked(secrets, 'bob'), false)
  await secrets.write(draft =>
    t.strictSame([...lockedNames(draft, 'root')], [[mount.accessor, ['ann']]]),
  )
  await clock.advance(899_999)
  t.equal(await locked(secrets, 'ann'), true)
  await clock.advance(1)
  t.equal(await locked(secrets, 'ann'), false)
  for (let i = 0; i < 4; i++) await fail(secrets, 'ann')
  t.equal(await locked(secrets, 'ann'), false, 'the count began anew')
})

tap.test('failures are forgotten a while after the last one', async t => {
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock })
  for (let i = 0; i < 4; i++) await fail(secrets, 'ann')
  await clock.advance(900_000)
  await fail(secrets, 'ann')
  t.equal(await locked(secrets, 'ann'), false)
})

tap.test('one who logs in, or is let in, begins anew', async t => {
  const secrets = await openSecrets(t)
  for (let i = 0; i < 5; i++) await fail(secrets, 'ann')
  await secrets.write(draft => forgetFailures(draft, mount, 'ANN'))
  t.equal(await locked(secrets, 'ann'), false)
  await secrets.write(draft => {
    forgetFailures(draft, mount, 'ann')
    t.ok(draft.isEmpty, 'where there is nothing nothing is written')
  })
})

tap.test('counts that are over leave the store', async t => {
  const secrets = await openSecrets(t)
  await fail(secrets, 'ann')
  await secrets.write(draft => {
    const [path] = draft.area('root', 'lockouts').keys()
    lockoutEnd.end(draft, { namespaceId: 'root', area: 'lockouts', path: path! })
    t.strictSame(draft.area('root', 'lockouts').keys(), [])
  })
})

tap.test('the mount says more than the server, and the environment most', t => {
  const tuned: MountRow = {
    ...mount,
    config: { ...mount.config, userLockout: { ...DEFAULT_LOCKOUT, thresholdCount: 9 } },
  }
  const told = lockoutFrom(
    {},
    { all: { thresholdCount: 7, durationMs: 1 }, userpass: { thresholdCount: 8 } },
  )
  t.strictSame(lockoutOf(lockoutFrom({}), mount), DEFAULT_LOCKOUT)
  t.match(lockoutOf(told, mount), { thresholdCount: 8, durationMs: 1 })
  t.match(lockoutOf(told, { ...mount, type: 'approle' }), { thresholdCount: 7 })
  t.match(lockoutOf(told, tuned), { thresholdCount: 9, durationMs: 900_000 })
  for (const name of ['VAULT_DISABLE_USER_LOCKOUT', 'BAO_DISABLE_USER_LOCKOUT']) {
    t.equal(lockoutOf(lockoutFrom({ [name]: 'true' }), tuned).isDisabled, true)
    t.equal(lockoutOf(lockoutFrom({ [name]: '0' }), tuned).isDisabled, false)
  }
  t.end()
})

tap.test('where it is off nobody is counted', async t => {
  const secrets = await openSecrets(t)
  const off = { ...DEFAULT_LOCKOUT, isDisabled: true }
  for (let i = 0; i < 6; i++) await fail(secrets, 'ann', off)
  for (let i = 0; i < 6; i++) await fail(secrets, 'bob', { ...DEFAULT_LOCKOUT, thresholdCount: 0 })
  await secrets.write(draft => t.strictSame(draft.area('root', 'lockouts').keys(), []))
  for (let i = 0; i < 5; i++) await fail(secrets, 'eve')
  t.equal(await locked(secrets, 'eve', off), false)
})
