/**
 * The server of everybody's gRPC: its forms of calls, its bounds, its stop.
 */
import { once } from 'node:events'
import * as http2 from 'node:http2'
import { connect } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import {
  openPublicServer,
  type PublicMethod,
  type PublicServerOptions,
} from '../../../src/base/io/grpc-public.ts'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'

const same = (bytes: Buffer): Buffer => bytes

const BOUNDS = {
  ...{ calls: 10, callsPerClient: 10, requestMs: 60_000 },
  ...{ sizeBytes: 10_000, uncountedSizeBytes: 100 },
}

async function open(
  t: Test,
  methods: Readonly<Record<string, PublicMethod>>,
  given: Partial<PublicServerOptions> = {},
) {
  const server = openPublicServer({
    ...{ clock: systemClock, log: silentLog, handshakeTimeoutMs: 1_000, connectionsPerClient: 0 },
    ...{ keepaliveMs: limits.grpcKeepaliveMs, keepaliveTimeoutMs: limits.grpcKeepaliveTimeoutMs },
    load: async () => new Map(Object.entries(methods)),
    names: { nextId: () => 'id', statusOf: (code, text) => ({ code, text, metadata: {} }) },
    fallback: {
      form: 'duplex',
      take({ path }, answer) {
        answer.end({ code: 'UNIMPLEMENTED', text: path, metadata: {} })
        return { onMessage: () => {}, onHalfClose: () => {} }
      },
    },
    ...given,
  })
  const { host, port } = await server.listen('127.0.0.1', 0)
  const client = new grpc.Client(`${host}:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  })
  t.teardown(async () => {
    client.close()
    server.cut()
    await server.close()
  })
  return { server, client, host, port }
}

const echo: PublicMethod = {
  form: 'unary',
  take: ({ request }, answer) => answer.answer(request, { 'x-told': 'yes' }),
}

const unary = (client: grpc.Client, path: string, bytes: Buffer) =>
  new Promise<{ error: grpc.ServiceError | null; answer: Buffer | undefined }>(resolve => {
    client.makeUnaryRequest(path, same, same, bytes, (error, answer) => resolve({ error, answer }))
  })

t.test('one question has one answer, or a refusal', async t => {
  const { client } = await open(t, {
    '/a.B/Echo': echo,
    '/a.B/Refuse': {
      form: 'unary',
      take: (call, answer) =>
        answer.refuse({
          code: 'NOT_FOUND',
          text: `${call.remote} ${call.header('x-some')} ${call.leftMs}`,
          metadata: { 'x-id': '1', 'x-some-bin': Buffer.from([1, 2]) },
        }),
    },
  })
  const { answer } = await unary(client, '/a.B/Echo', Buffer.from('hello'))
  t.equal(answer?.toString(), 'hello')
  const { error } = await unary(client, '/a.B/Refuse', Buffer.alloc(0))
  t.match(error, { code: grpc.status.NOT_FOUND, details: '127.0.0.1 undefined undefined' })
  t.same(error?.metadata.get('x-some-bin'), [Buffer.from([1, 2])])
  const unknown = await unary(client, '/a.B/Nothing', Buffer.alloc(0))
  t.match(unknown.error, { code: grpc.status.UNIMPLEMENTED, details: '/a.B/Nothing' })
})

t.test('a message beyond its bound is refused', async t => {
  const { client } = await open(t, { '/a.B/Echo': echo })
  const fits = await unary(client, '/a.B/Echo', Buffer.alloc(limits.grpcMessageSizeBytes - 16))
  t.equal(fits.error, null)
  const { error } = await unary(client, '/a.B/Echo', Buffer.alloc(limits.grpcMessageSizeBytes + 1))
  t.equal(error?.code, grpc.status.RESOURCE_EXHAUSTED)
})

t.test('connections of one client are bounded', async t => {
  const { host, port, server } = await open(t, { '/a.B/Echo': echo }, { connectionsPerClient: 2 })
  const sockets = [connect(port, host), connect(port, host)]
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  const third = connect(port, host)
  third.on('error', () => {})
  await once(third, 'close')
  t.equal(server.connections, 2)
  for (const socket of sockets) socket.destroy()
})

t.test('a stop waits for calls under way', async t => {
  const held: (() => void)[] = []
  const { client, server } = await open(t, {
    '/a.B/Hold': {
      form: 'unary',
      take: ({ request }, answer) => held.push(() => answer.answer(request, {})),
    },
  })
  const asked = unary(client, '/a.B/Hold', Buffer.from('x'))
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(server.calls, 1)
  const closed = server.close()
  held[0]?.()
  t.equal((await asked).answer?.toString(), 'x')
  await closed
  t.equal(server.connections, 0)
})

/**
 * What arrives while Node is busy it tells of afterwards: a stream and its end at once. That cannot
 * be brought about on purpose, so each stream is ended here just before the server is told of it.
 */
t.test("a stream that is gone before anybody saw it is nobody's fault", async t => {
  const { host, port, client } = await open(t, { '/a.B/Echo': echo })
  const asked = ['/a.B/Echo', '/a.B/None'].flatMap(path =>
    ['application/json', 'application/grpc'].map(type => ({ path, type })),
  )
  const prototype = Object.getPrototypeOf(http2.createServer()) as http2.Http2Server
  const emit = prototype.emit
  let gone = 0
  prototype.emit = function (this: http2.Http2Server, ...words: unknown[]) {
    if (words[0] === 'stream') {
      gone += 1
      ;(words[1] as http2.ServerHttp2Stream).destroy()
    }
    return emit.apply(this, words as never)
  }
  const session = http2.connect(`http://${host}:${port}`)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  const closed = asked.map(({ path, type }) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type })
    stream.on('error', () => {})
    return once(stream, 'close')
  })
  await Promise.all(closed)
  prototype.emit = emit
  t.equal(gone, asked.length)
  t.equal((await unary(client, '/a.B/Echo', Buffer.from('x'))).answer?.toString(), 'x')
})

t.test('a silent connection is cut', async t => {
  const keepalive = { keepaliveMs: 20, keepaliveTimeoutMs: 20 }
  const { host, port } = await open(t, { '/a.B/Echo': echo }, keepalive)
  const socket = connect(port, host)
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
})

t.test('a request that does not come whole ends, and its client is told', async t => {
  const bounds = { ...BOUNDS, requestMs: 20 }
  const { client, server } = await open(t, { '/a.B/Echo': echo }, { bounds })
  const half = client.makeClientStreamRequest('/a.B/Echo', same, same, () => {})
  half.on('error', () => {})
  const [status] = await once(half, 'status')
  t.equal(status.code, grpc.status.DEADLINE_EXCEEDED)
  t.equal((await unary(client, '/a.B/Echo', Buffer.from('x'))).error, null, 'others are served')
  while (server.calls > 0) await new Promise(resolve => setImmediate(resolve))
})

t.test('requests that are on their way are bounded together', async t => {
  const bounds = BOUNDS
  const held: (() => void)[] = []
  const { client, server } = await open(
    t,
    {
      '/a.B/Echo': echo,
      '/a.B/Hold': {
        form: 'unary',
        take: ({ request }, answer) => held.push(() => answer.answer(request, {})),
      },
    },
    { bounds },
  )
  const first = unary(client, '/a.B/Hold', Buffer.alloc(6_000))
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))
  const second = await unary(client, '/a.B/Echo', Buffer.alloc(6_000))
  t.equal(second.error?.code, grpc.status.RESOURCE_EXHAUSTED)
  t.equal((await unary(client, '/a.B/Echo', Buffer.alloc(90))).error, null, 'small ones go on')
  held[0]?.()
  t.equal((await first).answer?.length, 6_000)
  while (server.calls > 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(
    (await unary(client, '/a.B/Echo', Buffer.alloc(6_000))).error,
    null,
    'there is room again',
  )
})

t.test('calls under way are bounded, also those that sent nothing yet', async t => {
  const bounds = { ...BOUNDS, calls: 2 }
  const { client, server } = await open(t, { '/a.B/Echo': echo }, { bounds })
  const open2 = [1, 2].map(() => client.makeClientStreamRequest('/a.B/Echo', same, same, () => {}))
  for (const call of open2) call.on('error', () => {})
  while (server.calls < 2) await new Promise(resolve => setImmediate(resolve))
  const third = await unary(client, '/a.B/Echo', Buffer.from('x'))
  t.equal(third.error?.code, grpc.status.RESOURCE_EXHAUSTED)
  for (const call of open2) call.cancel()
  while (server.calls > 0) await new Promise(resolve => setImmediate(resolve))
  t.equal((await unary(client, '/a.B/Echo', Buffer.from('x'))).error, null)
})
