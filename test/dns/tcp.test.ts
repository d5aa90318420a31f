/** DNS over TCP: framing, pipelines, slow and silent askers, bounds. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { TcpListener } from '../../src/dns/tcp.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { encoded, queryFor } from '../wire/dns/arbitraries.ts'
import {
  askTcp,
  configWith,
  framed,
  messagesOf,
  openRegistry,
  queryOf,
  respond,
  shared,
  type TestRegistry,
} from './support.ts'

const clock = new FakeClock()

async function start(t: Test, instances = 1, config = configWith({})) {
  const registry = openRegistry()
  const entries = Array.from({ length: instances }, (_, i) => ({
    node: `n${i}`,
    address: `10.0.${i >> 8}.${i & 255}`,
    service: { name: 'web', port: 80 },
  }))
  await registry.put(...entries)
  return { registry, ...(await listen(t, registry, config)) }
}

async function listen(t: Test, registry: Pick<TestRegistry, 'asker'>, config = configWith({})) {
  const listener = new TcpListener(respond(registry, config), clock)
  const { port } = await listener.listen('127.0.0.1', 0)
  t.teardown(() => listener.close())
  return { listener, port }
}

function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  // Whether it ends well is looked at where it matters.
  socket.on('error', () => {})
  return once(socket, 'connect').then(() => socket)
}

const gone = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : new Promise(resolve => socket.once('close', resolve))

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2_000 && !holds(); tries++) await settled(2)
}

const numbered = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, id) => encoded(queryFor('web.service.consul', 'A', { id })))

t.test('many queries in one piece are answered in their order', async t => {
  const { port } = await start(t)
  const answers = await askTcp(port, Buffer.concat(numbered(500).map(framed)))
  t.strictSame(
    answers.map(({ id }) => id),
    Array.from({ length: 500 }, (_, id) => id),
  )
})

t.test('property: it does not matter where the stream is cut', async t => {
  const { port } = await start(t)
  const stream = Buffer.concat(numbered(5).map(framed))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 6 }), async cuts => {
      const socket = await open(port)
      const chunks: Buffer[] = []
      socket.on('data', chunk => chunks.push(chunk as Buffer))
      let at = 0
      for (const cut of [...cuts.toSorted((a, b) => a - b), stream.length]) {
        socket.write(stream.subarray(at, cut))
        at = cut
        await settled(2)
      }
      socket.end()
      await gone(socket)
      const ids = messagesOf(Buffer.concat(chunks)).map(({ id }) => id)
      t.strictSame(ids, [0, 1, 2, 3, 4])
    }),
    { numRuns: 30 },
  )
})

t.test('an asker that has closed its side still gets its answers', async t => {
  const { registry, port } = await start(t)
  t.equal((await askTcp(port, framed(queryOf('web.service.consul A')))).length, 1)
  // The same where the answer takes longer than the half of the connection lives.
  const { world, registry: ofMany } = shared(registry)
  let confirm = (): void => {}
  world.confirm = () =>
    new Promise(resolve => {
      confirm = resolve
    })
  const slow = await listen(t, ofMany, configWith({ allowStale: false }))
  const answers = askTcp(slow.port, framed(queryOf('web.service.consul A')))
  await until(() => world.confirmed === 1)
  await settled(20)
  confirm()
  t.equal((await answers).length, 1)
})

t.test('queries whose answers take longer keep their order, one at a time', async t => {
  const { registry } = await start(t)
  const { world, registry: ofMany } = shared(registry)
  const { port } = await listen(t, ofMany, configWith({ allowStale: false }))
  const answers = await askTcp(port, Buffer.concat(numbered(50).map(framed)))
  t.strictSame(
    answers.map(({ id }) => id),
    Array.from({ length: 50 }, (_, id) => id),
  )
  t.equal(world.confirmed, 50)
})

t.test('silence is closed after a while, and so is a trickle; a talker stays', async t => {
  const { listener, port } = await start(t)
  const [silent, trickle, talker] = await Promise.all([open(port), open(port), open(port)])
  await until(() => listener.connections === 3)
  const query = framed(queryOf('web.service.consul A'))
  let answers = 0
  talker.on('data', () => answers++)
  for (let second = 0; second < limits.dnsTcpIdleMs / 1_000 + 2; second++) {
    trickle.write(query.subarray(second, second + 1))
    talker.write(query)
    await until(() => answers > second)
    await clock.advance(1_000)
  }
  await Promise.all([gone(silent), gone(trickle)])
  t.equal(listener.connections, 1)
  t.notOk(talker.destroyed)
  talker.destroy()
})

t.test('an asker that does not read is not read from, costs little, and is closed', async t => {
  const { listener, port } = await start(t, 1_000)
  const socket = await open(port)
  socket.pause()
  const pipeline = Buffer.concat(Array(2_000).fill(framed(queryOf('web.service.consul SRV'))))
  const before = process.memoryUsage()
  for (let i = 0; i < 400; i++) socket.write(pipeline)
  await until(() => socket.writableLength === 0)
  const after = process.memoryUsage()
  const grownBytes = after.rss - before.rss
  t.ok(socket.writableLength > 0, 'it cannot say all that it wants to')
  t.ok(grownBytes < 67_108_864, `${grownBytes} bytes more`)
  await clock.advance(limits.dnsTcpIdleMs + 2_000)
  await until(() => listener.connections === 0)
  t.equal(listener.connections, 0)
  socket.destroy()
})

t.test('a reader that is slow gets everything in the end', async t => {
  const { port } = await start(t, 200)
  const COUNT = 300
  const socket = await open(port)
  socket.pause()
  socket.end(Buffer.concat(Array(COUNT).fill(framed(queryOf('web.service.consul SRV')))))
  await settled(50)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const answers = messagesOf(Buffer.concat(chunks))
  t.equal(answers.length, COUNT)
  t.ok(answers.every(each => each.answers.length === 200))
})

t.test('too long a query, a response, or crumbs close the connection', async t => {
  const { listener, port } = await start(t)
  const long = Buffer.alloc(2)
  long.writeUInt16BE(limits.dnsTcpQuerySizeBytes + 1)
  const response = framed(encoded(queryFor('a.consul', 'A', { response: true })))
  for (const bytes of [long, response, framed(Buffer.alloc(5)), framed(Buffer.alloc(0))]) {
    const socket = await open(port)
    socket.on('data', () => t.fail('no answer'))
    socket.write(Buffer.concat([bytes, framed(queryOf('web.service.consul A'))]))
    await gone(socket)
  }
  t.equal(listener.connections, 0)
})

t.test('at the bound of connections the one idle for longest makes room', async t => {
  const { listener, port } = await start(t)
  const idle: Socket[] = []
  while (idle.length < limits.dnsTcpConnections) {
    const some = Math.min(100, limits.dnsTcpConnections - idle.length)
    idle.push(...(await Promise.all(Array.from({ length: some }, () => open(port)))))
  }
  await until(() => listener.connections === limits.dnsTcpConnections)
  t.equal(listener.connections, limits.dnsTcpConnections)
  const query = framed(queryOf('web.service.consul A'))
  const spoken = idle[0]!
  spoken.write(query)
  await once(spoken, 'data')
  for (let i = 0; i < 20; i++) {
    t.equal((await askTcp(port, query)).length, 1, 'an honest asker gets through')
  }
  await until(() => idle.filter(socket => socket.closed).length > 0)
  t.ok(listener.connections <= limits.dnsTcpConnections)
  t.notOk(spoken.closed, 'who has spoken stays')
  for (const socket of idle) socket.destroy()
})
