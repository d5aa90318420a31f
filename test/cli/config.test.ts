/**
 * The verbs below `config` and `intention`, against a real agent.
 */
import t from 'tap'
import { fakeAgent, realAgent } from './support.ts'

const { daemon, ask } = await realAgent(t)

t.test('config: written from HCL, JSON and stdin, listed, read and deleted', async t => {
  const folder = t.testdir({
    'web.hcl': 'Kind = "service-defaults"\nName = "web"\nProtocol = "http"\n',
    'api.json': '{"kind": "service-defaults", "name": "api", "protocol": "grpc"}',
    'split.hcl':
      'Kind = "service-splitter"\nName = "web"\n' +
      'Splits = [{ Weight = 90 }, { Weight = 10, Service = "api" }]\n',
    'proxy.hcl': 'Kind = "proxy-defaults"\nName = "global"\nConfig { protocol = "http" }\n',
  })
  const written = (title: string) => ({
    code: 0,
    out: `Config entry written: ${title}`,
    error: '',
  })
  t.same(await ask(`config write ${folder}/web.hcl`), written('service-defaults/web'))
  t.same(await ask(`config write ${folder}/api.json`), written('service-defaults/api'))
  t.same(await ask(`config write ${folder}/proxy.hcl`), written('proxy-defaults/global'))
  t.same(
    await ask('config write -', 'Kind = "service-defaults"\nName = "in"\n'),
    written('service-defaults/in'),
  )
  t.equal((await ask('config list -kind=service-defaults')).out, 'api\nin\nweb')
  const filtered = await ask(['config', 'list', '-kind=service-defaults', '-filter=Name == "web"'])
  t.equal(filtered.out, 'web')
  t.match(JSON.parse((await ask('config list -kind=proxy-defaults -format=json')).out), [
    { Name: 'global', Config: { protocol: 'http' } },
  ])
  const { out } = await ask('config read -kind=service-defaults -name=web')
  t.match(out, '\n\t"Protocol": "http"')
  const { text } = await daemon.ask('GET', '/v1/config/service-defaults/web')
  const [, hash = 'none'] = /"Hash": ?(\d+)/.exec(text) ?? []
  t.match(out, `"Hash": ${hash}`)
  t.same(await ask('config delete -kind=service-defaults -name=in'), {
    code: 0,
    out: 'Config entry deleted: service-defaults/in',
    error: '',
  })
  t.equal(
    (await ask(`config delete -filename=${folder}/api.json`)).out,
    'Config entry deleted: service-defaults/api',
  )
  t.same(await ask('config list -kind=service-defaults'), { code: 0, out: 'web', error: '' })
})

t.test('config: only while nobody wrote in between', async t => {
  const folder = t.testdir({ 'e.hcl': 'Kind = "service-defaults"\nName = "cas"\n' })
  t.equal((await ask(`config write -cas -modify-index=0 ${folder}/e.hcl`)).code, 0)
  const { ModifyIndex } = await daemon.read<{ ModifyIndex: number }>(
    '/v1/config/service-defaults/cas',
  )
  const stale = ModifyIndex - 1
  t.same(await ask(`config write -cas -modify-index=${stale} ${folder}/e.hcl`), {
    code: 1,
    out: '',
    error: 'Config entry not updated: service-defaults/cas',
  })
  const remove = 'config delete -kind=service-defaults -name=cas -cas -modify-index'
  t.same(await ask(`${remove}=${stale}`), {
    code: 1,
    out: '',
    error: 'Config entry not deleted: service-defaults/cas',
  })
  t.equal((await ask(`${remove}=${ModifyIndex}`)).code, 0)
})

t.test('config: what is wrong is said', async t => {
  const folder = t.testdir({
    'none.hcl': 'Name = "x"',
    'number.hcl': 'Kind = 7',
    'broken.hcl': 'Kind = ',
    'kind.hcl': 'Kind = "nonsense"\nName = "x"',
  })
  const refused: Record<string, string> = {
    'config list': 'Must specify the -kind parameter',
    'config list -kind=x': 'Error listing config entries for kind "x": Unexpected response code: ',
    'config read -name=x': 'Must specify the -kind parameter',
    'config read -kind=x': 'Must specify the -name parameter',
    'config read -kind=service-defaults -name=x':
      'Error reading config entry service-defaults/x: Unexpected response code: 404 ' +
      '(Config entry not found for "service-defaults" / "x")',
    'config delete -kind=x': 'Must specify the -name parameter',
    'config delete -kind=x -filename=y': "filename can't be used with kind or name",
    'config write': 'Must provide exactly one positional argument',
    'config write a b': 'Must provide exactly one positional argument',
    'config write /none/such': 'Failed to load data: ENOENT',
    [`config write ${folder}/none.hcl`]: 'Payload does not contain a kind/Kind key',
    [`config write ${folder}/number.hcl`]: 'Kind value in payload is not a string',
    [`config write ${folder}/broken.hcl`]: 'Failed to decode config entry input: ',
    [`config write ${folder}/kind.hcl`]: 'Error writing config entry nonsense/x: ',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
})

t.test('intentions: created, shown in every way, checked and deleted', async t => {
  t.same(await ask('intention list'), { code: 0, out: '', error: 'There are no intentions.' })
  const created = (text: string) => ({ code: 0, out: `Created: ${text}`, error: '' })
  t.same(await ask('intention create web db'), created('web => db (allow)'))
  t.same(await ask('intention create -deny * db'), created('* => db (deny)'))
  const file = t.testdir({
    'i.json': '{"SourceName":"api","DestinationName":"db","Action":"deny","Description":"why"}',
  })
  t.same(await ask(`intention create -file ${file}/i.json`), created('api => db (deny)'))
  t.equal(
    (await ask('intention list')).out,
    `ID  Source  Action  Destination  Precedence
    api     deny    db           9
    web     allow   db           9
    *       deny    db           8`,
  )
  t.equal(JSON.parse((await ask('intention list -format=json')).out).length, 3)
  t.match((await ask('intention match db')).out, /^web => db \(allow\)$/m)
  t.equal((await ask('intention match -source web')).out.split('\n').at(0), 'web => db (allow)')
  t.same(await ask('intention check web db'), { code: 0, out: 'Allowed', error: '' })
  t.same(await ask('intention check api db'), { code: 2, out: 'Denied', error: '' })
  t.same(JSON.parse((await ask('intention check -format=json web db')).out), { Allowed: true })
  const { out } = await ask('intention get * db')
  t.match(out, /^Source: +\*\nDestination: +db\nAction: +deny$/)
  t.match((await ask('intention get api db')).out, /^Description: +why$/m)

  t.same(await ask('intention create -meta=a=b -meta c=d web log'), created('web => log (allow)'))
  const described = (await ask('intention get web log')).out
  t.match(described, /^ID: +[0-9a-f-]{36}\nMeta\[a\]: +b\nMeta\[c\]: +d\nCreated At: +2/m)
  t.match(await ask('intention create -deny web db'), {
    code: 1,
    error: 'Error creating intention "web => db (deny)": it is there already',
  })
  t.same(await ask('intention create -replace -deny web db'), { code: 0, out: '', error: '' })
  t.equal((await ask('intention check web db')).code, 2)
  t.same(await ask('intention delete web db'), { code: 0, out: 'Intention deleted.', error: '' })
  t.match(await ask('intention get web db'), {
    code: 1,
    error: 'Error: Intention with source "web" and destination "db" not found.',
  })
})

t.test('intentions: what is wrong is said', async t => {
  const refused: Record<string, string> = {
    'intention create -allow -deny a b': 'Only one of -allow or -deny may be specified.',
    'intention create a': 'Must specify two arguments: source and destination',
    'intention create -meta=x a b': '-meta must be key=value',
    'intention create -file': '-file needs files',
    'intention create -file /none/such': 'ENOENT',
    'intention check a': 'command requires exactly two arguments: src and dst',
    'intention match a b': 'command requires exactly one argument',
    'intention match -source -destination a': 'only one of -source and -destination',
    'intention get a b c': 'command requires exactly 1 or 2 arguments',
    'intention delete none db': 'not found',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
})

t.test('intentions: permissions, and one by its id', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer({
    ID: 'i1',
    SourceName: 'a',
    DestinationName: 'b',
    Action: '',
    Permissions: [{}, {}],
    Precedence: 9,
    CreatedAt: '2026-11-23T10:00:00Z',
  })
  const on = (words: string) => ask(words.replace(/(\w+ \w+)/, `$1 -http-addr=${agent.address}`))
  t.equal(
    (await on('intention get i1')).out,
    `Source:       a
Destination:  b
Action:       2 permissions
ID:           i1
Created At:   2026-11-23T10:00:00Z`,
  )
  t.equal(agent.asked.at(-1)?.url, '/v1/connect/intentions/i1')
  await on('intention delete i1')
  t.equal(agent.asked.at(-1)?.url, '/v1/connect/intentions/exact?source=a&destination=b')
})
