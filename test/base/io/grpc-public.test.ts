/**
 * The server of everybody's gRPC: its forms of calls, its bounds, its stop.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { openPublicServer, type PublicMethod } from '../../../src/base/io/grpc-public.ts'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'

const same = (bytes: Buffer): Buffer => bytes

async function open(
  t: Test,
  methods: Readonly<Record<string, PublicMethod>>,
  connectionsPerClient = 0,
) {
  const server = openPublicServer({
    ...{ clock: systemClock, log: silentLog, handshakeTimeoutMs: 1_000, connectionsPerClient },
    load: async () => new Map(Object.entries(methods)),
    unknown: ({ path }) => ({ code: 'UNIMPLEMENTED', text: path, metadata: {} }),
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
  const { host, port, server } = await open(t, { '/a.B/Echo': echo }, 2)
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
