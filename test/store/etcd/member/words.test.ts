/** The flags that a member is started with. */
import t from 'tap'
import {
  clientUrlOf,
  type MemberEntry,
  type MemberSettings,
  memberWords,
  peerUrlOf,
} from '../../../../src/store/etcd/member/words.ts'

const settings: MemberSettings = {
  name: 'n1',
  folder: '/data/etcd',
  listen: ['10.0.0.1'],
  advertise: '10.0.0.1',
  peerPort: 2380,
  clientPort: 2379,
  quotaSizeBytes: 1_000_000,
}
const files = { cert: '/m/identity.pem', key: '/m/identity.pem', roots: '/m/roots.pem' }
const members = [
  { name: 'n1', peerUrl: 'https://10.0.0.1:2380' },
  { name: 'n2', peerUrl: 'https://[fd00::2]:2380' },
]
const words = (entry: MemberEntry, version = '3.4.23') =>
  memberWords(settings, files, entry, version)

t.test('words: founders start a new cluster under the id of ours', async t => {
  const found = words({ kind: 'found', members, token: 'id-1' })
  t.ok(found.includes('--initial-cluster-state=new'))
  t.ok(found.includes('--initial-cluster-token=id-1'))
  t.ok(found.includes('--initial-cluster=n1=https://10.0.0.1:2380,n2=https://[fd00::2]:2380'))
})

t.test('words: whoever is no founder never starts a new cluster', async t => {
  for (const entry of [{ kind: 'added', members }, { kind: 'known' }] as const) {
    const found = words(entry)
    t.ok(found.includes('--initial-cluster-state=existing'), entry.kind)
    t.notOk(
      found.some(word => word.includes('initial-cluster-token')),
      entry.kind,
    )
  }
})

t.test('words: everything is spoken under certificates, on the address stated', async t => {
  const found = words({ kind: 'known' })
  t.ok(found.includes('--client-cert-auth=true'))
  t.ok(found.includes('--peer-client-cert-auth=true'))
  const urls = found.filter(word => word.includes('://'))
  t.equal(urls.length, 5)
  for (const url of urls) t.match(url, /https:\/\/10\.0\.0\.1:/)
  t.equal(found[0], '--data-dir=/data/etcd')
})

t.test('words: an IPv6 address stands in brackets', async t => {
  const six = { ...settings, advertise: 'fd00::1' }
  t.equal(peerUrlOf(six), 'https://[fd00::1]:2380')
  t.equal(clientUrlOf(six), 'https://[fd00::1]:2379')
})

t.test(
  'words: the check for damage at the start goes by the name that the version knows',
  async t => {
    const check = (version: string) =>
      words({ kind: 'known' }, version).filter(word => /corrupt/i.test(word))
    for (const version of ['3.4.23', '3.5.33']) {
      t.same(check(version), ['--experimental-initial-corrupt-check=true'])
    }
    for (const version of ['3.6.14', '3.7.3']) {
      t.same(check(version), ['--feature-gates=InitialCorruptCheck=true'])
    }
    t.same(check('3.8.0'), [], 'whose gates nobody has seen')
  },
)
