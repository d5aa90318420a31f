/**
 * Targets of sinks that somebody may choose over the API (class 33): webhooks and HAProxy over TCP.
 * Addresses that give secrets away, by number and by name; redirects; names that lead elsewhere.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { targetGuard } from '../../src/checks/guard.ts'
import type { SinkKind } from '../../src/feed/sink/declare.ts'
import { haproxyRuntimeSink } from '../../src/feed/sink/haproxy-runtime/haproxy-runtime.ts'
import { sinkKinds } from '../../src/feed/sink/mod.ts'
import { readSettings } from '../../src/feed/sink/schema.ts'
import { webhookSink } from '../../src/feed/sink/webhook/webhook.ts'
import { portsWith, stateOf } from '../feed/sink/health.ts'
import { Driver } from '../feed/sink/world.ts'

type Names = Readonly<Record<string, () => readonly string[]>>

const names: Names = {
  metadata: () => ['169.254.169.254'],
  mapped: () => ['::ffff:169.254.169.254'],
  v6: () => ['fd00:ec2::254'],
  link: () => ['fe80::1%eth0'],
}

const portsOf = (known: Names, allow: readonly string[] = []) =>
  portsWith({
    mayReach: targetGuard(allow),
    addressesOf: async name => {
      const found = Object.hasOwn(known, name) ? known[name]?.() : undefined
      if (found === undefined) throw new Error(`nobody knows ${name}`)
      return found
    },
  })

const web = stateOf({ web: [{ address: '10.0.0.1' }] })

const tried = (kind: SinkKind, given: Record<string, unknown>, known: Names = names) =>
  new Driver(kind, given, portsOf(known)).try(web)

/** Counts who connects. */
async function listener(t: Test, answer = 'HTTP/1.1 302 Found\r\nlocation: /other\r\n\r\n') {
  const paths: string[] = []
  const server = createTcpServer(socket => {
    socket.on('error', () => {})
    socket.once('data', data => {
      paths.push(`${data}`.split('\r\n', 1)[0] ?? '')
      socket.end(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { paths, port: (server.address() as AddressInfo).port }
}

const GUARDED = /may not be connected to \(check_targets\.allow\)/

t.test('attack: addresses that give secrets away, by number and by name', async t => {
  const hosts = [
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.254.43518',
    ...Object.keys(names),
  ]
  for (const host of hosts) {
    const url = `http://${host}/latest/meta-data/`
    t.match(await tried(webhookSink, { url, tries: 1 }), { text: GUARDED }, host)
  }
  for (const host of ['169.254.169.254', '[fd00:ec2::254]', ...Object.keys(names)]) {
    t.match(await tried(haproxyRuntimeSink, { address: `${host}:80` }), { text: GUARDED }, host)
  }
})

t.test('attack: a name that leads elsewhere the second time', async t => {
  const server = createServer((_, answer) => answer.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const answers = [['127.0.0.1'], ['169.254.169.254']]
  let asked = 0
  const rebinding = () => answers[asked++] ?? []
  const done = await tried(webhookSink, { url: `http://rebinding:${port}/` }, { rebinding })
  t.match(done, { changes: [/POST/, /web/] })
  t.equal(asked, 1, 'what was judged is what is connected to')
})

t.test('attack: a redirect, to the same server too', async t => {
  const { paths, port } = await listener(t)
  const refused = await tried(webhookSink, { url: `http://127.0.0.1:${port}/first` })
  t.match(refused, { text: /redirects are not followed/, mayRetry: false })
  t.same(paths, ['POST /first HTTP/1.1'])
})

t.test('near miss: an allowed address beside a guarded one is the one that is asked', async t => {
  const { paths, port } = await listener(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  const both = () => ['169.254.169.254', '127.0.0.1']
  await tried(webhookSink, { url: `http://both:${port}/x` }, { both })
  t.same(paths, ['POST /x HTTP/1.1'])
})

t.test('attack: sockets and files of the machine, over the API', async t => {
  const paths = ['/run/docker.sock', '/etc/shadow']
  for (const { kind, fields, isLocal } of sinkKinds.filter(one => !one.isLocal)) {
    for (const [name, { type }] of Object.entries(fields)) {
      if (!/socket|file|env|options|path|command/.test(name)) continue
      for (const path of paths) {
        const read = readSettings(fields, { [name]: type === 'texts' ? [path] : path }, 'api')
        const problems = 'problems' in read ? read.problems : []
        t.ok(
          problems.some(one => one.field === name && /machine/.test(one.problem)),
          `${kind} ${name}`,
        )
      }
    }
    t.equal(isLocal, false)
  }
  for (const place of paths) {
    t.throws(() => new Driver(haproxyRuntimeSink, { address: place }, portsOf({})), /host:port/)
    t.throws(() => new Driver(webhookSink, { url: `file://${place}` }, portsOf({})), /http/)
    t.throws(() => new Driver(webhookSink, { url: `unix:${place}` }, portsOf({})), /http/)
  }
})
