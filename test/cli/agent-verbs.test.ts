/**
 * The verbs that tell an agent what to do or ask how it is, against a real one. The last test
 * makes it leave.
 */
import t from 'tap'
import { run } from '../../src/cli/run.ts'
import { until } from '../clients/process.ts'
import { fakeAgent, fakeIo, realAgent } from './support.ts'

const { daemon, environment, ask } = await realAgent(t)

t.test('info: sections and keys in order', async t => {
  const { code, out, error } = await ask('info')
  t.same([code, error], [0, ''])
  const sections = out.split('\n').filter(line => !line.startsWith('\t'))
  t.same(sections, sections.toSorted())
  t.ok(sections.includes('agent:'))
  t.match(out, /^raft:\n(\t\w+ = .*\n)*\tstate = Leader$/m)
  t.match(JSON.parse((await ask('info -format=json')).out), { consul: { leader: 'true' } })
})

t.test('members and catalog, as tables', async t => {
  const { out } = await ask('members')
  const head = 'Node  Address         Status  Type    Build'
  t.match(out, new RegExp(`^${head} .*\nn1    127\\.0\\.0\\.1:\\d+  alive   server  `))
  t.match(JSON.parse((await ask('members -format=json')).out), [{ Name: 'n1', Status: 1 }])
  t.match((await ask('members -detailed')).out, /^n1 .* {2}.*role=consul,/m)
  t.same(await ask('members -status=left'), { code: 2, out: '', error: '' })
  t.equal((await ask('members -filter=Name==n1')).code, 0)
  t.same(await ask('catalog datacenters'), { code: 0, out: 'dc1', error: '' })
  t.match((await ask('catalog nodes')).out, /^Node +ID +Address +DC\nn1 +\w{8} +127\.0\.0\.1 +dc1$/)
  t.match((await ask('catalog nodes -filter=Node==n2')).error, 'No nodes match the given query')
  t.match((await ask('catalog nodes -near=_agent -service=consul')).out, '\nn1 ')
  t.same(await ask('catalog services -node-meta=none=x'), {
    code: 0,
    out: '',
    error: 'No services match the given query - try expanding your search.',
  })
  const registered = await ask('services register -name=web -port=80 -tag=b -tag=a')
  t.equal(registered.out, 'Registered service: web')
  t.equal((await ask('catalog services -tags')).out, 'consul      \nweb         a,b')
  t.equal((await ask('catalog services -node=n1')).out, 'consul\nweb')
  t.equal((await ask('catalog services -filter=ServiceName==web')).out, 'web')
  t.equal((await ask('services deregister -id=web')).out, 'Deregistered service: web')
  t.match(await ask('services deregister -id=web'), { code: 1, error: 'Unknown service ID "web"' })
})

t.test('services: from files, in HCL and JSON', async t => {
  const folder = t.testdir({
    'web.hcl':
      'service {\n  name = "web"\n  id = "web-hcl"\n  port = 80\n  tags = ["x"]\n' +
      '  meta { team = "shop" }\n  check { ttl = "1h" status = "passing" }\n}\n',
    'more.json': '{"services": [{"name": "db", "address": "10.0.0.9"}, {"name": "mq"}]}',
  })
  const registered = await ask(`services register ${folder}/web.hcl ${folder}/more.json`)
  t.same(registered, {
    code: 0,
    out: 'Registered service: web\nRegistered service: db\nRegistered service: mq',
    error: '',
  })
  t.match(await daemon.read('/v1/agent/services'), {
    'web-hcl': { Service: 'web', Port: 80, Tags: ['x'], Meta: { team: 'shop' } },
    db: { Address: '10.0.0.9' },
    mq: {},
  })
  t.match(await daemon.read('/v1/agent/checks'), { 'service:web-hcl': { Status: 'passing' } })
  const gone = await ask(`services deregister ${folder}/web.hcl ${folder}/more.json`)
  t.same(gone, {
    code: 0,
    out: 'Deregistered service: web-hcl\nDeregistered service: db\nDeregistered service: mq',
    error: '',
  })
  t.same(await daemon.read('/v1/agent/services'), {})
})

t.test('maint: the node and its services', async t => {
  await ask('services register -name=web -id=web-1')
  t.same(await ask('maint'), { code: 0, out: '', error: '' })
  t.same(await ask(['maint', '-enable', '-reason', 'disk swap']), {
    code: 0,
    out: 'Node maintenance is now enabled',
    error: '',
  })
  t.equal(
    (await ask('maint -enable -service=web-1 -reason=slow')).out,
    'Service maintenance is now enabled for "web-1"',
  )
  t.equal(
    (await ask('maint')).out,
    'Node:\n  Name:   n1\n  Reason: disk swap\n\nService:\n  ID:     web-1\n  Reason: slow\n',
  )
  t.match(JSON.parse((await ask('maint -format=json')).out), [
    { CheckID: '_node_maintenance' },
    { CheckID: '_service_maintenance:web-1' },
  ])
  t.equal((await ask('maint -disable')).out, 'Node maintenance is now disabled')
  t.equal(
    (await ask('maint -disable -service=web-1')).out,
    'Service maintenance is now disabled for "web-1"',
  )
  t.same(await ask('maint'), { code: 0, out: '', error: '' })
  const refused: Record<string, string> = {
    'maint -enable -disable': 'Only one of -enable or -disable may be provided',
    'maint -disable -reason=x': 'Reason may only be provided with -enable',
    'maint -service=x': 'Service requires either -enable or -disable',
    'maint -enable -service=none': /^Error enabling service maintenance: .* 404 /.source,
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error: new RegExp(error) }, line)
  }
})

t.test('event', async t => {
  const { code, out } = await ask('event -name=deploy -node=n. -service=web payload')
  t.equal(code, 0)
  const [, id] = /^Event ID: ([0-9a-f-]{36})$/.exec(out) ?? []
  t.match(await daemon.read('/v1/event/list?name=deploy'), [
    { ID: id, Payload: 'cGF5bG9hZA==', NodeFilter: 'n.', ServiceFilter: 'web' },
  ])
  t.match(JSON.parse((await ask('event -name=x -format=json')).out), { Name: 'x' })
  const refused: Record<string, string> = {
    event: 'Event name must be specified',
    'event -name=x -tag=t': 'Cannot provide tag filter without service filter.',
    'event -name=x a b': 'Too many command line arguments.',
    'event -name=x -node=(': 'Error firing event: Unexpected response code: 500',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
})

t.test('rtt: from coordinates, height and adjustment', async t => {
  const own = await ask('rtt n1')
  t.match(own, {
    code: 0,
    out: /^Estimated n1 <-> n1 rtt: \d+\.\d{3} ms \(using LAN coordinates\)$/,
  })
  t.match((await ask('rtt -wan n1.dc1')).out, 'Estimated n1.dc1 <-> n1.dc1 rtt: ')
  t.match(await ask('rtt none'), { code: 1, error: 'Could not find a coordinate for node "none"' })
  t.match(await ask('rtt'), { code: 1, error: 'One or two node names must be specified' })
  t.match(await ask('rtt -wan n1'), { code: 1, error: '<node name>.<datacenter> with -wan' })

  const agent = await fakeAgent()
  t.teardown(agent.close)
  const coordinate = (Vec: number[], Height: number, Adjustment: number, Segment = '') => ({
    Segment,
    Coord: { Vec, Height, Adjustment, Error: 1 },
  })
  agent.answer([
    { Node: 'a', ...coordinate([0.003, 0], 0.001, 0.0005) },
    { Node: 'b', ...coordinate([0, 0.004], 0.002, 0.0015) },
    { Node: 'c', ...coordinate([0, 0], 0.001, -1) },
    { Node: 'far', ...coordinate([0, 0], 0, 0, 'other') },
  ])
  const on = (line: string) => ask(`${line.replace('rtt', `rtt -http-addr=${agent.address}`)}`)
  // 5 ms between them, 3 ms of heights, 2 ms of adjustments.
  t.match((await on('rtt a b')).out, 'rtt: 10.000 ms')
  t.match((await on('rtt c c')).out, 'rtt: 2.000 ms')
  t.match(await on('rtt a far'), { code: 1, error: 'no coordinates in the same place' })
  t.match(JSON.parse((await on('rtt -format=json a b')).out), { From: 'a', Source: 'LAN' })
})

t.test('keygen and keyring', async t => {
  const key = (await ask('keygen')).out
  t.equal(Buffer.from(key, 'base64').length, 32)
  t.not((await ask('keygen')).out, key)
  t.match(await ask('keyring -list'), { code: 1, error: 'Keyring is empty' })
  t.match(await ask(`keyring -install=${key}`), { code: 1, error: 'Installing new gossip' })
  for (const line of ['keyring', 'keyring -list -use=x', 'keyring -use=x -remove=y']) {
    t.match(await ask(line), { code: 1, error: 'Exactly one of' }, line)
  }
  t.match(await ask('keyring -list -relay-factor=6'), { code: 1, error: 'must be 0 to 5' })

  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answerOn('/v1/agent/self', { Config: { NodeName: 'n1' } })
  const ring = { Keys: { k1: 1, k2: 1 }, PrimaryKeys: { k1: 1 }, NumNodes: 1, Messages: null }
  agent.answer([
    { WAN: true, Datacenter: 'dc1', ...ring },
    { WAN: false, Datacenter: 'dc1', ...ring, Messages: { n2: 'no answer' } },
  ])
  const on = (words: string) => ask(`keyring -http-addr=${agent.address} ${words}`)
  t.equal(
    (await on('-list')).out,
    '\nWAN:\n  k1 [1/1]\n  k2 [1/1]\n\ndc1 (LAN):\n  ===> n2: no answer\n  k1 [1/1]\n  k2 [1/1]',
  )
  t.match((await on('-list-primary')).out, /^\nWAN:\n {2}k1 \[1\/1\]\n\n/)
  for (const [flag, method] of [
    ['install', 'POST'],
    ['use', 'PUT'],
    ['remove', 'DELETE'],
  ]) {
    t.equal((await on(`-${flag}=s3cret -relay-factor=2`)).code, 0)
    t.match(agent.asked.at(-1), {
      method,
      url: '/v1/operator/keyring?relay-factor=2',
      body: '{"Key":"s3cret"}',
    })
  }
})

t.test('reload, and what is refused', async t => {
  t.same(await ask('reload'), { code: 0, out: 'Configuration reload triggered', error: '' })
  t.match(await ask('reload x'), { code: 1, error: 'Too many arguments (expected 0, got 1)' })
  t.match(await ask('leave x'), { code: 1, error: 'Too many arguments (expected 0, got 1)' })
  t.match(await ask('force-leave'), { code: 1, error: 'A single node name must be specified' })
  t.match(await ask('force-leave none'), {
    code: 1,
    error:
      "Error force leaving: Unexpected response code: 500 (agent: No node found with name 'none')",
  })
  t.match(await ask('join'), { code: 1, error: 'At least one address to join must be specified.' })
  t.match(await ask('join 127.0.0.9:1'), {
    code: 1,
    error: /^Error joining address '127.0.0.9:1': .*\nFailed to join any nodes\.$/,
  })
})

t.test('join and force-leave, as an agent that has others answers them', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answerOn('/v1/agent/join/b', 'no', 500)
  const on = (words: string) => ask(words.replace(' ', ` -http-addr=${agent.address} `))
  t.equal((await on('join a')).out, 'Successfully joined cluster by contacting 1 nodes.')
  const some = await on('join -wan a b [::1]:8301')
  t.match(some, { code: 1, out: 'contacting 2 nodes.', error: "Error joining address 'b': " })
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/join/%5B%3A%3A1%5D%3A8301?wan=1')
  t.same(await on('force-leave -prune -wan n7'), { code: 0, out: '', error: '' })
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/force-leave/n7?prune=1&wan=1')
  t.match(await on('leave -force'), { code: 0, out: 'Graceful leave complete' })
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/leave?force=1')
  const drained = await ask(`operator server drain -http-addr=${agent.address}`)
  t.match(drained, { code: 0, out: /takes no new work/ })
  t.equal(agent.asked.at(-1)?.url, '/v1/agent/drain')
})

t.test('monitor: the log until we are told to stop, or the agent ends', async t => {
  t.match(await ask('monitor -log-level=loud'), { code: 1, error: 'Unknown log level: loud' })
  const watching = fakeIo(environment)
  const code = run(['monitor', '-log-level=debug'], 'consul', watching.io)
  await until('a reload is in the log', async () => {
    await ask('reload')
    return watching.out.join('').includes('reload')
  })
  watching.signal('SIGINT')
  t.equal(await code, 0)

  const json = fakeIo(environment)
  const ended = run(['monitor', '-log-json'], 'consul', json.io)
  await until('a reload is in the log', async () => {
    await ask('reload')
    return json.out.length > 0
  })
  t.doesNotThrow(() => JSON.parse(json.out.join('').split('\n')[0] ?? ''))
  t.same(await ask('leave'), { code: 0, out: 'Graceful leave complete', error: '' })
  t.equal(await ended, 1)
  t.match(json.errors.join('\n'), 'Remote side ended the monitor!')
  t.equal(await daemon.ended, 0)
})
