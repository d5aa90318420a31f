/** HAProxy, changed while it runs: instances come, fail, drain and go; restarts; faults. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { haproxyRuntimeSink } from '../../../../src/feed/sink/haproxy-runtime/haproxy-runtime.ts'
import { freePort, launch, tempFolder, until } from '../../../clients/process.ts'
import { absent, clientFile } from '../../../run/clients.ts'
import { answersOf, askOnce, startBackend } from '../backends.ts'
import { type Given, stateOf } from '../health.ts'
import { Driver, realPorts } from '../world.ts'

const usable = { status: 'passing' }

async function setUp(t: Test, backends: string) {
  const folder = tempFolder(t)
  const [port, runtimePort] = [await freePort(), await freePort()]
  const socket = path.join(folder, 'runtime.sock')
  const file = path.join(folder, 'haproxy.cfg')
  writeFileSync(
    file,
    `
global
  stats socket ${socket} mode 600 level admin
  stats socket ipv4@127.0.0.1:${runtimePort} level admin
defaults
  mode http
  timeout connect 1s
  timeout client 9s
  timeout server 9s
frontend all
  bind 127.0.0.1:${port}
  default_backend web
${backends}
`,
  )
  const start = async () => {
    const haproxy = launch(t, clientFile('haproxy'), ['-db', '-f', file])
    await until('HAProxy answers', async () => {
      if (!haproxy.isRunning()) throw new Error(haproxy.stderr())
      return (await askOnce(port)) !== ''
    })
    return haproxy
  }
  return { port, runtimePort, socket, start, haproxy: await start() }
}

t.test('HAProxy follows while it runs', { skip: absent('haproxy') }, async t => {
  const { port, runtimePort, socket, start, haproxy } = await setUp(
    t,
    'backend web\n  balance roundrobin\n  server-template web 2 0.0.0.0:0 disabled',
  )
  const [a, b, c] = [
    await startBackend(t, 'a'),
    await startBackend(t, 'b'),
    await startBackend(t, 'c'),
  ]
  const driver = new Driver(haproxyRuntimeSink, { socket }, realPorts(t))
  const web = (...list: Given[]) => stateOf({ web: list })

  t.same((await driver.plan(web(a))).changes, [
    `set server web/web1 addr 127.0.0.1 port ${a.port}`,
    'set server web/web1 state ready',
  ])
  t.equal(await answersOf(port), '503', 'a plan changes nothing')
  await driver.apply(web(a))
  t.equal(await answersOf(port), 'a')
  t.same((await driver.apply(web(a))).changes, [])

  // Two slots, three instances: one server is added, and removed again.
  await driver.apply(web(a, b, c))
  t.equal(await answersOf(port), 'a b c')
  const less = await driver.apply(web(a, b))
  t.match(less.changes.at(-1), /^del server web\/gh-127\.0\.0\.1:/)
  t.equal(await answersOf(port), 'a b')

  // Weights are shares.
  await driver.apply(web({ ...a, weights: { Passing: 0, Warning: 0 } }, b))
  t.equal(await answersOf(port), 'b')
  await driver.apply(web(a, b))

  // It fails, and returns.
  await driver.apply(web(a, { ...b, status: 'critical' }))
  t.equal(await answersOf(port), 'a')
  await driver.apply(web(a, { ...b, ...usable }))
  t.equal(await answersOf(port), 'a b')

  // What is gone finishes its connections first, then its slot is free.
  const slow = askOnce(port, '/wait')
  const on = await until('it is under way', () => [a, b].find(one => one.waiting() > 0))
  const other = on === a ? b : a
  const left = await driver.apply(web(other))
  t.match(left, { changes: [/state drain$/], againMs: Number })
  t.equal(await answersOf(port), other.id)
  t.match(await driver.apply(web(other)), { changes: [], againMs: Number })
  on.letGo()
  t.equal(await slow, on.id)
  await until(
    'its slot is free',
    async () => (await driver.apply(web(other))).againMs === undefined,
  )
  t.equal(await answersOf(port), other.id)

  // Another process knows nothing of it, and gets it back.
  await driver.apply(web(a, b))
  haproxy.signal('SIGTERM')
  await haproxy.ended
  t.match(await driver.try(web(a, b)), { mayRetry: true, text: /ENOENT|ECONNREFUSED/ })
  const next = await start()
  t.equal(await answersOf(port), '503')
  t.match(
    (await driver.apply(web(a, b))).changes[0],
    /^HAProxy was started anew: process \d+, before/,
  )
  t.equal(await answersOf(port), 'a b')

  // The same over TCP, as the API may ask for.
  const address = `127.0.0.1:${runtimePort}`
  const overTcp = new Driver(haproxyRuntimeSink, { address }, realPorts(t))
  t.same((await overTcp.apply(web(a, b))).changes, [])
  const guarded = new Driver(
    haproxyRuntimeSink,
    { address },
    realPorts(t, { mayReach: () => false }),
  )
  t.match(await guarded.try(web(a, b)), { text: /may not be connected to/ })

  // Nobody is usable: the last ones are kept, also by one that knows nothing from before.
  const none = { ...a, status: 'critical' }
  await driver.apply(web(none))
  const held = new Driver(haproxyRuntimeSink, { socket }, realPorts(t))
  t.same((await held.apply(web(none))).changes, [])
  t.equal(await answersOf(port), 'a b')
  await new Driver(haproxyRuntimeSink, { socket, on_empty: 'apply' }, realPorts(t)).apply(web(none))
  t.equal(await answersOf(port), '503')
  next.signal('SIGTERM')
  await next.ended
})

t.test(
  'what HAProxy cannot do is told, and the rest is done',
  { skip: absent('haproxy') },
  async t => {
    const { port, socket } = await setUp(
      t,
      `backend web
  balance source
  server-template web 1 0.0.0.0:0 disabled
backend api
  balance roundrobin
  server-template api 1 0.0.0.0:0 disabled`,
    )
    const [a, b] = [await startBackend(t, 'a'), await startBackend(t, 'b')]
    const heavy = { weights: { Passing: 70_000, Warning: 1 } }
    const state = stateOf({ web: [{ ...a, ...heavy }, b] })
    const driver = new Driver(haproxyRuntimeSink, { socket }, realPorts(t))
    const first = await driver.apply(state)
    t.match(first.problems, [/its balance knows no weights/, /add server.*dynamic load balancing/])
    t.equal(await answersOf(port), 'a')
    const again = await driver.apply(state)
    t.match(again, { changes: [], problems: [/web has no server free for 127.0.0.1/] })

    t.match(await driver.try(stateOf({ nope: [a] })), { text: 'HAProxy has no backend "nope"' })
    const odd = new Driver(haproxyRuntimeSink, { socket, server_options: ['odd'] }, realPorts(t))
    const added = await odd.apply(stateOf({ api: [a, b] }))
    t.match(added.problems, [/add server api\/gh-.*odd/])

    // A drain that does not end has its time.
    const quick = new Driver(
      haproxyRuntimeSink,
      { socket, drain_timeout: '50ms', on_empty: 'apply' },
      realPorts(t),
    )
    const slow = askOnce(port, '/wait')
    await until('it is under way', () => a.waiting() > 0)
    await quick.apply(stateOf({ web: [] }))
    await until('its time is over', async () => {
      return (await quick.apply(stateOf({ web: [] }))).againMs === undefined
    })
    a.letGo()
    t.equal(await slow, 'a')
  },
)
