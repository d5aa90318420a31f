/** Codes and keys on stores that outlive a server, and on one that two servers share. */
import tap from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { openLevelStore } from '../../../src/store/level/engine.ts'
import { absent } from '../../run/clients.ts'
import { authorize, clientOf, person, redeem, userinfo } from '../engine/identity/oidc/people.ts'
import { openSecrets, TestSecrets, tables } from '../harness.ts'
import { openTwoServers } from '../stores.ts'

const common = { tables, clock: systemClock, random: systemRandom }
const KEYS = 'identity/oidc/provider/default/.well-known/keys'

const idsOf = async (server: TestSecrets): Promise<string[]> =>
  (await server.read(KEYS, { token: '' })).body.keys.map(({ kid }: { kid: string }) => kid)

tap.test('level: a code outlives a restart, and that it was spent does too', async t => {
  const folder = t.testdir()
  const first = await openSecrets(t, { open: () => openLevelStore({ ...common, folder }) })
  const ann = await person(first, 'ann')
  const shop = await clientOf(first, 'shop')
  const code = async () => (await authorize(first, ann, shop)).body.code as string
  const [spent, waiting] = [await code(), await code()]
  t.equal((await redeem(first, spent, shop)).status, 200)
  const ids = await idsOf(first)
  await first.store.close()
  const store = await openLevelStore({ ...common, folder })
  t.teardown(() => store.close())
  const second = new TestSecrets(store, {})
  second.barrier = first.barrier
  t.strictSame(await idsOf(second), ids)
  t.equal((await redeem(second, spent, shop)).status, 400)
  const got = await redeem(second, waiting, shop)
  t.equal(got.status, 200)
  t.equal((await userinfo(second, got.body.access_token)).body.sub, ann.entityId)
})

tap.test(
  'etcd: a code of one server is redeemed at another, once',
  { skip: absent('etcd') },
  async t => {
    const [first, second] = await openTwoServers(t)
    const ann = await person(first, 'ann')
    const shop = await clientOf(first, 'shop')
    for (let i = 0; i < 10; i++) {
      const { code } = (await authorize(i % 2 === 0 ? first : second, ann, shop)).body
      const got = await Promise.all([first, second, first, second].map(s => redeem(s, code, shop)))
      t.equal(got.filter(({ status }) => status === 200).length, 1)
      const [winner] = got.filter(({ status }) => status === 200)
      t.equal((await userinfo(first, winner!.body.access_token)).status, 200)
      t.equal((await userinfo(second, winner!.body.access_token)).status, 200)
    }
    t.strictSame(await idsOf(first), await idsOf(second))
    // Of two rotations at once, each has its effect, or is asked to try again.
    const before = await idsOf(first)
    const rotated = await Promise.all(
      [first, second].map(server => server.post('identity/oidc/key/default/rotate')),
    )
    t.ok(rotated.every(({ status }) => status === 204))
    t.equal((await idsOf(second)).length, before.length + 2)
    // The pairs of the key `default` are drawn by whoever first needs them, and by one of them.
    const made = await Promise.all(
      [first, second].map((server, i) =>
        server.post(`identity/oidc/role/r${i}`, { key: 'default' }),
      ),
    )
    t.ok(made.every(({ status }) => status === 204))
  },
)
