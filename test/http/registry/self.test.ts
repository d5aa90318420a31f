/**
 * What the agent says of itself, as its readers need it.
 */
import t from 'tap'
import { consulVersion } from '../../../src/base/version.ts'
import { ROOT } from '../acl.ts'
import { NODE, NODE_ID, startFace } from '../harness.ts'

t.test("trap 23: self has what Nomad, Prometheus and Envoy's bootstrap read", async t => {
  const { client } = await startFace(t)
  const { Config, DebugConfig, Member, Meta, Stats, Coord, xDS } = (
    await client.get('/v1/agent/self')
  ).json
  t.match(Config, {
    Datacenter: 'dc1',
    NodeName: NODE,
    NodeID: NODE_ID,
    Server: true,
    Revision: '',
  })
  t.match(DebugConfig, {
    ConnectEnabled: false,
    GRPCPort: -1,
    GRPCTLSPort: -1,
    DNSPort: 8600,
    DNSAddrs: ['tcp://127.0.0.1:8600', 'udp://127.0.0.1:8600'],
    HTTPAddrs: ['tcp://127.0.0.1:8500'],
    Datacenter: 'dc1',
  })
  t.match(Member, { Name: NODE, Addr: '127.0.0.1', Port: 8301, Status: 1, ProtocolMax: 5 })
  t.match(Member.Tags, {
    role: 'consul',
    dc: 'dc1',
    id: NODE_ID,
    port: '8300',
    segment: '',
    vsn: '2',
  })
  t.strictSame(Meta, { rack: 'a1', 'consul-network-segment': '', 'consul-version': consulVersion })
  t.match(Object.keys(Stats), [
    'agent',
    'build',
    'consul',
    'raft',
    'runtime',
    'serf_lan',
    'serf_wan',
  ])
  t.equal(Stats.consul.leader, 'true')
  t.equal(Coord.Vec.length, 8)
  t.strictSame(xDS.Ports, { Plaintext: -1, TLS: -1 })
})

t.test('an alarm about silent nodes is told as long as it lasts', async t => {
  let alarm = ''
  const { client } = await startFace(t, { alarm: () => alarm })
  const stats = async () => (await client.get('/v1/agent/self')).json.Stats.serf_lan
  t.notOk(Object.hasOwn(await stats(), 'alarm'))
  alarm = '50 of 300 nodes fell silent within 10 s'
  t.equal((await stats()).alarm, alarm)
})

t.test('trap 24: the version is a semantic version of at least 1.14', async t => {
  const { client } = await startFace(t)
  const { Version } = (await client.get('/v1/agent/self')).json.Config
  const [, major, minor] = /^(\d+)\.(\d+)\.\d+$/.exec(Version)!
  t.ok(Number(major) > 1 || Number(minor) >= 14)
  t.match((await client.get('/v1/agent/version')).json, { HumanVersion: Version, FIPS: '' })
  const [member] = (await client.get('/v1/agent/members')).json
  t.equal(member.Tags.build, `${Version}:`)
})

t.test('members', async t => {
  const { client } = await startFace(t)
  const members = async (query: string) => (await client.get(`/v1/agent/members?${query}`)).json
  t.match(await members(''), [{ Name: NODE, Port: 8301 }])
  t.match(await members('segment=_all'), [{ Name: NODE }])
  t.match(await members('wan=1'), [{ Name: `${NODE}.dc1`, Port: 8302 }])
  const both = await client.get('/v1/agent/members?wan&segment=a')
  t.strictSame([both.status, both.text], [400, 'Cannot provide a segment with wan=true'])
  t.match((await client.get('/v1/agent/members?segment=a')).text, /segments are not supported/)
})

t.test('what is told of ACLs that are on', async t => {
  const { client } = await startFace(t, { acl: {} })
  const { json } = await client.as(ROOT).get('/v1/agent/self')
  t.equal(json.DebugConfig.ACLsEnabled, true)
  t.equal(json.Member.Tags.acls, '1')
  t.equal(json.Stats.consul.acl, 'enabled')
})
