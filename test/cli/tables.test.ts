/**
 * The listings: `members`, `catalog …`, and the registration verbs beside them.
 */
import t, { type Test } from 'tap'
import { columns } from '../../src/cli/table.ts'
import { call, type FakeAgent, fakeAgent } from './support.ts'

async function start(t: Test): Promise<{ agent: FakeAgent; ask: typeof call }> {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const environment = { CONSUL_HTTP_ADDR: agent.address }
  return { agent, ask: line => call(line, { environment }) }
}

t.test('columns count characters and leave the last one alone', async t => {
  t.equal(
    columns([
      ['a', 'b'],
      ['ünü', '😀'],
      ['x', ''],
    ]),
    'a    b\nünü  😀\nx    ',
  )
  t.equal(columns([]), '')
})

const member = (name: string, role: string, more: object = {}): object => ({
  Name: name,
  Addr: '10.0.0.1',
  Port: 8301,
  Status: 1,
  Tags: { role, dc: 'dc1', build: '1.21.4:abc', vsn: '2', segment: '' },
  ...more,
})

t.test('members', async t => {
  const { agent, ask } = await start(t)
  agent.answer([
    member('z', 'node', { Addr: '::1' }),
    member('b', 'consul'),
    member('gone', 'node', { Status: 3 }),
    member('odd', 'other', { Status: 9 }),
    member('a', 'consul', { Status: 4 }),
  ])
  t.equal(
    (await ask('members')).out,
    `Node  Address        Status  Type     Build   Protocol  DC   Partition  Segment
a     10.0.0.1:8301  failed  server   1.21.4  2         dc1  default    <all>
b     10.0.0.1:8301  alive   server   1.21.4  2         dc1  default    <all>
gone  10.0.0.1:8301  left    client   1.21.4  2         dc1  default    <default>
odd   10.0.0.1:8301  none    unknown${' '.repeat(37)}
z     [::1]:8301     alive   client   1.21.4  2         dc1  default    <default>`.replace(
      / {37}/,
      ' '.repeat(2 + 6 + 2 + 8 + 2 + 3 + 2 + 9 + 2),
    ),
  )
  t.equal((await ask('members -status=^left$')).out.split('\n').length, 2)
  t.match(
    (await ask('members -detailed')).out,
    'build=1.21.4:abc,dc=dc1,role=consul,segment=,vsn=2',
  )
  t.equal(JSON.parse((await ask('members -format=json')).out).length, 5)
  t.same(await ask('members -status=none-such'), { code: 2, out: '', error: '' })
  t.match(await ask('members -status=('), { code: 1, error: 'Failed to compile status regexp' })
  await ask('members -wan -segment=x')
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/members?wan=1&segment=x')
  agent.answer('no', 500)
  t.match(await ask('members'), {
    code: 1,
    error: 'Error retrieving members: Unexpected response code: 500 (no)',
  })
})

t.test('catalog datacenters', async t => {
  const { agent, ask } = await start(t)
  agent.answer(['dc1', 'dc2'])
  t.same(await ask('catalog datacenters'), { code: 0, out: 'dc1\ndc2', error: '' })
  t.match(await ask('catalog datacenters x'), { code: 1, error: 'Too many arguments' })
  t.same(JSON.parse((await ask('catalog datacenters -format=json')).out), ['dc1', 'dc2'])
})

t.test('catalog nodes', async t => {
  const { agent, ask } = await start(t)
  const node = {
    ID: '1234abcd-0000-4000-8000-000000000000',
    Node: 'n1',
    Address: '10.0.0.1',
    Datacenter: 'dc1',
    TaggedAddresses: { wan: '10.0.0.1', lan: '10.0.0.1' },
    Meta: { b: '2', a: '1' },
  }
  agent.answer([node, { ...node, ID: '', Node: 'external', TaggedAddresses: null, Meta: null }])
  t.equal(
    (await ask('catalog nodes')).out,
    `Node      ID        Address   DC
n1        1234abcd  10.0.0.1  dc1
external            10.0.0.1  dc1`,
  )
  const detailed = (await ask('catalog nodes -detailed')).out
  t.match(detailed, /^Node +ID +Address +DC +TaggedAddresses +Meta\n/)
  t.match(detailed, `${node.ID}  10.0.0.1  dc1  lan=10.0.0.1, wan=10.0.0.1  a=1, b=2`)
  await ask('catalog nodes -service=web -node-meta=a=1 -node-meta b=2 -near=_agent -filter=x')
  t.equal(
    agent.asked.at(-1)?.url,
    '/v1/catalog/service/web?node-meta=a%3A1&node-meta=b%3A2&near=_agent&filter=x',
  )
  agent.answer([])
  t.same(await ask('catalog nodes'), {
    code: 0,
    out: '',
    error: 'No nodes match the given query - try expanding your search.',
  })
})

t.test('catalog services', async t => {
  const { agent, ask } = await start(t)
  agent.answer({ web: ['v2', 'v1'], consul: [] })
  t.equal((await ask('catalog services')).out, 'consul\nweb')
  t.equal((await ask('catalog services -tags')).out, `consul      \nweb         v1,v2`)
  agent.answer({ Node: {}, Services: { a: { Service: 'web', Tags: ['x'] } } })
  t.equal((await ask('catalog services -node=n1 -tags')).out, 'web      x')
  t.equal(agent.asked.at(-1)?.url, '/v1/catalog/node/n1')
  agent.answer('null')
  t.match(await ask('catalog services -node=none'), { code: 0, error: 'No services match' })
})

t.test('services register and deregister, by flags', async t => {
  const { agent, ask } = await start(t)
  const line =
    'services register -name=web -id=web-1 -port=80 -address=10.0.0.1 -tag=a -tag b -meta x=y=z ' +
    '-tagged-address lan=[::1]:81'
  t.same(await ask(line), { code: 0, out: 'Registered service: web', error: '' })
  const asked = agent.asked.at(-1)
  t.match(asked, { method: 'PUT', url: '/v1/agent/service/register' })
  t.same(JSON.parse(asked?.body ?? ''), {
    ID: 'web-1',
    Name: 'web',
    Address: '10.0.0.1',
    Port: 80,
    Tags: ['a', 'b'],
    Meta: { x: 'y=z' },
    TaggedAddresses: { lan: { Address: '::1', Port: 81 } },
  })
  t.equal((await ask('services deregister -id=web/1')).out, 'Deregistered service: web/1')
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/service/deregister/web%2F1')
  const failures: Record<string, string> = {
    'services register': 'Service registration requires at least one argument or flags.',
    'services register -name=a b': 'Service registration requires arguments or -id, not both.',
    'services register -name=a -meta=x': 'Error: -meta must be key=value',
    'services register -name=a -tagged-address=x=y': '-tagged-address must be name=address:port',
    'services register -name=a -port=x': 'invalid value "x" for flag -port',
    'services deregister': 'Service deregistration requires at least one argument or -id.',
    'services deregister -id=a b': 'Service deregistration requires arguments or -id, not both.',
    'services register /none': 'Error: -config-file: ENOENT',
  }
  for (const [each, text] of Object.entries(failures)) {
    t.match(await ask(each), { code: 1, error: text }, each)
  }
  agent.answer('Missing service name', 400)
  t.match(await ask('services register -name=x'), {
    error: 'Error registering service "x": Unexpected response code: 400 (Missing service name)',
  })
  t.match(await ask('services deregister -id=x'), { error: 'Error deregistering service "x"' })
})

t.test('services register and deregister, by files', async t => {
  const { agent, ask } = await start(t)
  const folder = t.testdir({
    'a.hcl': 'service { name = "web" port = 80 check { http = "http://x" interval = "1s" } }',
    'b.json': '{"services": [{"id": "api-1", "name": "api"}, {"name": "db"}]}',
    'bad.hcl': 'service { prot = 1 }',
  })
  t.equal(
    (await ask(`services register ${folder}/a.hcl ${folder}/b.json`)).out,
    'Registered service: web\nRegistered service: api\nRegistered service: db',
  )
  t.same(JSON.parse(agent.asked[0]?.body ?? ''), {
    Name: 'web',
    Port: 80,
    Check: { HTTP: 'http://x', Interval: '1s' },
  })
  t.equal(
    (await ask(`services deregister ${folder}/b.json`)).out,
    'Deregistered service: api-1\nDeregistered service: db',
  )
  t.match(await ask(`services register ${folder}/bad.hcl`), {
    code: 1,
    error: /bad\.hcl:1: service: prot: unknown key/,
  })
})
