/** Watches at work: when a handler is called, with what, and how it is ended. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openTokens } from '../../src/agent/publishers.ts'
import { readWatch, type Watch } from '../../src/agent/watch-definition.ts'
import { Watches } from '../../src/agent/watches.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { createResolver } from '../../src/base/io/dns2.ts'
import { silentLog } from '../../src/base/log.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { openAuthority, type Who } from '../../src/base/who.ts'
import { type HclObject, parse } from '../../src/hcl/hcl.ts'
import { Asker } from '../../src/store/ask.ts'
import { toolsWith } from '../checks/support.ts'
import { type Face, startFace, until } from '../http/harness.ts'

const watchOf = (text: string): Watch => {
  const fault = (field: string, problem: string): never => {
    throw new Error(`${field}: ${problem}`)
  }
  const watch = readWatch(parse(text, { format: 'hcl' }) as HclObject, 'a.hcl:1', fault)
  if (watch === undefined) throw new Error(text)
  return watch
}

interface Started {
  readonly face: Face
  readonly watches: Watches
  readonly logged: string[]
}

type Ports = ConstructorParameters<typeof Watches>[0]

async function start(t: Test, more: Partial<Ports> = {}): Promise<Started> {
  const face = await startFace(t)
  const logged: string[] = []
  const warn = (message: string, fields?: object): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`)
  }
  const watches = new Watches({
    asker: new Asker(face.store, new Timeouts(systemClock)),
    timeouts: new Timeouts(systemClock),
    clock: systemClock,
    random: systemRandom,
    log: { ...silentLog, warn },
    paths: face.paths,
    tokens: openTokens,
    authority: openAuthority,
    tools: toolsWith({
      resolver: createResolver({ clock: systemClock }),
      environment: { PATH: process.env.PATH ?? '' },
    }),
    ...more,
  })
  t.teardown(() => watches.stop())
  return { face, watches, logged }
}

/** A handler that writes down each call: the index, then what it read. */
function note(t: Test): { args: string; calls(): Promise<{ index: string; json: unknown }[]> } {
  const file = join(t.testdir({}), 'calls')
  const script = `(echo "$CONSUL_INDEX"; cat) >> ${file}`
  return {
    args: `args = ["/bin/sh", "-c", ${JSON.stringify(script)}]`,
    async calls() {
      const lines = (await readFile(file, 'utf8').catch(() => '')).trim().split('\n')
      const found: { index: string; json: unknown }[] = []
      for (let i = 0; i + 1 < lines.length; i += 2) {
        found.push({ index: lines[i] ?? '', json: JSON.parse(lines[i + 1] ?? 'null') })
      }
      return found
    },
  }
}

t.test('a key: absent, written, written alike, deleted', async t => {
  const { face, watches } = await start(t)
  const { args, calls } = note(t)
  watches.configure([watchOf(`type = "key" key = "a/b" ${args}`)])
  await until(async () => (await calls()).length === 1)
  t.equal((await calls())[0]?.json, null)
  await face.client.put('/v1/kv/a/b', 'one')
  await until(async () => (await calls()).length === 2)
  const [, second] = await calls()
  t.match(second?.json, { Key: 'a/b', Value: Buffer.from('one').toString('base64'), Flags: 0 })
  t.equal(second?.index, String((second?.json as { ModifyIndex: number } | undefined)?.ModifyIndex))
  await face.client.put('/v1/kv/a/b', 'one')
  await face.client.put('/v1/kv/other', 'x')
  await face.client.delete('/v1/kv/a/b')
  await until(async () => (await calls()).length === 3)
  t.equal((await calls())[2]?.json, null, 'nothing was told in between')
})

t.test('each type tells what its path answers', async t => {
  const { face, watches } = await start(t)
  const { client } = face
  const service = { Name: 'web', Tags: ['x'], Check: { TTL: '1m', Status: 'passing' } }
  await client.put('/v1/agent/service/register', service)
  await client.put('/v1/kv/p/1', 'x')
  const paths: Record<string, string> = {
    'type = "keyprefix" prefix = "p/"': '/v1/kv/p/?recurse',
    'type = "services"': '/v1/catalog/services',
    'type = "nodes"': '/v1/catalog/nodes',
    'type = "service" service = "web" tag = "x"': '/v1/health/service/web?tag=x',
    'type = "checks" state = "passing"': '/v1/health/state/passing',
    'type = "checks" service = "web"': '/v1/health/checks/web',
    'type = "agent_service" service_id = "web"': '/v1/agent/service/web',
  }
  for (const [text, path] of Object.entries(paths)) {
    const { args, calls } = note(t)
    watches.configure([watchOf(`${text} ${args}`)])
    await until(async () => (await calls()).length === 1)
    t.same((await calls())[0]?.json, (await client.get(path)).json, text)
  }
})

t.test('events: only those that are new', async t => {
  const { face, watches } = await start(t)
  const { args, calls } = note(t)
  watches.configure([watchOf(`type = "event" name = "deploy" ${args}`)])
  const names = async (): Promise<number[]> =>
    (await calls()).map(({ json }) => (json as unknown[]).length)
  await face.client.put('/v1/event/fire/deploy', 'one')
  await until(async () => (await names()).length === 1)
  await face.client.put('/v1/event/fire/other', 'x')
  await face.client.put('/v1/event/fire/deploy', 'two')
  await until(async () => (await names()).length === 2)
  t.same(await names(), [1, 1])
  const { json, index } = (await calls())[1] ?? {}
  t.match(json, [{ Name: 'deploy', Payload: Buffer.from('two').toString('base64') }])
  const { headers } = await face.client.get('/v1/event/list?name=deploy')
  t.equal(index, headers['x-consul-index'], 'all 64 bits of it')
})

t.test('an HTTP handler gets the content and the index', async t => {
  const { face, watches, logged } = await start(t)
  const got: { headers: IncomingHttpHeaders; method: string | undefined; body: string }[] = []
  const server = createServer((message, response) => {
    let body = ''
    message.on('data', data => {
      body += String(data)
    })
    message.on('end', () => {
      got.push({ headers: message.headers, method: message.method, body })
      response.writeHead(got.length === 2 ? 500 : 200).end('said')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const { port } = server.address() as { port: number }
  const url = `http://127.0.0.1:${port}/h`
  const config = `http_handler_config { path = "${url}" header { x-a = ["1"] } }`
  watches.configure([watchOf(`type = "key" key = "a" handler_type = "http" ${config}`)])
  await until(() => got.length === 1)
  await face.client.put('/v1/kv/a', 'x')
  await until(() => got.length === 2)
  t.match(got[1], { method: 'POST', headers: { 'x-a': '1', 'content-type': 'application/json' } })
  t.equal(JSON.parse(got[1]?.body ?? '').Key, 'a')
  t.equal(got[1]?.headers['x-consul-index'], String((await face.client.get('/v1/kv/a')).index))
  await until(() => logged.length === 1)
  t.match(logged[0], /a watch handler failed .*500/)
  await face.client.put('/v1/kv/a', 'y')
  await until(() => got.length === 3)
})

t.test('a handler that fails is told in the log, and called at the next change', async t => {
  const { face, watches, logged } = await start(t)
  watches.configure([
    watchOf('type = "key" key = "a" args = ["/bin/sh", "-c", "exit 3"]'),
    watchOf('type = "key" key = "a" args = ["/no/such/program"]'),
  ])
  await until(() => logged.length === 2)
  t.match(logged.join('\n'), /exit status 3/)
  t.match(logged.join('\n'), /no\/such\/program/)
  await face.client.put('/v1/kv/a', 'x')
  await until(() => logged.length === 4)
  t.notMatch(logged.join('\n'), /"x"|eA==/, 'no content stands in the log')
})

t.test('stopping ends handlers and waits; a reload starts others', async t => {
  const { face, watches } = await start(t)
  const first = note(t)
  const folder = t.testdir({})
  const endless = `echo $$ > ${join(folder, 'pid')}; exec sleep 1000`
  watches.configure([
    watchOf(`type = "key" key = "a" ${first.args}`),
    watchOf(`type = "key" key = "b" args = ["/bin/sh", "-c", ${JSON.stringify(endless)}]`),
  ])
  await until(async () => (await first.calls()).length === 1)
  let pid = 0
  await until(async () => {
    pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => ''))
    return pid > 0
  })
  watches.configure([])
  await until(() => isGone(pid))
  await face.client.put('/v1/kv/a', 'x')
  t.equal((await first.calls()).length, 1, 'nobody looks any more')
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

t.test('a watch looks with the rights of its token, and again when those change', async t => {
  const readsA: Who = { accessor: 'a', rights: 'a', may: ({ name }) => ['', 'a/'].includes(name) }
  const readsAll: Who = { accessor: 'a', rights: 'all', may: () => true }
  const nobody: Who = {
    accessor: '',
    rights: 'none',
    may: ({ capability }) => capability === 'list',
  }
  let changing: Who | Refusal = readsA
  const watching = new Set<() => void>()
  const { face, watches, logged } = await start(t, {
    tokens: {
      whoOf: () => nobody,
      authenticate: token => (token === 'secret' ? changing : new Refusal(403, 'ACL not found')),
    },
    authority: {
      watch(_who, changed) {
        watching.add(changed)
        return () => watching.delete(changed)
      },
    },
  })
  await face.client.put('/v1/kv/a/one', 'x')
  const mine = note(t)
  watches.configure([watchOf(`type = "keyprefix" prefix = "a/" token = "secret" ${mine.args}`)])
  await until(async () => (await mine.calls()).length === 1)
  t.equal((await mine.calls())[0]?.json, null, 'it may list, and sees nothing')
  await until(() => watching.size === 1)
  changing = readsAll
  for (const changed of [...watching]) changed()
  await until(async () => (await mine.calls()).length === 2)
  t.match((await mine.calls())[1]?.json, [{ Key: 'a/one' }])
  await until(() => watching.size === 1)
  changing = new Refusal(403, 'ACL not found')
  for (const changed of [...watching]) changed()
  await until(() => logged.some(line => line.includes('ACL not found')))
  await until(() => watching.size === 0)
  t.notMatch(logged.join(), /secret/)
  watches.configure([watchOf(`type = "keyprefix" prefix = "a/" ${mine.args}`)])
  await until(async () => (await mine.calls()).length === 3)
  t.equal((await mine.calls())[2]?.json, null, 'without a token the default one counts')
  watches.configure([])
  t.equal(watching.size, 0)
})
