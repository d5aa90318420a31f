/** Issuers on every store, and on one that two servers share. */
import t from 'tap'
import { absent } from '../../../../run/clients.ts'
import { onEveryStore, openTwoServers } from '../../../stores.ts'
import { mountAuthority, openAuthority } from '../authority.ts'

onEveryStore(t, async (t, newStore) => {
  const store = await newStore(t)
  const secrets = await openAuthority(t, { open: () => store })
  const make = (name: string) =>
    secrets.post('pki/root/generate/internal', {
      ...{ common_name: name, key_type: 'ec', issuer_name: name },
    })
  const made = await Promise.all(['a', 'b', 'c'].map(make))
  t.strictSame(
    made.map(({ status }) => status),
    [200, 200, 200],
  )
  const { keys, key_info } = (await secrets.list('pki/issuers')).body.data
  t.equal(keys.length, 3)
  t.equal(keys.filter((id: string) => key_info[id].is_default).length, 1, 'one is the default')
  await secrets.remove('pki/root')
  t.equal((await secrets.list('pki/issuers')).status, 404)
})

t.test('etcd: two servers give a name once', { skip: absent('etcd') }, async t => {
  const [first, second] = await openTwoServers(t)
  await mountAuthority(first, 'pki/')
  const answers = await Promise.all(
    [first, second, first, second].map(secrets =>
      secrets.post('pki/root/generate/internal', {
        ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'root' },
      }),
    ),
  )
  const given = answers.filter(({ status }) => status === 200)
  t.equal(given.length, 1)
  const others = answers.filter(each => !given.includes(each))
  t.ok(others.every(({ body }) => body.errors[0] === 'issuer name already in use'))
  const { csr } = (
    await second.post('pki/intermediate/generate/internal', { common_name: 'Below' })
  ).body.data
  const signed = await second.post('pki/issuer/root/sign-intermediate', { csr })
  t.equal(signed.body.data.issuing_ca, given[0]!.body.data.certificate)
})
