/** Lists as two servers of one store make them. */
import t from 'tap'
import { absent } from '../../../../run/clients.ts'
import { openTwoServers } from '../../../stores.ts'
import { mountAuthority } from '../authority.ts'
import { Revoking } from './authority.ts'

t.test('two servers make the same list', { skip: absent('etcd') }, async t => {
  const [one, two] = await openTwoServers(t)
  await mountAuthority(one, 'pki/')
  // Signatures of Ed25519 are the same each time.
  const mount = await Revoking.on(t, one, 'ed25519')
  const bytes = async (secrets = two) => (await secrets.read('pki/crl', { token: '' })).bytes
  for (let i = 0; i < 3; i++) {
    const [first, second] = [await mount.issue('a.example'), await mount.issue('b.example')]
    const both = await Promise.all([
      one.post('pki/revoke', { serial_number: first.serial_number }),
      two.post('pki/revoke', { serial_number: second.serial_number }),
    ])
    t.same(
      both.map(({ status }) => status),
      [200, 200],
    )
    t.equal((await mount.list()).entries.length, 2 * i + 2)
    t.same(await bytes(), await bytes(one))
  }
  await one.post('pki/config/crl', { auto_rebuild: true })
  const before = await bytes()
  const late = await mount.issue('late.example')
  await two.post('pki/revoke', { serial_number: late.serial_number })
  t.same(await bytes(one), before, 'the rows have gone on, the edition is the same')
  await one.post('pki/config/crl', { enable_delta: true })
  await two.read('pki/crl/rotate')
  t.equal((await mount.list()).entries.length, 7)
  t.same(await bytes(), await bytes(one))
})

t.test('one edition is made once, however many ask at a time', async t => {
  const mount = await Revoking.open(t)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => mount.secrets.read('pki/crl', { token: '' })),
  )
  // Two signatures of ECDSA are never the same.
  t.equal(new Set(answers.map(({ bytes }) => bytes.toString('hex'))).size, 1)
})
